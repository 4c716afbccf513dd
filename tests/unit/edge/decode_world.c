#include "tests/unit/edge/decode_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

struct member zone_key;
struct decoder decoder;
struct trust_view *view;
struct reel *film;
struct arena arena;

int decode_setup(void **state)
{
    scene_cast(state);
    decoder.self = stage_id("edge1");
    decoder.once = once_new();
    decoder.utc_us = REEL_UTC_US;
    member_make("zone", CREDENTIAL_STREAMER, &zone_key); /* whose key is the zone's */
    film = scene_small("video1");
    struct trust_view *zoned = scene_view();
    struct trusted_edge known = {edge2.id, edge2.key.pk};
    struct asked asked = {edge2.id, ASKING};
    struct trust_view *peered = trust_view_with_edge(zoned, &known);
    view = trust_view_with_asked(peered, &asked);
    trust_view_unref(zoned);
    trust_view_unref(peered);
    return 0;
}

int decode_teardown(void **state)
{
    (void)state;
    reel_free(film);
    once_free(decoder.once);
    trust_view_unref(view);
    arena_release(&arena);
    return 0;
}

struct event *decoded(const char *topic, struct slice payload)
{
    return decode(&decoder, view, msg_new(slice_str(topic), payload, NULL));
}

void expect_rejected(const char *topic, struct slice payload, enum err err, const char *reply_id)
{
    struct event *ev = decoded(topic, payload);
    const struct rejection *r = &ev->u.rejection;
    if (ev->kind != EVENT_REJECTED || r->err != err)
        fail_msg("kind %d, %s, not %s: %s", ev->kind, err_name(r->err), err_name(err), r->what);
    assert_int_equal(r->answer, reply_id != NULL);
    if (reply_id)
        assert_true(slice_eq_str(r->reply_id, reply_id));
    event_free(ev);
}

struct slice flipped(struct slice bytes)
{
    struct slice copy = arena_copy(&arena, bytes);
    ((uint8_t *)copy.ptr)[bytes.len - 1] ^= 1;
    return copy;
}

struct slice signed_by(enum object_type type, const struct writer *w, const struct member *by)
{
    return reel_object(&arena, type, w, &by->key);
}

uint64_t said_us; /* of the last message that was signed */

/* Signed by an edge for another one, or for all ("" ), as never before. */
struct slice peer_text(struct slice text, enum topic_kind topic, const struct member *by,
                       const char *to)
{
    struct id to_id = {0};
    if (*to)
        to_id = stage_id(to);
    said_us = said_us ? said_us + 1 : REEL_UTC_US;
    return reel_peer_text(&arena, text, topic, by, &to_id, said_us);
}

struct node_status node_of(const struct member *edge)
{
    return (struct node_status){.zone_id = film->video.zone_id,
                                .edge_id = edge->id,
                                .state = 1,
                                .time_us = REEL_UTC_US,
                                .disk_free = 5};
}

struct slice status_object(const struct node_status *s, const struct member *by)
{
    uint8_t buf[OBJECT_BYTES_MAX];
    struct writer w = writer_of(buf, sizeof(buf));
    node_status_encode(s, &w);
    return signed_by(OBJECT_STATUS, &w, by);
}

struct edge_status status_of(const struct member *edge)
{
    struct node_status node = node_of(edge);
    return (struct edge_status){
        .edge_id = edge->id, .online = true, .signed_status = status_object(&node, edge)};
}

/* Whether a status of edge2's topic, or edge3's, proves what it says. */
bool verified(const struct edge_status *m)
{
    char topic[TOPIC_BUF_BYTES];
    topic_print(TOPIC_EDGE_STATUS, slice_str(""), id_slice(&m->edge_id), slice_str(""), topic);
    struct event *ev = decoded(topic, edge_status_encode(m, &arena));
    assert_int_equal(ev->kind, EVENT_EDGE_STATUS);
    bool ret = ev->u.status.verified;
    event_free(ev);
    return ret;
}
