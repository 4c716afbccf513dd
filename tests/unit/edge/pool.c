#include "tests/unit/edge/pool.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct decoder decoder;
struct budget pool_budget;
unsigned no_help;

int pool_group_setup(void **state)
{
    (void)state;
    crypto_init();
    return id_parse(slice_str("edge1"), &decoder.self) == ERR_OK ? 0 : -1;
}

int pool_setup(void **state)
{
    struct pool *p = test_calloc(1, sizeof(*p));
    struct queue *inboxes[LANES];
    pool_budget = (struct budget){.max_bytes = SIZE_MAX};
    for (int lane = 0; lane < LANES; lane++) {
        inboxes[lane] = &p->inboxes[lane];
        assert_int_equal(queue_init(&p->inboxes[lane], INBOX), ERR_OK);
    }
    assert_int_equal(verify_open(&decoder, inboxes, WORKERS, &p->v), ERR_OK);
    *state = p;
    return 0;
}

int pool_teardown(void **state)
{
    struct pool *p = *state;
    verify_close(p->v);
    for (int lane = 0; lane < LANES; lane++) {
        struct msg *msg;
        while ((msg = queue_take(&p->inboxes[lane], NULL)) != NULL)
            msg_unref(msg);
        queue_release(&p->inboxes[lane]);
    }
    test_free(p);
    assert_int_equal(pool_budget.alive_bytes, 0);
    return 0;
}

bool readable_fd(int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, timeout_ms) == 1;
}

bool readable(const struct verify *v, enum lane lane, int timeout_ms)
{
    return readable_fd(verify_fd(v, lane), timeout_ms);
}

struct event *next_event(struct pool *p, enum lane lane, unsigned *help)
{
    struct event *ev = NULL;
    while (!ev) {
        struct pollfd fds[] = {{.fd = verify_fd(p->v, lane), .events = POLLIN},
                               {.fd = verify_help_fd(p->v, lane), .events = POLLIN}};
        assert_true(poll(fds, 2, 10000) > 0);
        ev = verify_take(p->v, lane, help);
    }
    return ev;
}

static struct msg *scrap_new(unsigned i)
{
    char text[64];
    snprintf(text, sizeof(text), "EVC1 %u", i);
    return msg_new(slice_str("live/upload/edge1"), slice_str(text), &pool_budget);
}

static struct msg *ping_new(unsigned i)
{
    char text[64];
    snprintf(text, sizeof(text), "{\"client_id\":\"c%u\"}", i);
    return msg_new(slice_str("video/request/ping"), slice_str(text), &pool_budget);
}

void expect_scrap(struct event *ev, unsigned i)
{
    char text[64];
    snprintf(text, sizeof(text), "EVC1 %u", i);
    assert_non_null(ev);
    assert_int_equal(ev->kind, EVENT_REJECTED);
    assert_true(slice_eq_str(ev->msg->payload, text));
    event_free(ev);
}

void expect_ping(struct event *ev, unsigned i)
{
    char text[64];
    snprintf(text, sizeof(text), "c%u", i);
    assert_non_null(ev);
    assert_int_equal(ev->kind, EVENT_PING);
    assert_true(slice_eq_str(ev->u.ping.client_id, text));
    event_free(ev);
}

enum sort { PART, PING, SCRAP };

static enum sort sort_of(unsigned i, bool texts)
{
    if (i % 7 == 0)
        return PART;
    return texts && i % 5 < 2 ? PING : SCRAP;
}

struct msg *message(const struct reel *r, unsigned i, bool texts)
{
    switch (sort_of(i, texts)) {
    case PART: {
        const struct reel_part *p = &r->parts[i / 7 % r->n];
        return msg_new(slice_str("live/upload/edge1"), p->packet->payload, &pool_budget);
    }
    case PING: return ping_new(i);
    case SCRAP: break;
    }
    return scrap_new(i);
}

void expect_part(struct event *ev, const struct reel_part *p)
{
    assert_non_null(ev);
    assert_int_equal(ev->kind, EVENT_PART);
    assert_true(hash_eq(&ev->u.part.statement_hash, &p->statement_hash));
    assert_int_equal(ev->u.part.part.index, p->part.index);
    event_free(ev);
}

void expect_message(struct event *ev, const struct reel *r, unsigned i, bool texts)
{
    switch (sort_of(i, texts)) {
    case PART: expect_part(ev, &r->parts[i / 7 % r->n]); break;
    case PING: expect_ping(ev, i); break;
    case SCRAP: expect_scrap(ev, i); break;
    }
}

void trust(struct pool *p, const struct reel *r)
{
    struct trusted_stream s = {
        .stream = r->stream, .signer = r->streamer->key.pk, .use = STREAM_LIVE};
    struct trust_view *empty = trust_view_new();
    struct trust_view *view = trust_view_with(empty, &s);
    verify_view(p->v, view);
    trust_view_unref(view);
    trust_view_unref(empty);
}

struct reel *reel_live(const struct member *streamer)
{
    struct reel *r = reel_new(streamer, "live1", 1, true);
    for (int i = 0; i < 40; i++)
        reel_cut(r, CHUNK_MEDIA, 0, 0, 20000);
    return r;
}

bool push_message(struct pool *p, enum lane lane, struct msg *msg)
{
    if (queue_push(&p->inboxes[lane], msg) == ERR_OK)
        return true;
    msg_unref(msg);
    return false;
}

void ping(struct pool *p, enum lane lane, unsigned i)
{
    assert_true(push_message(p, lane, ping_new(i)));
}

void scrap(struct pool *p, enum lane lane, unsigned i)
{
    assert_true(push_message(p, lane, scrap_new(i)));
}
