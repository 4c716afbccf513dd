/* Each message of the core has its codec in lib/wire; pages are filled here until they are full. */
#include "edge/encode.h"

static struct slice list(const struct message_list *m, struct arena *arena)
{
    struct page *page = page_start(arena);
    struct slice next = {0};
    size_t i = 0;
    while (i < m->n && page_add_row(page, &m->rows[i], false))
        i++;
    if (i < m->n)
        next = i ? id_slice(&m->rows[i - 1].video_id) : next;
    else if (m->more)
        next = id_slice(&m->next);
    return m->paged ? page_end_list(page, next, m->token) : page_end_bare(page);
}

/* Storage bounds what it reads for a page so that it fits (storage.h). */
static struct slice db_page(const struct message_db_page *m, struct arena *arena)
{
    struct page *page = page_start(arena);
    for (size_t i = 0; i < m->n; i++)
        page_add_row(page, &m->rows[i], true);
    for (size_t i = 0; i < m->streamers_n; i++)
        page_add_streamer(page, &m->streamers[i].id, m->streamers[i].name,
                          m->streamers[i].created_us);
    return page_end_db(page, m->page, m->pages);
}

static struct bundle_out *bundle(const struct message_bundle *m, struct arena *arena)
{
    struct bundle_out *b = bundle_start(arena);
    for (size_t i = 0; i < m->claims_n; i++)
        bundle_add_claim(b, &m->claims[i]);
    for (size_t i = 0; i < m->holdings_n; i++)
        bundle_add_holding(b, &m->holdings[i]);
    return b;
}

static struct slice bundle_message(const struct effect *e, struct arena *arena)
{
    const struct message_bundle *m = e->body;
    struct bundle_out *b = bundle(m, arena);
    if (e->message == MESSAGE_DB_BUNDLE)
        return bundle_end_db(b, &m->edge_id, m->asking, m->page, m->pages);
    if (e->message == MESSAGE_DB_LOT)
        return bundle_end_update(b, &m->edge_id);
    return bundle_end_sync(b, &m->edge_id);
}

static unsigned part_json(const struct part_json *m, struct arena *arena, struct slice *ret)
{
    unsigned n = part_json_messages(m);
    for (unsigned i = 0; i < n; i++)
        ret[i] = part_json_encode(m, i, arena);
    return n;
}

unsigned encode(const struct effect *e, struct arena *arena,
                struct slice ret_payloads[static ENCODE_MESSAGES_MAX])
{
    struct slice *ret = &ret_payloads[0];
    switch (e->message) {
    case MESSAGE_ZONE_REQUEST: *ret = zone_request_encode(e->body, arena); break;
    case MESSAGE_PING_REPLY: *ret = ping_reply_encode(e->body, arena); break;
    case MESSAGE_EDGE_STATUS: *ret = edge_status_encode(e->body, arena); break;
    case MESSAGE_ERROR: *ret = wire_error_encode(e->body, arena); break;
    case MESSAGE_UPLOAD_ACK: *ret = upload_ack_encode(e->body, arena); break;
    case MESSAGE_WATCH_REQUEST: *ret = watch_request_encode(e->body, arena); break;
    case MESSAGE_WATCH_INFO: *ret = watch_info_encode(e->body, arena); break;
    case MESSAGE_LIVE_INFO_ALL: *ret = live_info_encode(e->body, false, arena); break;
    case MESSAGE_LIVE_INFO_ONE: *ret = live_info_encode(e->body, true, arena); break;
    case MESSAGE_WATCH_END: *ret = watch_end_encode(e->body, arena); break;
    case MESSAGE_PART_JSON: return part_json(e->body, arena, ret);
    case MESSAGE_LIST: *ret = list(e->body, arena); break;
    case MESSAGE_DB_REQUEST: *ret = db_request_encode(e->body, arena); break;
    case MESSAGE_DB_PAGE: *ret = db_page(e->body, arena); break;
    case MESSAGE_DB_UPDATE: *ret = db_update_encode(e->body, arena); break;
    case MESSAGE_DB_LOT:
    case MESSAGE_DB_BUNDLE:
    case MESSAGE_SYNC_ROWS: *ret = bundle_message(e, arena); break;
    case MESSAGE_SYNC: *ret = sync_message_encode(e->body, arena); break;
    case MESSAGE_REVOCATIONS: *ret = revocations_message_encode(e->body, arena); break;
    case MESSAGE_DELETE_REPLY: *ret = delete_reply_encode(e->body, arena); break;
    }
    if (e->stamp)
        *ret = peer_text_sign(*ret, e->stamp, arena);
    return 1;
}
