/*
 * Why: the users are Supabase's, and Supabase may be slow, away or wrong without
 * anybody in the zone noticing but those who log in.
 *
 *   check --> judged --keys are missing--> waiting --keys_end--> ready --+
 *                |                                                       |
 *                +--> asking <-------------------------------------------+
 *                        '--user_end--> answered --> take
 *
 * Invariants
 *   I1  a login is in one job or in `answered`; pending counts both.
 *   I2  a job has at least one login, and all of its logins have the same token.
 *   I3  ERR_OK comes from ANSWER_VALID alone, ERR_UNAUTHORIZED from ANSWER_REFUSED
 *       or from what is wrong with the token itself.
 *   I4  nothing here waits; one call does at most HTTP_EVENTS_MAX sockets' and
 *       SUPABASE_READY_MAX tokens' work.
 *   I5  no token and no key is ever an argument of log_line.
 */
#include "auth_edge/supabase.h"

#include "auth_edge/answer.h"
#include "auth_edge/backoff.h"
#include "auth_edge/jwks.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/queue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    MS_PER_S = 1000,
    US_PER_S = 1000 * 1000,
    STATUS_OK = 200,
    STATUS_TOO_MANY = 429,
    STATUS_UNAVAILABLE = 503,
};

static const char user_path[] = "/auth/v1/user";
static const char keys_path[] = "/auth/v1/.well-known/jwks.json";
static const char issuer_path[] = "/auth/v1";

static const char not_accepted[] =
    "this token is not accepted: expired, revoked, or not this project's; sign in again";
static const char unfit[] = "Supabase says more about this user than fits; shorten the metadata";

/* One token, and all who came with it. */
struct job {
    struct login *logins;
    struct arena arena;
    struct token token;   /* borrows from the first login and the arena */
    struct http_get *get; /* NULL: not asked about yet */
    uint64_t begun_us;
    bool waiting; /* for the key set */
    size_t index;
};

struct supabase {
    struct provider provider; /* first: a provider is its supabase */
    char issuer[TOKEN_ISSUER_BYTES_MAX + 1];
    struct http *http;
    int epoll;
    struct job *jobs[SUPABASE_TOKENS_MAX];
    size_t jobs_n, pending;
    struct queue ready;    /* struct job *: judge them again */
    struct queue answered; /* struct login * */
    struct jwks keys;
    struct http_get *keys_get; /* NULL: none is under way */
    struct backoff backoff;
};

static struct supabase *supabase_of(struct provider *provider)
{
    return (struct supabase *)(void *)provider;
}

static const struct supabase *supabase_of_const(const struct provider *provider)
{
    return (const struct supabase *)(const void *)provider;
}

/* What made an answer worthless. */
static void fault_say(const struct http_reply *reply, char ret[static sizeof(reply->why)])
{
    if (reply->status == 0)
        memcpy(ret, reply->why, sizeof(reply->why));
    else
        snprintf(ret, sizeof(reply->why),
                 reply->status == STATUS_OK ? "a malformed answer" : "HTTP %ld", reply->status);
}

/* --- jobs ---------------------------------------------------------------------------- */

/* The job of the same token, or NULL. */
static struct job *job_find(const struct supabase *s, const struct login *login)
{
    struct slice token = slice_of(login->token, login->token_len);
    for (size_t i = 0; i < s->jobs_n; i++) {
        const struct login *first = s->jobs[i]->logins;
        if (slice_eq(token, slice_of(first->token, first->token_len)))
            return s->jobs[i];
    }
    return NULL;
}

static struct job *job_new(struct supabase *s, struct login *login)
{
    struct job *job = mem_alloc(sizeof(*job));
    login->next = NULL;
    job->logins = login;
    job->index = s->jobs_n;
    s->jobs[s->jobs_n++] = job;
    return job;
}

/* The logins are somebody else's. */
static void job_free(struct supabase *s, struct job *job)
{
    s->jobs_n--;
    s->jobs[job->index] = s->jobs[s->jobs_n];
    s->jobs[job->index]->index = job->index;
    http_get_free(job->get);
    arena_release(&job->arena);
    crypto_wipe(&job->token, sizeof(job->token));
    free(job);
}

static void job_end(struct supabase *s, struct job *job, enum err err, const char *message,
                    const struct answer_name *name)
{
    struct login *next;
    for (struct login *login = job->logins; login; login = next) {
        next = login->next;
        login->err = err;
        login->message = message;
        login->subject = job->token.subject;
        login->name_len = name->len;
        memcpy(login->name, name->s, name->len);
        crypto_wipe(login->token, sizeof(login->token));
        CHECK(queue_push(&s->answered, login) == ERR_OK); /* I1 */
    }
    job_free(s, job);
}

static const char *busy_hint(const struct backoff *backoff)
{
    static const struct {
        unsigned max_s;
        const char *text;
    } hints[] = {
        {1, "Supabase cannot be asked now; try again in a second"},
        {2, "Supabase cannot be asked now; try again in 2 seconds"},
        {5, "Supabase cannot be asked now; try again in 5 seconds"},
        {15, "Supabase cannot be asked now; try again in 15 seconds"},
        {30, "Supabase cannot be asked now; try again in 30 seconds"},
        {UINT32_MAX, "Supabase cannot be asked now; try again in a minute"},
    };
    unsigned wait_s = backoff_wait_s(backoff, clock_mono_us());
    size_t i = 0;
    while (wait_s > hints[i].max_s)
        i++;
    return hints[i].text;
}

/* --- the key set --------------------------------------------------------------------- */

static void keys_begin(struct supabase *s)
{
    jwks_begin(&s->keys, clock_mono_us());
    s->keys_get = http_get(s->http, keys_path, (struct slice){0}, SUPABASE_KEYS_TIMEOUT_MS, NULL);
}

static void keys_end(struct supabase *s, const struct http_reply *reply)
{
    enum err err = ERR_IO;
    if (reply->status == STATUS_OK && !reply->too_large)
        err = jwks_take(&s->keys, reply->body, clock_mono_us());
    else
        jwks_failed(&s->keys);
    if (err != ERR_OK) {
        char why[sizeof(reply->why)];
        fault_say(reply, why);
        log_line(LOG_WARN, "no key set from Supabase (%s): it is asked about every token", why);
    }
    http_get_free(s->keys_get);
    s->keys_get = NULL;
    for (size_t i = 0; i < s->jobs_n; i++)
        if (s->jobs[i]->waiting) {
            s->jobs[i]->waiting = false;
            CHECK(queue_push(&s->ready, s->jobs[i]) == ERR_OK); /* room for all jobs */
        }
}

/* --- the user ------------------------------------------------------------------------ */

/* The next step of a job. ERR_OK: it is under way; else the answer, with its message. */
static enum err job_go_on(struct supabase *s, struct job *job, const char **ret_message)
{
    uint64_t now_us = clock_mono_us();
    enum verdict verdict = jwks_judge(&s->keys, &job->token, now_us);
    if (verdict == VERDICT_REFUSED) {
        *ret_message = not_accepted;
        return ERR_UNAUTHORIZED;
    }
    if (backoff_shut(&s->backoff, now_us)) {
        *ret_message = busy_hint(&s->backoff);
        return ERR_BUSY;
    }
    if (verdict == VERDICT_FETCH) {
        job->waiting = true;
        if (!s->keys.fetching)
            keys_begin(s);
        return ERR_OK;
    }
    CHECK(backoff_admit(&s->backoff, now_us));
    job->begun_us = now_us;
    job->get = http_get(s->http, user_path, slice_of(job->logins->token, job->logins->token_len),
                        SUPABASE_USER_TIMEOUT_MS, job);
    return ERR_OK;
}

static void user_unknown(struct supabase *s, struct job *job, const char *why, uint64_t after_ms)
{
    uint32_t random;
    uint64_t now_us = clock_mono_us();
    crypto_random(&random, sizeof(random));
    if (backoff_failed(&s->backoff, job->begun_us, now_us, after_ms, random))
        log_line(LOG_WARN, "Supabase cannot say who logs in (%s): logins are busy for %u s", why,
                 backoff_wait_s(&s->backoff, now_us));
    job_end(s, job, ERR_BUSY, busy_hint(&s->backoff), &(struct answer_name){0});
}

static void user_end(struct supabase *s, struct job *job, const struct http_reply *reply)
{
    struct answer_name name = {0};
    char why[sizeof(reply->why)];
    enum answer answer = reply->too_large && reply->status == STATUS_OK
                             ? ANSWER_UNFIT
                             : answer_read(reply->status, reply->body, &job->token.subject, &name);
    if (answer == ANSWER_UNKNOWN || answer == ANSWER_OUR_KEY) {
        bool heed = reply->status == STATUS_TOO_MANY || reply->status == STATUS_UNAVAILABLE;
        fault_say(reply, why);
        user_unknown(s, job, answer == ANSWER_OUR_KEY ? "it refuses our SUPABASE_KEY" : why,
                     heed ? (uint64_t)reply->after_s * MS_PER_S : 0);
        return;
    }
    if (backoff_ok(&s->backoff, job->begun_us))
        log_line(LOG_INFO, "Supabase answers again");
    if (answer == ANSWER_VALID)
        job_end(s, job, ERR_OK, NULL, &name);
    else if (answer == ANSWER_REFUSED)
        job_end(s, job, ERR_UNAUTHORIZED, not_accepted, &name);
    else
        job_end(s, job, ERR_BUSY, unfit, &name);
}

/* --- what has happened ---------------------------------------------------------------- */

static void take_replies(struct supabase *s)
{
    struct http_reply reply;
    while (http_take(s->http, &reply)) {
        if (reply.context)
            user_end(s, reply.context, &reply);
        else
            keys_end(s, &reply);
    }
}

static void take_ready(struct supabase *s)
{
    for (int i = 0; i < SUPABASE_READY_MAX; i++) {
        struct job *job = queue_take(&s->ready, NULL);
        if (!job)
            return;
        const char *message = NULL;
        enum err err = job_go_on(s, job, &message);
        if (err != ERR_OK)
            job_end(s, job, err, message, &(struct answer_name){0});
    }
}

/* --- the provider --------------------------------------------------------------------- */

static enum err supabase_check(struct provider *provider, struct login *login)
{
    struct supabase *s = supabase_of(provider);
    if (s->pending == SUPABASE_LOGINS_MAX)
        return ERR_BUSY;
    struct job *job = job_find(s, login);
    if (job) {
        login->next = job->logins->next;
        job->logins->next = login;
        s->pending++;
        return ERR_OK;
    }
    if (s->jobs_n == SUPABASE_TOKENS_MAX)
        return ERR_BUSY;
    job = job_new(s, login);
    enum err err = token_read(slice_of(login->token, login->token_len), &job->arena, &job->token);
    if (err == ERR_OK &&
        token_in_order(&job->token, slice_str(s->issuer), clock_utc_us() / US_PER_S)) {
        err = job_go_on(s, job, &login->message);
    } else {
        login->message = not_accepted;
        err = ERR_UNAUTHORIZED;
    }
    if (err == ERR_OK)
        s->pending++;
    else
        job_free(s, job);
    return err;
}

/* Supabase answers about tokens; a session may be revoked, a user banned, without our hearing. */
static enum err supabase_knows(struct provider *provider, struct login *login)
{
    (void)provider;
    login->message = "this credential is not renewed without a token; log in with one";
    return ERR_UNAUTHORIZED;
}

static struct login *supabase_take(struct provider *provider)
{
    struct supabase *s = supabase_of(provider);
    struct login *login = queue_take(&s->answered, NULL);
    if (!login) {
        http_work(s->http);
        take_replies(s);
        take_ready(s);
        login = queue_take(&s->answered, NULL);
    }
    if (login)
        s->pending--;
    return login;
}

static int supabase_fd(const struct provider *provider)
{
    return supabase_of_const(provider)->epoll;
}

static size_t supabase_pending(const struct provider *provider)
{
    return supabase_of_const(provider)->pending;
}

/* Half-built is fine. */
static void supabase_close(struct provider *provider)
{
    struct supabase *s = supabase_of(provider);
    struct login *login, *next;
    while (s->jobs_n > 0) {
        struct job *job = s->jobs[0];
        login = job->logins;
        job_free(s, job);
        for (; login; login = next) {
            next = login->next;
            login_free(login);
        }
    }
    while (s->answered.items && (login = queue_take(&s->answered, NULL)) != NULL)
        login_free(login);
    http_get_free(s->keys_get);
    http_close(s->http);
    jwks_release(&s->keys);
    queue_release(&s->ready);
    queue_release(&s->answered);
    if (s->epoll >= 0)
        close(s->epoll);
    free(s);
}

/* --- opening --------------------------------------------------------------------------- */

static enum err open_http(struct supabase *s, const struct supabase_config *config,
                          char ret_error[static SUPABASE_ERROR_BYTES])
{
    char fault[HTTP_ERROR_BYTES];
    struct http_config http = {.url = config->url,
                               .key = config->key ? config->key : "",
                               .ca_file = config->ca_file,
                               .allow_http = config->allow_http};
    enum err err = http_open(&http, &s->http, fault);
    if (err == ERR_OK)
        return ERR_OK;
    const char *setting = err == ERR_LIMIT     ? "SUPABASE_KEY (or --supabase-key-file)"
                          : err == ERR_UNKNOWN ? "--supabase-ca-file"
                                               : "--supabase-url";
    snprintf(ret_error, SUPABASE_ERROR_BYTES, "%s %s", setting, fault);
    return err == ERR_IO ? ERR_IO : ERR_FORMAT;
}

static enum err issuer_take(struct supabase *s, const char *issuer,
                            char ret_error[static SUPABASE_ERROR_BYTES])
{
    size_t len = 0;
    if (!issuer)
        len =
            (size_t)snprintf(s->issuer, sizeof(s->issuer), "%s%s", http_url(s->http), issuer_path);
    else if (strcmp(issuer, "none") != 0)
        len = (size_t)snprintf(s->issuer, sizeof(s->issuer), "%s", issuer);
    if (len < sizeof(s->issuer))
        return ERR_OK;
    snprintf(ret_error, SUPABASE_ERROR_BYTES, "--supabase-issuer is too long");
    return ERR_FORMAT;
}

static bool watch(const struct supabase *s, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static enum err start(struct supabase *s, char ret_error[static SUPABASE_ERROR_BYTES])
{
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll >= 0 && queue_init(&s->ready, SUPABASE_TOKENS_MAX) == ERR_OK &&
        queue_init(&s->answered, SUPABASE_LOGINS_MAX) == ERR_OK && watch(s, http_fd(s->http)) &&
        watch(s, queue_fd(&s->ready)) && watch(s, queue_fd(&s->answered)))
        return ERR_OK;
    snprintf(ret_error, SUPABASE_ERROR_BYTES, "Supabase cannot be used: %s", strerror(errno));
    return ERR_IO;
}

enum err supabase_open(const struct supabase_config *config, struct provider **ret_provider,
                       char ret_error[static SUPABASE_ERROR_BYTES])
{
    struct supabase *s = mem_alloc(sizeof(*s));
    s->provider = (struct provider){
        .check = supabase_check,
        .knows = supabase_knows,
        .take = supabase_take,
        .fd = supabase_fd,
        .pending = supabase_pending,
        .close = supabase_close,
    };
    s->epoll = -1;
    enum err err = open_http(s, config, ret_error);
    if (err == ERR_OK)
        err = issuer_take(s, config->issuer, ret_error);
    if (err == ERR_OK)
        err = start(s, ret_error);
    if (err != ERR_OK) {
        supabase_close(&s->provider);
        return err;
    }
    *ret_provider = &s->provider;
    return ERR_OK;
}
