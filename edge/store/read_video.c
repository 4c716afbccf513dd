/*
 * One video, and its bytes.
 *
 * I1  a part is handed out only when it is charged to the budget.
 * I2  `end` is said only when the last part of a whole copy has been handed out, or nothing
 *     comes after the position that was asked for.
 */
#include "base/check.h"
#include "edge/store/read.h"

enum err read_apply(struct conn *c, const struct storage_op *op, struct storage_done *done)
{
    switch (op->kind) {
    case STORAGE_VIDEO_GET: return read_video(c, op, done);
    case STORAGE_PARTS_READ: return read_parts(c, op, done);
    case STORAGE_LIST: return read_list(c, op, done);
    case STORAGE_DB_PAGE: return read_db_page(c, op, done);
    case STORAGE_BUNDLE_PAGE: return read_bundle_page(c, op, done);
    case STORAGE_LEAVES: return read_leaves(c, op, done);
    case STORAGE_ROWS_GET: return read_rows(c, op, done);
    case STORAGE_CUSTODY_SCAN: return read_custody(c, op, done);
    case STORAGE_PROBE: return read_probe(c, op, done);
    default: check_fail("a read", __FILE__, __LINE__);
    }
}

void read_row(struct query *q, struct arena *arena, struct catalogue_row *ret)
{
    col_id(q, 0, &ret->video_id);
    ret->title = col_copy(q, 1, arena);
    ret->description = col_copy(q, 2, arena);
    ret->category = col_copy(q, 3, arena);
    ret->live = col_int(q, 4) != 0;
    ret->edges = col_copy(q, 5, arena);
    ret->thumbnail = col_copy(q, 6, arena);
    col_id(q, 7, &ret->streamer_id);
    ret->created_us = col_int(q, 8);
}

bool read_thumbnail(struct conn *c, const struct id *video_id, const struct id *streamer_id,
                    struct arena *arena, struct slice *ret_delegation, struct slice *ret_packet)
{
    struct query *q = query_of(c, Q_THUMBNAIL_GET);
    bind_id(q, 1, video_id);
    bind_id(q, 2, streamer_id);
    bool found = query_row(q);
    if (found && ret_delegation)
        *ret_delegation = col_copy(q, 0, arena);
    if (found)
        *ret_packet = col_copy(q, 1, arena);
    query_end(q);
    return found;
}

enum err read_video(struct conn *c, const struct storage_op *op, struct storage_done *done)
{
    struct query *q = query_of(c, Q_VIDEO_GET);
    struct arena *arena = &done->arena;
    bind_id(q, 1, &op->u.video_get.video_id);
    bind_id(q, 2, &c->edge_id);
    bool found = query_row(q);
    if (found) {
        const int at = READ_ROW_COLUMNS;
        struct catalogue_row *row = &done->u.video.row;
        read_row(q, arena, row);
        done->u.video.live = slice_eq_str(col_slice(q, at), "live");
        done->u.video.media_type = col_copy(q, at + 1, arena);
        done->u.video.codecs = col_copy(q, at + 2, arena);
        done->u.video.chunks = (uint32_t)col_int(q, at + 3);
        done->u.video.bytes = col_int(q, at + 4);
        done->u.video.streamer_name = col_copy(q, at + 5, arena);
        row->statement = col_copy(q, at + 6, arena);
        row->credential = col_copy(q, at + 7, arena);
        row->manifest = col_copy(q, at + 8, arena);
        col_hash(q, at + 9, &done->u.video.stream);
        done->u.video.whole = col_int(q, at + 10) != 0;
        done->u.video.custody = col_int(q, at + 11) != 0;
        done->u.video.receipt = col_copy(q, at + 12, arena);
        done->u.video.receipt_credential = col_copy(q, at + 13, arena);
    }
    query_end(q);
    if (found && done->u.video.whole)
        read_thumbnail(c, &done->u.video.row.video_id, &done->u.video.row.streamer_id, arena,
                       &done->u.video.delegation, &done->u.video.thumbnail_part);
    return found ? ERR_OK : ERR_UNKNOWN;
}

struct readable {
    uint64_t copy;
    bool whole;
    uint32_t next; /* chunks before it are whole */
};

static bool find_copy(struct conn *c, const struct id *video_id, struct readable *ret)
{
    struct query *q = query_of(c, Q_COPY_READABLE);
    bind_id(q, 1, video_id);
    bool found = query_row(q);
    if (found)
        *ret = (struct readable){col_int(q, 0), col_int(q, 1) != 0, (uint32_t)col_int(q, 2)};
    query_end(q);
    return found;
}

/* I1. ERR_LIMIT: the budget is used up. */
static enum err take_part(struct conn *c, struct query *q, struct storage_part *ret)
{
    struct slice packet = col_slice(q, 2);
    struct part part;
    if (part_decode(packet, &part) != ERR_OK || part.chunk.number != col_int(q, 0) ||
        part.index != col_int(q, 1)) {
        db_corrupt(&c->db, "a part");
        return ERR_IO;
    }
    struct msg *msg = msg_new(slice_of(NULL, 0), packet, c->budget);
    if (!msg)
        return ERR_LIMIT;
    *ret = (struct storage_part){msg, part.chunk.number, part.index, part.chunk.parts_n};
    return ERR_OK;
}

static bool is_last(const struct readable *copy, const struct storage_part *p)
{
    return copy->whole && p->chunk + 1 == copy->next && p->index + 1 == p->parts_n;
}

static size_t wanted_bytes(const struct storage_op *op)
{
    uint32_t asked = op->u.parts_read.bytes_max;
    return asked < STORE_READ_BYTES_MAX ? asked : STORE_READ_BYTES_MAX;
}

enum err read_parts(struct conn *c, const struct storage_op *op, struct storage_done *done)
{
    struct readable copy;
    if (!find_copy(c, &op->u.parts_read.video_id, &copy))
        return ERR_UNKNOWN;
    struct storage_part *parts = done->u.parts_read.parts;
    size_t n = 0, bytes = 0;
    enum err err = ERR_OK;
    bool more = false; /* a row was seen that is not handed out */
    struct query *q = query_of(c, Q_PARTS);
    bind_int(q, 1, copy.copy);
    bind_int(q, 2, op->u.parts_read.chunk);
    bind_int(q, 3, op->u.parts_read.part);
    while (n < STORE_READ_PARTS_MAX && !more && query_row(q)) {
        size_t len = col_slice(q, 2).len;
        more = n && bytes + len > wanted_bytes(op);
        if (!more)
            err = take_part(c, q, &parts[n]);
        if (err != ERR_OK)
            break;
        if (!more)
            n++;
        bytes += len;
    }
    query_end(q);
    if (c->db.err) {
        while (n)
            msg_unref(parts[--n].packet);
        return c->db.err;
    }
    if (err != ERR_OK && !n)
        return ERR_BUSY;
    done->u.parts_read.n = n;
    done->u.parts_read.end = n ? is_last(&copy, &parts[n - 1]) : copy.whole; /* I2 */
    return ERR_OK;
}
