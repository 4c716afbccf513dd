/*
 * Why: the broker's plugin answers later, or never; what was promised to a
 * principal must not depend on which.
 *
 *   job   ready --command--> sent --response--> done, or ready again for its next step
 *           ^                 |
 *           +-- time, link ---+  (an account that is to end, BROKER_USER_ENROL's password)
 *                             +--> failed (what somebody waits for)
 *
 * Invariants
 *   I1  nothing is taken as there that the plugin has not said, since the account was last
 *       wanted, to be there with the password of its generation.
 *   I2  an account that is to end is asked to, until the plugin has said so.
 *   I3  jobs of one account come one after the other, in the order in which they were made.
 */
#include "auth_edge/accounts.h"

#include "auth_edge/broker.h"
#include "auth_edge/rate.h"
#include "base/check.h"
#include "base/mem.h"
#include "wire/json.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    JOBS_MAX = ACCOUNTS_HELD_MAX + ACCOUNTS_ENDING_MAX + 1,
    ERROR_BYTES = 256,
};

enum job_kind { JOB_NONE, JOB_MAKE, JOB_END, JOB_ENROL };
enum job_state { JOB_READY, JOB_SENT, JOB_DONE, JOB_FAILED };

struct job {
    enum job_kind kind;
    enum job_state state;
    struct broker_client client; /* as it was found */
    bool exists;                 /* MAKE: the plugin has it already: set its password, enable it */
    bool again;                  /* MAKE: even where it has been there for long */
    uint32_t number;             /* in what is sent and answered */
    uint64_t order, sent_us;
    void *held; /* MAKE */
};

/* Somebody who was told his login, and when. */
struct told {
    struct id subject;
    uint64_t mono_us;
};

struct accounts {
    uint8_t key[KEY_BYTES];
    struct clients clients;
    char enrol_password[BROKER_PASSWORD_BYTES];
    bool up;
    struct rate rate;
    uint32_t last_number;
    uint64_t last_order;
    struct job jobs[JOBS_MAX];
    struct told told[ACCOUNTS_RECENT_MAX]; /* a ring */
    size_t told_next;
    char error[ERROR_BYTES];
};

struct accounts *accounts_new(const uint8_t key[static KEY_BYTES], struct clients clients)
{
    struct accounts *a = mem_alloc(sizeof(*a));
    memcpy(a->key, key, KEY_BYTES);
    a->clients = clients;
    a->rate = (struct rate){.per_s_max = BROKER_CLIENTS_PER_S_MAX};
    return a;
}

void accounts_free(struct accounts *accounts)
{
    if (!accounts)
        return;
    crypto_wipe(accounts, sizeof(*accounts));
    free(accounts);
}

/* --- jobs ------------------------------------------------------------------------- */

static size_t jobs_of(const struct accounts *a, enum job_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < JOBS_MAX; i++)
        n += a->jobs[i].kind == kind;
    return n;
}

/* NULL: as many as may be. */
static struct job *job_new(struct accounts *a, enum job_kind kind)
{
    static const size_t max[] = {
        [JOB_MAKE] = ACCOUNTS_HELD_MAX, [JOB_END] = ACCOUNTS_ENDING_MAX, [JOB_ENROL] = 1};
    if (jobs_of(a, kind) >= max[kind])
        return NULL;
    struct job *job = a->jobs;
    while (job->kind != JOB_NONE)
        job++;
    *job = (struct job){.kind = kind, .order = ++a->last_order};
    return job;
}

static bool same_account(const struct job *x, const struct job *y)
{
    return x->kind != JOB_ENROL && y->kind != JOB_ENROL &&
           id_eq(&x->client.subject, &y->client.subject);
}

/* I3: the oldest that is ready and has no older one of its account under way. */
static struct job *job_ready(struct accounts *a)
{
    struct job *first = NULL;
    for (size_t i = 0; i < JOBS_MAX; i++) {
        struct job *job = &a->jobs[i];
        bool waits = job->kind == JOB_NONE || job->state != JOB_READY;
        for (size_t k = 0; k < JOBS_MAX && !waits; k++)
            waits = a->jobs[k].kind != JOB_NONE && a->jobs[k].state <= JOB_SENT &&
                    a->jobs[k].order < job->order && same_account(&a->jobs[k], job);
        if (!waits && (!first || job->order < first->order))
            first = job;
    }
    return first;
}

static bool ending(const struct accounts *a, const struct id *subject)
{
    for (size_t i = 0; i < JOBS_MAX; i++)
        if (a->jobs[i].kind == JOB_END && id_eq(&a->jobs[i].client.subject, subject))
            return true;
    return false;
}

static void begin_enrol(struct accounts *a)
{
    struct job *job = job_new(a, JOB_ENROL);
    for (size_t i = 0; i < JOBS_MAX && !job; i++)
        if (a->jobs[i].kind == JOB_ENROL)
            job = &a->jobs[i];
    job->state = JOB_READY;
}

void accounts_secret(struct accounts *accounts, const uint8_t zone_secret[static KEY_BYTES])
{
    char password[BROKER_PASSWORD_BYTES];
    broker_enrol_password(zone_secret, password);
    if (memcmp(password, accounts->enrol_password, sizeof(password)) != 0) {
        memcpy(accounts->enrol_password, password, sizeof(password));
        begin_enrol(accounts);
    }
    crypto_wipe(password, sizeof(password));
}

/* What was not answered: somebody waits for it, or it is asked again. */
static void give_up(struct job *job)
{
    job->state = job->kind == JOB_MAKE ? JOB_FAILED : JOB_READY;
}

void accounts_link(struct accounts *accounts, bool up)
{
    accounts->up = up;
    for (size_t i = 0; i < JOBS_MAX; i++)
        if (accounts->jobs[i].kind != JOB_NONE && accounts->jobs[i].state <= JOB_SENT)
            give_up(&accounts->jobs[i]);
    if (up)
        begin_enrol(accounts); /* the broker may have been put back from a backup */
}

/* Whether he was told lately; and from now on he was. */
static bool told_lately(struct accounts *a, const struct id *subject, uint64_t mono_us)
{
    bool lately = false;
    for (size_t i = 0; i < ACCOUNTS_RECENT_MAX; i++) {
        struct told *told = &a->told[i];
        if (!id_eq(&told->subject, subject))
            continue;
        lately = lately || mono_us - told->mono_us < ACCOUNTS_AGAIN_MAX_US;
        *told = (struct told){0};
    }
    a->told[a->told_next] = (struct told){*subject, mono_us};
    a->told_next = (a->told_next + 1) % ACCOUNTS_RECENT_MAX;
    return lately;
}

enum err accounts_hold(struct accounts *accounts, enum credential_kind kind,
                       const struct id *subject, void *held, uint64_t mono_us)
{
    struct broker_client client;
    if (!accounts->up)
        return ERR_BUSY;
    enum err err = accounts->clients.find(accounts->clients.ctx, kind, subject, &client);
    if (err != ERR_OK)
        return err;
    if (client.state == CLIENT_ENDING || jobs_of(accounts, JOB_MAKE) >= ACCOUNTS_HELD_MAX)
        return ERR_BUSY;
    if (client.state != CLIENT_THERE && !rate_take(&accounts->rate, mono_us))
        return ERR_BUSY;
    struct job *job = job_new(accounts, JOB_MAKE);
    job->again = told_lately(accounts, subject, mono_us) && client.state == CLIENT_THERE &&
                 rate_take(&accounts->rate, mono_us);
    job->client = client;
    job->held = held;
    return ERR_OK;
}

static void *give_back(struct job *job)
{
    void *held = job->held;
    *job = (struct job){0};
    return held;
}

void *accounts_take(struct accounts *accounts, bool *ret_ok)
{
    for (size_t i = 0; i < JOBS_MAX; i++) {
        struct job *job = &accounts->jobs[i];
        if (job->kind == JOB_MAKE && job->state >= JOB_DONE) {
            *ret_ok = job->state == JOB_DONE;
            return give_back(job);
        }
    }
    return NULL;
}

void *accounts_drop(struct accounts *accounts)
{
    for (size_t i = 0; i < JOBS_MAX; i++)
        if (accounts->jobs[i].kind == JOB_MAKE)
            return give_back(&accounts->jobs[i]);
    return NULL;
}

/* --- what the plugin is told ------------------------------------------------------ */

static void put_command(struct json_out *out, const struct job *job, const char *command,
                        const char *user, const char *password)
{
    char number[16];
    snprintf(number, sizeof(number), "%u", job->number);
    json_put_open(out, NULL, '{');
    json_put_str(out, "command", command);
    json_put_str(out, "correlationData", number);
    json_put_str(out, "username", user);
    if (password)
        json_put_str(out, "password", password);
}

static void put_create(struct json_out *out, const struct job *job, const char *password)
{
    put_command(out, job, "createClient", job->client.subject.s, password);
    json_put_open(out, "roles", '[');
    json_put_open(out, NULL, '{');
    json_put_str(out, "rolename",
                 job->client.kind == CREDENTIAL_EDGE ? BROKER_ROLE_EDGE : BROKER_ROLE_STREAMER);
    json_put_close(out, '}');
    json_put_close(out, ']');
    json_put_close(out, '}');
}

static void put_make(const struct accounts *a, struct json_out *out, const struct job *job)
{
    char password[BROKER_PASSWORD_BYTES];
    const char *user = job->client.subject.s;
    broker_password(a->key, job->client.kind, &job->client.subject, job->client.generation,
                    password);
    if (!job->exists) {
        put_create(out, job, password);
    } else {
        put_command(out, job, "setClientPassword", user, password);
        json_put_close(out, '}');
        put_command(out, job, "enableClient", user, NULL);
        json_put_close(out, '}');
    }
    crypto_wipe(password, sizeof(password));
}

struct slice accounts_command(struct accounts *accounts, uint64_t mono_us, struct arena *arena)
{
    struct job *job = accounts->up ? job_ready(accounts) : NULL;
    if (!job)
        return (struct slice){0};
    job->number = ++accounts->last_number;
    job->state = JOB_SENT;
    job->sent_us = mono_us;
    struct json_out out = json_begin(arena, ACCOUNTS_COMMAND_BYTES_MAX);
    json_put_open(&out, "commands", '[');
    if (job->kind == JOB_MAKE) {
        put_make(accounts, &out, job);
    } else {
        bool end = job->kind == JOB_END;
        put_command(&out, job, end ? "disableClient" : "setClientPassword",
                    end ? job->client.subject.s : BROKER_USER_ENROL,
                    end ? NULL : accounts->enrol_password);
        json_put_close(&out, '}');
    }
    json_put_close(&out, ']');
    return json_end(&out);
}

/* --- what it answers -------------------------------------------------------------- */

/* The plugin's words, in Mosquitto 2.0. */
static const char already_exists[] = "Client already exists", not_found[] = "Client not found";

static void note_error(struct accounts *a, const struct job *job, struct slice error)
{
    snprintf(a->error, sizeof(a->error), "the broker refuses to change the account of %s: %.*s",
             job->kind == JOB_ENROL ? BROKER_USER_ENROL : job->client.subject.s,
             (int)(error.len < 128 ? error.len : 128), (const char *)error.ptr);
}

/* I1 */
static void made(struct accounts *a, struct job *job, struct slice error)
{
    bool exists = !job->exists && slice_eq_str(error, already_exists);
    if (exists && (job->again || job->client.state != CLIENT_THERE)) {
        job->exists = true;
        job->state = JOB_READY;
        return;
    }
    if (error.len && !exists)
        note_error(a, job, error);
    bool ok = !error.len || exists;
    if (ok && a->clients.confirm(a->clients.ctx, &job->client.subject, CLIENT_THERE) != ERR_OK)
        ok = false;
    job->state = ok ? JOB_DONE : JOB_FAILED;
}

/* I2: what is not confirmed is found again in the table. */
static void ended(struct accounts *a, struct job *job, struct slice error)
{
    if (!error.len || slice_eq_str(error, not_found))
        (void)a->clients.confirm(a->clients.ctx, &job->client.subject, CLIENT_GONE);
    else
        note_error(a, job, error);
    *job = (struct job){0};
}

static void answered(struct accounts *a, struct job *job, struct slice error)
{
    if (job->kind == JOB_MAKE) {
        made(a, job, error);
    } else if (job->kind == JOB_END) {
        ended(a, job, error);
    } else {
        if (error.len)
            note_error(a, job, error);
        *job = (struct job){0};
    }
}

/* The number in the responses of one message, and the first error of them. */
static bool read_response(struct slice payload, struct arena *arena, uint32_t *ret_number,
                          struct slice *ret_error)
{
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    size_t n = 0;
    uint32_t number = 0;
    struct slice error = {0};
    const struct cJSON *item = json_array(&j, "responses", 2, &n);
    for (; item; item = json_next(item)) {
        j.at = item;
        number = json_u32(&j, "correlationData");
        struct slice text = json_text(&j, "error", ERROR_BYTES);
        if (!error.len)
            error = text;
    }
    *ret_number = number;
    *ret_error = error;
    return j.err == ERR_OK && number > 0;
}

void accounts_response(struct accounts *accounts, struct slice payload, struct arena *arena)
{
    uint32_t number;
    struct slice error;
    if (!read_response(payload, arena, &number, &error))
        return;
    for (size_t i = 0; i < JOBS_MAX; i++) {
        struct job *job = &accounts->jobs[i];
        if (job->kind != JOB_NONE && job->state == JOB_SENT && job->number == number)
            answered(accounts, job, error);
    }
}

enum err accounts_tick(struct accounts *accounts, uint64_t mono_us)
{
    struct broker_client client = {.subject.s = ""};
    enum err err = ERR_OK;
    for (size_t i = 0; i < JOBS_MAX; i++) {
        struct job *job = &accounts->jobs[i];
        if (job->kind != JOB_NONE && job->state == JOB_SENT &&
            mono_us - job->sent_us >= ACCOUNTS_ANSWER_MAX_US)
            give_up(job);
    }
    for (;;) {
        err = accounts->clients.next_ending(accounts->clients.ctx, client.subject.s, &client);
        if (err != ERR_OK)
            return err == ERR_UNKNOWN ? ERR_OK : err;
        struct job *job = ending(accounts, &client.subject) ? NULL : job_new(accounts, JOB_END);
        if (job)
            job->client = client;
        else if (jobs_of(accounts, JOB_END) >= ACCOUNTS_ENDING_MAX)
            return ERR_OK;
    }
}

void accounts_error(struct accounts *accounts, char ret[static 256])
{
    memcpy(ret, accounts->error, ERROR_BYTES);
    accounts->error[0] = '\0';
}
