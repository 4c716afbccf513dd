/*
 * Why: an account without any account service, at the cost of one slow hash per
 * login that must not stop the loop.
 *
 *   check --jobs--> worker: password_verify --answers--> take
 *
 * Invariants
 *   I1  pending <= LOGIN_QUEUE_MAX, so neither queue is ever full for its producer.
 *   I2  an unknown user costs the same hash as a known one, against `nobody`.
 *   I3  a job belongs to whoever took it last: check, the worker, take or close.
 */
#include "auth_edge/local.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/queue.h"

#include <stdatomic.h>
#include <stdlib.h>

struct job {
    struct login *login;
    bool known;
    char hash[PASSWORD_HASH_BYTES];
};

struct local {
    struct provider provider; /* first: a provider is its local */
    struct store *store;
    struct queue jobs, answers; /* struct job * */
    pthread_t worker;
    atomic_bool closing;
    size_t pending;
    char nobody[PASSWORD_HASH_BYTES]; /* hash of a password that nobody has */
};

static struct local *local_of(struct provider *provider)
{
    return (struct local *)(void *)provider;
}

static const struct local *local_of_const(const struct provider *provider)
{
    return (const struct local *)(const void *)provider;
}

static void job_free(struct job *job)
{
    login_free(job->login);
    free(job);
}

/* I2. */
static void answer(struct job *job)
{
    struct login *login = job->login;
    struct slice password = slice_of(login->password, login->password_len);
    enum err err = password_verify(job->hash, password);
    login->err = job->known ? err : ERR_UNAUTHORIZED;
    crypto_wipe(login->password, sizeof(login->password));
}

static void *work(void *arg)
{
    struct local *local = arg;
    struct job *job;
    pthread_setname_np(pthread_self(), "passwords");
    while ((job = queue_wait(&local->jobs, NULL)) != NULL) {
        if (!atomic_load(&local->closing))
            answer(job);
        CHECK(queue_push(&local->answers, job) == ERR_OK); /* I1 */
    }
    return NULL;
}

static void name_copy(struct login *login, const struct store_user *user)
{
    login->name_len = strlen(user->name);
    memcpy(login->name, user->name, login->name_len);
}

static enum err local_check(struct provider *provider, struct login *login)
{
    struct local *local = local_of(provider);
    if (local->pending == LOGIN_QUEUE_MAX)
        return ERR_BUSY;
    struct store_user user;
    enum err err = store_user_find(local->store, slice_of(login->user, login->user_len), &user);
    if (err != ERR_OK && err != ERR_UNKNOWN)
        return ERR_IO;
    struct job *job = mem_alloc(sizeof(*job));
    job->login = login;
    job->known = err == ERR_OK;
    memcpy(job->hash, job->known ? user.password_hash : local->nobody, sizeof(job->hash));
    if (job->known) {
        login->subject = user.id;
        name_copy(login, &user);
    }
    CHECK(queue_push(&local->jobs, job) == ERR_OK); /* I1 */
    local->pending++;
    return ERR_OK;
}

static enum err local_knows(struct provider *provider, struct login *login)
{
    struct store_user user;
    enum err err = store_user_get(local_of(provider)->store, &login->subject, &user);
    if (err == ERR_UNKNOWN) {
        login->message = "this user is not known any more; log in again";
        return ERR_UNAUTHORIZED;
    }
    if (err != ERR_OK)
        return ERR_IO;
    name_copy(login, &user);
    return ERR_OK;
}

static struct login *local_take(struct provider *provider)
{
    struct local *local = local_of(provider);
    struct job *job = queue_take(&local->answers, NULL);
    if (!job)
        return NULL;
    struct login *login = job->login;
    free(job);
    local->pending--;
    return login;
}

static int local_fd(const struct provider *provider)
{
    return queue_fd(&local_of_const(provider)->answers);
}

static size_t local_pending(const struct provider *provider)
{
    return local_of_const(provider)->pending;
}

static void local_close(struct provider *provider)
{
    struct local *local = local_of(provider);
    struct job *job;
    atomic_store(&local->closing, true);
    queue_close(&local->jobs);
    CHECK(pthread_join(local->worker, NULL) == 0);
    while ((job = queue_take(&local->answers, NULL)) != NULL)
        job_free(job);
    queue_release(&local->jobs);
    queue_release(&local->answers);
    free(local);
}

static enum err start(struct local *local)
{
    uint8_t random[KEY_BYTES];
    crypto_random(random, sizeof(random));
    enum err err = password_hash(slice_of(random, sizeof(random)), local->nobody);
    if (err != ERR_OK)
        return err;
    err = queue_init(&local->jobs, LOGIN_QUEUE_MAX);
    if (err == ERR_OK)
        err = queue_init(&local->answers, LOGIN_QUEUE_MAX);
    if (err == ERR_OK && pthread_create(&local->worker, NULL, work, local) != 0)
        err = ERR_IO;
    return err;
}

enum err local_open(struct store *store, struct provider **ret_provider)
{
    struct local *local = mem_alloc(sizeof(*local));
    local->provider = (struct provider){
        .check = local_check,
        .knows = local_knows,
        .take = local_take,
        .fd = local_fd,
        .pending = local_pending,
        .close = local_close,
    };
    local->store = store;
    enum err err = start(local);
    if (err != ERR_OK) {
        queue_release(&local->jobs);
        queue_release(&local->answers);
        free(local);
        return err;
    }
    *ret_provider = &local->provider;
    return ERR_OK;
}
