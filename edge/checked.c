/*
 *            known ──────────────────────────────────────▶ payload
 *   key ──▶ nobody is at it: claim, check the signature, settle ──▶ payload
 *            somebody is at it: payload first; if it is not known by then, check the signature, too
 *
 * Invariants
 *   I1  a key is remembered only once its signature was right: what is refused pushes nothing out.
 *   I2  a claim is its holder's, who settles it; it bounds work, and nobody relies on it.
 */
#include "edge/checked.h"

#include "base/check.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>

enum { CLAIMS_MAX = 32, NO_CLAIM = -1 };

struct checked {
    pthread_mutex_t lock;
    struct sig_cache known;
    struct hash claims[CLAIMS_MAX]; /* being checked; zero: free */
};

enum look { KNOWN, MINE, SOMEBODYS };

struct checked *checked_new(void)
{
    struct checked *c = mem_alloc(sizeof(*c));
    CHECK(pthread_mutex_init(&c->lock, NULL) == 0);
    return c;
}

void checked_free(struct checked *c)
{
    if (!c)
        return;
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* [locked] */
static int claim_of(const struct checked *c, const struct hash *key)
{
    for (int i = 0; i < CLAIMS_MAX; i++)
        if (hash_eq(&c->claims[i], key))
            return i;
    return NO_CLAIM;
}

/* ret_claim: of MINE; none if all are taken. */
static enum look look_up(struct checked *c, const struct hash *key, int *ret_claim)
{
    static const struct hash free_claim;
    enum look look = MINE;
    pthread_mutex_lock(&c->lock);
    if (sig_cache_has(&c->known, key)) {
        look = KNOWN;
    } else if (claim_of(c, key) != NO_CLAIM) {
        look = SOMEBODYS;
    } else {
        *ret_claim = claim_of(c, &free_claim);
        if (*ret_claim != NO_CLAIM)
            c->claims[*ret_claim] = *key;
    }
    pthread_mutex_unlock(&c->lock);
    return look;
}

static bool is_known(struct checked *c, const struct hash *key)
{
    pthread_mutex_lock(&c->lock);
    bool known = sig_cache_has(&c->known, key);
    pthread_mutex_unlock(&c->lock);
    return known;
}

static void settle(struct checked *c, const struct hash *key, int claim, bool right)
{
    pthread_mutex_lock(&c->lock);
    if (claim != NO_CLAIM)
        c->claims[claim] = (struct hash){0}; /* I2 */
    if (right)
        sig_cache_add(&c->known, key); /* I1 */
    pthread_mutex_unlock(&c->lock);
}

static enum err statement_verify(struct checked *c, const struct part *p, const struct hash *key,
                                 int claim)
{
    enum err err = part_check_statement(p);
    settle(c, key, claim, err == ERR_OK);
    return err;
}

enum err checked_verify(struct checked *c, const struct part *p)
{
    if (!c)
        return part_verify(p, NULL);
    struct hash key = part_key(p);
    int claim = NO_CLAIM;
    enum look look = look_up(c, &key, &claim);
    enum err err = ERR_OK;
    if (look == MINE)
        err = statement_verify(c, p, &key, claim);
    if (err == ERR_OK)
        err = part_check_payload(p);
    if (err == ERR_OK && look == SOMEBODYS && !is_known(c, &key))
        err = statement_verify(c, p, &key, NO_CLAIM);
    return err;
}
