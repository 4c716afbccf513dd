/*
 * Invariants
 *   I1  rows beyond what both lists name are taken for neither missing nor superfluous.
 *   I2  claims come before holdings, which need them.
 */
#include "edge/core/differ.h"

#include <stdlib.h>

static bool is_claim(const struct sync_entry *e)
{
    return e->kind == SYNC_ROW_CLAIM || e->kind == SYNC_ROW_DELETION;
}

/* By what it is about: a claim and its deletion are about the same. */
static int subject_order(const struct sync_entry *a, const struct sync_entry *b)
{
    int class_a = is_claim(a) ? SYNC_ROW_CLAIM : (int)a->kind;
    int class_b = is_claim(b) ? SYNC_ROW_CLAIM : (int)b->kind;
    return class_a != class_b ? class_a - class_b : memcmp(a->key, b->key, SYNC_KEY_BYTES);
}

static int by_digest(const void *a, const void *b)
{
    const struct sync_entry *x = a;
    const struct sync_entry *y = b;
    return memcmp(x->digest, y->digest, SYNC_ROW_DIGEST_BYTES);
}

static int by_subject(const void *a, const void *b)
{
    int order = subject_order(a, b);
    return order ? order : by_digest(a, b);
}

static bool newer(const struct sync_entry *a, const struct sync_entry *b)
{
    if (a->version != b->version)
        return a->version > b->version;
    return a->kind == SYNC_ROW_DELETION && b->kind == SYNC_ROW_CLAIM;
}

struct entries {
    struct sync_entry *e;
    size_t n;
};

/* A copy of those above `from` and, if there is a bound, up to it; by digest. */
static struct entries within(struct arena *arena, const struct sync_leaf *leaf,
                             const uint8_t *through)
{
    struct entries in = {.e = arena_alloc(arena, leaf->n * sizeof(*in.e))};
    for (size_t i = 0; i < leaf->n; i++)
        if (!through || memcmp(leaf->entries[i].digest, through, SYNC_ROW_DIGEST_BYTES) <= 0)
            in.e[in.n++] = leaf->entries[i];
    qsort(in.e, in.n, sizeof(*in.e), by_digest);
    return in;
}

/* What the other does not have, by subject. */
static struct entries without(struct arena *arena, struct entries of, struct entries other)
{
    struct entries rest = {.e = arena_alloc(arena, of.n * sizeof(*rest.e))};
    for (size_t i = 0; i < of.n; i++)
        if (!other.n || !bsearch(&of.e[i], other.e, other.n, sizeof(*other.e), by_digest))
            rest.e[rest.n++] = of.e[i];
    qsort(rest.e, rest.n, sizeof(*rest.e), by_subject);
    return rest;
}

/* Those of `of` that the other has not in a newer version. */
static size_t not_surpassed(struct entries of, struct entries other, uint16_t leaf,
                            struct sync_want **ret, struct arena *arena)
{
    struct sync_want *rows = arena_alloc(arena, of.n * sizeof(*rows));
    size_t n = 0;
    size_t k = 0;
    for (size_t i = 0; i < of.n; i++) {
        while (k < other.n && subject_order(&other.e[k], &of.e[i]) < 0)
            k++;
        bool surpassed = false;
        for (size_t l = k; l < other.n && subject_order(&other.e[l], &of.e[i]) == 0; l++)
            surpassed |= newer(&other.e[l], &of.e[i]);
        if (surpassed)
            continue;
        rows[n] = (struct sync_want){.leaf = leaf};
        memcpy(rows[n++].digest, of.e[i].digest, SYNC_ROW_DIGEST_BYTES);
    }
    *ret = rows;
    return n;
}

/* How far both lists of a leaf go; NULL: to the end. I1 */
static const uint8_t *both_through(const struct sync_leaf *a, const struct sync_leaf *b)
{
    if (a->more && b->more)
        return memcmp(a->through, b->through, SYNC_ROW_DIGEST_BYTES) < 0 ? a->through : b->through;
    return a->more ? a->through : b->more ? b->through : NULL;
}

const uint8_t *differ_leaf(const struct sync_leaf *theirs, const struct sync_leaf *ours,
                           struct arena *arena, struct difference *ret)
{
    const uint8_t *through = both_through(theirs, ours);
    struct entries a = within(arena, theirs, through);
    struct entries b = within(arena, ours, through);
    struct entries only_a = without(arena, a, b);
    struct entries only_b = without(arena, b, a);
    ret->wants_n = not_surpassed(only_a, only_b, theirs->leaf, &ret->wants, arena);
    ret->rows_n = not_surpassed(only_b, only_a, theirs->leaf, &ret->rows, arena);
    return through;
}
