/*
 *   I1  What is held and what is kept only ever become newer (revocations_newer).
 *   I2  Between processes of one home that is so because whoever writes holds a lock
 *       on the folder while it compares.
 */
#include "client/revocations.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "wire/message.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
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

enum err revocation_list_take(struct revocation_list *l, const struct zone_params *zone,
                              struct slice bytes)
{
    struct revocations list;
    if (bytes.len > REVOCATIONS_OBJECT_BYTES_MAX)
        return ERR_LIMIT;
    if (l->bytes && slice_eq(bytes, slice_of(l->bytes, l->len)))
        return ERR_CONFLICT; /* cheap, and what comes most often */
    enum err err = revocations_open(bytes, zone, &list);
    if (err != ERR_OK)
        return err;
    if (l->bytes && !revocations_newer(&list, &l->list))
        return ERR_CONFLICT; /* I1 */
    uint8_t *copy = mem_alloc_raw(bytes.len);
    memcpy(copy, bytes.ptr, bytes.len);
    mem_free_ptr(&l->bytes);
    l->bytes = copy;
    l->len = bytes.len;
    return revocations_open(slice_of(copy, bytes.len), zone, &l->list);
}

/* I2: the lock is held. A kept list of a later epoch than is known here is newer than ours. */
static enum err keep_if_newer(const struct revocation_list *l, const struct identity *identity,
                              const struct zone_params *zone)
{
    struct revocation_list kept = {0};
    enum err err = revocation_list_load(identity, zone, &kept);
    bool newer = err == ERR_OK ? revocations_newer(&l->list, &kept.list) : err != ERR_NOT_READY;
    revocation_list_release(&kept);
    return newer ? identity_write(identity, "revocations", slice_of(l->bytes, l->len)) : ERR_OK;
}

enum err revocation_list_keep(const struct revocation_list *l, const struct identity *identity,
                              const struct zone_params *zone)
{
    if (!l->bytes)
        return ERR_OK;
    enum err err = file_make_dir(identity->home);
    if (err != ERR_OK)
        return err;
    int fd = open(identity->home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ERR_IO;
    err = flock(fd, LOCK_EX) == 0 ? keep_if_newer(l, identity, zone) : ERR_IO;
    close(fd);
    return err;
}

bool revocation_list_overdue(const struct revocation_list *l, uint64_t utc_us)
{
    return l->bytes && utc_us > l->list.next_us &&
           utc_us - l->list.next_us > REVOCATIONS_OVERDUE_US;
}
