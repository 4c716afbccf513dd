#ifndef AUTH_EDGE_PROVIDER_H
#define AUTH_EDGE_PROVIDER_H
/*
 * Who somebody is: the interface to whatever keeps the users of a zone. A
 * provider is asked with a login and answers later, without ever making the
 * loop wait; what it does meanwhile (a thread, a transfer) is its own affair.
 *
 *   zone_receive --> login --> provider->check ... provider->take --> zone_login_answer
 *                      '-----> provider->knows ------------------------'
 *
 * All functions: the loop's thread.
 */
#include "wire/auth.h"
#include "wire/topic.h"

/* One question and its answer. Heap; login_free wipes it. */
struct login {
    /* The question: user and password, or a token (the other is empty). */
    char user[USER_BYTES_MAX];
    size_t user_len;
    char password[PASSWORD_BYTES_MAX];
    size_t password_len;
    char token[JWT_BYTES_MAX];
    size_t token_len;
    uint64_t renews; /* not 0: only whether `subject` is still known; serial of the credential */

    /* What the authority needs again with the answer. */
    char client_id[REPLY_ID_BYTES_MAX]; /* empty: answered under the subject */
    size_t client_id_len;
    struct pubkey pk;
    struct hash request;
    uint64_t request_us;

    /*
     * The answer. ERR_OK: subject and name are set (a renewal comes with its subject).
     * ERR_UNAUTHORIZED: not a user of this zone, or not the secret. ERR_BUSY: unknown; says nothing
     * about the user. ERR_IO: our fault.
     */
    enum err err;
    const char *message; /* static, for the user; NULL: what the error says by itself */
    struct id subject;
    char name[NAME_BYTES_MAX];
    size_t name_len;

    struct login *next; /* the provider's, while it has the login */
};

/* login_new: zeroed. login_free: wipe and free; NULL is fine. */
struct login *login_new(void);
void login_free(struct login *login);

struct provider {
    /*
     * check: begin. On ERR_OK the login is the provider's until take gives it
     * back; otherwise it stays the caller's, and is answered: ERR_BUSY: no room
     * for another one now. ERR_UNAUTHORIZED: refused at sight. ERR_IO: the users
     * cannot be read.
     */
    enum err (*check)(struct provider *provider, struct login *login);
    /*
     * knows: whether somebody who logged in once is still a user, without anything secret, for a
     * renewal. ERR_OK: login->name is set. ERR_UNAUTHORIZED: no, or it cannot be told here;
     * login->message says how to go on. ERR_IO: the users cannot be read.
     */
    enum err (*knows)(struct provider *provider, struct login *login);
    /* take: go on with what can be done without waiting; the next answered login, or NULL. */
    struct login *(*take)(struct provider *provider);
    /* fd: readable when take is worth calling; for poll() only. */
    int (*fd)(const struct provider *provider);
    /* pending: logins that check took and take has not given back. */
    size_t (*pending)(const struct provider *provider);
    /* close: give up what is pending (freeing it) and free the provider. */
    void (*close)(struct provider *provider);
};

#endif
