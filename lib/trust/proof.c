#include "trust/proof.h"

#include "base/check.h"
#include "base/mem.h"

static const uint8_t magic[4] = {'E', 'V', 'P', '1'};

enum { PROOF_FIRST_CAP_BYTES = 64 * 1024 };
_Static_assert((int)PROOF_FIRST_CAP_BYTES >= (int)PROOF_HEAD_BYTES_MAX, "the head always fits");

static void patch_count(struct proof_writer *w)
{
    struct writer count = writer_of(w->buf + w->count_at, 4);
    write_u32(&count, w->chunks_n);
}

enum err proof_writer_init(struct proof_writer *w, const struct proof_head *head)
{
    const struct slice objects[] = {head->zone,     head->credential, head->video,
                                    head->manifest, head->receipt,    head->receipt_credential};
    enum { OBJECTS_N = sizeof(objects) / sizeof(objects[0]) };
    for (size_t i = 0; i < OBJECTS_N; i++)
        if (objects[i].len > OBJECT_BYTES_MAX)
            return ERR_LIMIT;
    *w = (struct proof_writer){.cap = PROOF_FIRST_CAP_BYTES};
    w->buf = mem_alloc_raw(w->cap);
    struct writer bytes = writer_of(w->buf, w->cap);
    write_bytes(&bytes, magic, sizeof(magic));
    for (size_t i = 0; i < OBJECTS_N; i++)
        write_str(&bytes, objects[i]);
    w->count_at = bytes.len;
    write_u32(&bytes, 0);
    CHECK(!bytes.full);
    w->len = bytes.len;
    return ERR_OK;
}

enum err proof_writer_add(struct proof_writer *w, const struct proof_entry *entry)
{
    CHECK(entry->statement.len <= STATEMENT_BYTES_MAX);
    if (w->chunks_n == PROOF_CHUNKS_MAX)
        return ERR_LIMIT;
    if (w->cap - w->len < PROOF_ENTRY_BYTES_MAX) {
        w->cap *= 2;
        w->buf = mem_resize(w->buf, w->cap);
    }
    struct writer bytes = writer_of(w->buf + w->len, w->cap - w->len);
    write_str(&bytes, entry->statement);
    write_bytes(&bytes, entry->sig.b, SIGNATURE_BYTES);
    CHECK(!bytes.full);
    w->len += bytes.len;
    w->chunks_n++;
    patch_count(w);
    return ERR_OK;
}

enum err proof_writer_rehead(struct proof_writer *w, const struct proof_head *head)
{
    struct proof_writer next;
    enum err err = proof_writer_init(&next, head);
    if (err != ERR_OK)
        return err;
    size_t entries_at = w->count_at + 4;
    size_t len = w->len - entries_at;
    next.cap = next.len + len + PROOF_FIRST_CAP_BYTES;
    next.buf = mem_resize(next.buf, next.cap);
    memcpy(next.buf + next.len, w->buf + entries_at, len);
    next.len += len;
    next.chunks_n = w->chunks_n;
    patch_count(&next);
    proof_writer_release(w);
    *w = next;
    return ERR_OK;
}

struct slice proof_writer_bytes(const struct proof_writer *w)
{
    return slice_of(w->buf, w->len);
}

void proof_writer_release(struct proof_writer *w)
{
    mem_free_ptr(&w->buf);
    *w = (struct proof_writer){0};
}

/* A str of at most max bytes; one that says to be longer is *ret_err = ERR_LIMIT. */
static struct slice read_limited(struct reader *r, size_t max, enum err *ret_err)
{
    uint32_t len = read_u32(r);
    if (len > max && *ret_err == ERR_OK && !r->bad)
        *ret_err = ERR_LIMIT;
    return read_bytes(r, len);
}

static void read_entry(struct reader *r, struct proof_entry *ret, enum err *ret_err)
{
    ret->statement = read_limited(r, STATEMENT_BYTES_MAX, ret_err);
    read_copy(r, ret->sig.b, SIGNATURE_BYTES);
}

enum err proof_open(struct slice bytes, struct proof *ret)
{
    struct reader r = reader_of(bytes);
    struct proof p = {0};
    enum err err = ERR_OK;
    if (!slice_eq(read_bytes(&r, sizeof(magic)), slice_of(magic, sizeof(magic))))
        return ERR_FORMAT;
    p.head.zone = read_limited(&r, OBJECT_BYTES_MAX, &err);
    p.head.credential = read_limited(&r, OBJECT_BYTES_MAX, &err);
    p.head.video = read_limited(&r, OBJECT_BYTES_MAX, &err);
    p.head.manifest = read_limited(&r, OBJECT_BYTES_MAX, &err);
    p.head.receipt = read_limited(&r, OBJECT_BYTES_MAX, &err);
    p.head.receipt_credential = read_limited(&r, OBJECT_BYTES_MAX, &err);
    p.chunks_n = read_u32(&r);
    if (p.chunks_n > PROOF_CHUNKS_MAX && err == ERR_OK)
        err = ERR_LIMIT;
    p.entries = r;
    struct proof_entry entry;
    for (uint32_t i = 0; i < p.chunks_n && err == ERR_OK && !r.bad; i++)
        read_entry(&r, &entry, &err);
    if (err != ERR_OK)
        return err;
    if (!reader_done(&r))
        return ERR_FORMAT;
    *ret = p;
    return ERR_OK;
}

bool proof_next(struct proof *p, struct proof_entry *ret)
{
    if (p->entries.len == 0)
        return false;
    enum err err = ERR_OK;
    read_entry(&p->entries, ret, &err);
    CHECK(err == ERR_OK && !p->entries.bad); /* proof_open walked it */
    return true;
}
