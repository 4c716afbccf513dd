/* Each id is read on its own, so that one bad field does not hide the others. */
#include "wire/address.h"

#include "wire/json.h"
#include "wire/topic.h"

static struct slice readable(struct json *j, const char *key, size_t max)
{
    j->err = ERR_OK;
    struct slice text = json_text(j, key, max);
    return j->err == ERR_OK ? text : (struct slice){0};
}

struct reply_address address_read(struct slice payload, struct arena *arena)
{
    struct reply_address a = {0};
    struct json j = json_open_object(payload, arena);
    if (j.root && j.err == ERR_OK) {
        a.client_id = readable(&j, "client_id", REPLY_ID_BYTES_MAX);
        a.streamer_id = readable(&j, "streamer_id", ID_BYTES_MAX);
        a.video_id = readable(&j, "video_id", ID_BYTES_MAX);
        a.edge_id = readable(&j, "ID", ID_BYTES_MAX);
        a.credential = json_has(&j, "credential");
    }
    json_close(&j);
    return a;
}
