/*
 *   I1  What is held and what is kept only ever become newer (revocations_newer), or say the same
 *       dated right. A list that is dated ahead still says who is revoked, also to a clock that is
 *       behind auth_edge's; but it holds up nothing, and its age is not believed.
 *   I2  Between processes of one home that is so because whoever writes holds the
 *       home's lock while it compares.
 */
#include "client/revocations.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/date.h"
#include "base/file.h"
#include "base/mem.h"
#include "wire/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { KEPT_TEXT_BYTES_MAX = (REVOCATIONS_OBJECT_BYTES_MAX + 2) / 3 * 4 + 2 };

void revocation_list_release(struct revocation_list *l)
{
    mem_free_ptr(&l->bytes);
    *l = (struct revocation_list){0};
}

/* As revocations_open, but a key that the zone's links lead back to is fine, too. */
static enum err open_kept(struct slice bytes, const struct zone_params *zone,
                          struct revocations *ret)
{
    struct slice body;
    struct signature sig;
    struct revocations list;
    struct pubkey pk;
    enum err err = signed_split(bytes, &body, &sig);
    if (err == ERR_OK)
        err = revocations_decode(body, &list);
    if (err == ERR_OK && !id_eq(&list.zone_id, &zone->zone_id))
        err = ERR_UNAUTHORIZED;
    if (err == ERR_OK)
        err = zone_key_of(zone, list.key_epoch, &pk);
    if (err == ERR_OK)
        err = object_check(OBJECT_REVOCATIONS, body, &sig, &pk);
    if (err == ERR_OK)
        *ret = list;
    return err;
}

enum err revocation_list_load(const struct identity *identity, const struct zone_params *zone,
                              struct revocation_list *ret)
{
    char path[IDENTITY_PATH_BYTES_MAX];
    CLEANUP(mem_free_ptr) char *text = NULL;
    size_t len;
    identity_path(identity, "revocations", path);
    enum err err = file_read(path, KEPT_TEXT_BYTES_MAX, &text, &len);
    if (err != ERR_OK)
        return err;
    while (len && text[len - 1] == '\n')
        len--;
    struct revocation_list l = {.bytes = mem_alloc(REVOCATIONS_OBJECT_BYTES_MAX)};
    err = b64_decode(slice_of(text, len), l.bytes, REVOCATIONS_OBJECT_BYTES_MAX, &l.len);
    if (err == ERR_OK)
        err = open_kept(slice_of(l.bytes, l.len), zone, &l.list);
    if (err == ERR_OK)
        *ret = l;
    else
        revocation_list_release(&l);
    return err;
}

static bool ahead(const struct revocations *list, uint64_t utc_us)
{
    return list->issued_us > utc_us && list->issued_us - utc_us > REVOCATIONS_AHEAD_MAX_US;
}

/* I1. One number has one content: of that, what is dated ahead adds nothing, and gives way to
 * what auth_edge says now. (An edge, edge/core/revocation.c, keeps to the second alone: it goes
 * by the time that a list shows where its own clock is behind, so it takes one dated ahead again.)
 */
static bool replaces(const struct revocations *list, const struct revocations *held,
                     uint64_t utc_us)
{
    bool again = list->key_epoch == held->key_epoch && list->number == held->number;
    if (again && ahead(list, utc_us))
        return false;
    bool now = list->issued_us >= utc_us || utc_us - list->issued_us <= TIME_WINDOW_US;
    if (again && now && ahead(held, utc_us) && slice_eq(list->entries, held->entries))
        return true;
    return revocations_newer(list, held);
}

enum err revocation_list_take(struct revocation_list *l, const struct zone_params *zone,
                              struct slice bytes, uint64_t utc_us)
{
    struct revocations list;
    if (bytes.len > REVOCATIONS_OBJECT_BYTES_MAX)
        return ERR_LIMIT;
    if (l->bytes && slice_eq(bytes, slice_of(l->bytes, l->len)))
        return ERR_CONFLICT; /* cheap, and what comes most often */
    enum err err = revocations_open(bytes, zone, &list);
    if (err != ERR_OK)
        return err;
    if (l->bytes && !replaces(&list, &l->list, utc_us))
        return ERR_CONFLICT;
    uint8_t *copy = mem_alloc_raw(bytes.len);
    memcpy(copy, bytes.ptr, bytes.len);
    mem_free_ptr(&l->bytes);
    l->bytes = copy;
    l->len = bytes.len;
    return revocations_open(slice_of(copy, bytes.len), zone, &l->list);
}

void revocation_list_adopt(struct revocation_list *l, struct revocation_list *other,
                           uint64_t utc_us)
{
    if (other->bytes && (!l->bytes || replaces(&other->list, &l->list, utc_us))) {
        revocation_list_release(l);
        *l = *other;
        *other = (struct revocation_list){0};
    }
    revocation_list_release(other);
}

/* I2: the lock is held. A kept list of a later epoch than is known here is newer than ours. */
static enum err keep_if_newer(const struct revocation_list *l, const struct identity *identity,
                              const struct zone_params *zone, uint64_t utc_us)
{
    struct revocation_list kept = {0};
    enum err err = revocation_list_load(identity, zone, &kept);
    bool newer = err == ERR_OK ? replaces(&l->list, &kept.list, utc_us) : err != ERR_NOT_READY;
    revocation_list_release(&kept);
    return newer ? identity_write(identity, "revocations", slice_of(l->bytes, l->len)) : ERR_OK;
}

enum err revocation_list_keep(const struct revocation_list *l, const struct identity *identity,
                              const struct zone_params *zone, uint64_t utc_us)
{
    int lock;
    if (!l->bytes)
        return ERR_OK;
    enum err err = identity_lock(identity, &lock);
    if (err != ERR_OK)
        return err;
    err = keep_if_newer(l, identity, zone, utc_us);
    close(lock);
    return err;
}

bool revocation_list_overdue(const struct revocation_list *l, uint64_t utc_us)
{
    return l->bytes && utc_us > l->list.next_us &&
           utc_us - l->list.next_us > REVOCATIONS_OVERDUE_US;
}

bool revocation_list_ahead(const struct revocation_list *l, uint64_t utc_us)
{
    return l->bytes && ahead(&l->list, utc_us);
}

bool revocation_list_fresh(const struct revocation_list *l, uint64_t utc_us)
{
    return l->bytes && !ahead(&l->list, utc_us) &&
           utc_us <= l->list.issued_us + REVOCATIONS_FRESH_S * 1000000ull;
}

void revocation_list_tell(const struct revocation_list *l, uint64_t utc_us,
                          char ret[static REVOCATIONS_TEXT_BYTES])
{
    char issued[ISO8601_BYTES];
    if (!l->bytes) {
        snprintf(ret, REVOCATIONS_TEXT_BYTES,
                 "no list of revocations has ever come here, so what a revoked streamer signed "
                 "would count like anybody's");
        return;
    }
    clock_iso8601(l->list.issued_us, issued);
    if (ahead(&l->list, utc_us))
        snprintf(ret, REVOCATIONS_TEXT_BYTES,
                 "the list of revocations is of %s, which is still to come by the clock here: one "
                 "clock is wrong, and who was revoked lately may not be known",
                 issued);
    else
        snprintf(ret, REVOCATIONS_TEXT_BYTES,
                 "the list of revocations is %llu s old (%s); who was revoked since is not known "
                 "here",
                 (unsigned long long)(utc_us < l->list.issued_us
                                          ? 0
                                          : (utc_us - l->list.issued_us) / 1000000),
                 issued);
}

bool revocation_list_worries(const struct revocation_list *l, uint64_t utc_us,
                             char ret[static REVOCATIONS_TEXT_BYTES])
{
    revocation_list_tell(l, utc_us, ret);
    return !l->bytes || ahead(&l->list, utc_us) || revocation_list_overdue(l, utc_us);
}
