#include "tests/unit/auth_edge/world.h"

#include "base/check.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const uint64_t start_us = 1700000000u * (uint64_t)1000000;
const uint64_t edge_life_us = 24u * 3600 * (uint64_t)1000000;
const uint64_t streamer_life_us = 7u * 24 * 3600 * (uint64_t)1000000;

static enum err table_issue(void *ctx, const struct issue *issue, struct issued *ret)
{
    struct table *t = ctx;
    size_t i = 0;
    if (t->fail != ERR_OK)
        return t->fail;
    if (t->revoked && issue->renews == t->revoked)
        return ERR_UNAUTHORIZED;
    if (issue->credential.kind == CREDENTIAL_EDGE) {
        while (i < t->edges_n && !id_eq(&t->edges[i], &issue->credential.subject))
            i++;
        if (i < t->edges_n && !pubkey_eq(&t->keys[i], &issue->credential.pk))
            return ERR_CONFLICT;
        if (i == t->edges_n) {
            CHECK(i < WORLD_EDGES_MAX);
            t->edges[i] = issue->credential.subject;
            t->keys[i] = issue->credential.pk;
            t->edges_n++;
        }
    }
    t->last = *issue;
    *ret = (struct issued){++t->serial, issue->credential.not_before_us,
                           issue->credential.not_after_us};
    return ERR_OK;
}

struct id id_of(const char *text)
{
    struct id id;
    assert_int_equal(id_parse(slice_str(text), &id), ERR_OK);
    return id;
}

int world_enter(void **state)
{
    if (crypto_init() != ERR_OK)
        return -1;
    struct world *w = mem_alloc(sizeof(*w));
    signkey_random(&w->keys.sign);
    boxkey_random(&w->keys.box);
    memset(w->keys.secret, 0x5a, KEY_BYTES);
    signkey_random(&w->key);
    w->now = (struct zone_now){.utc_us = start_us, .mono_us = 5000000};
    w->params = (struct zone_params){.zone_id = id_of("zone1"),
                                     .sign_pk = w->keys.sign.pk,
                                     .box_pk = w->keys.box.pk,
                                     .key_epoch = 3,
                                     .issued_us = start_us - 1};
    w->config = (struct zone_config){
        .params = &w->params,
        .keys = &w->keys,
        .edge_credential_us = edge_life_us,
        .streamer_credential_us = streamer_life_us,
        .records = {.ctx = &w->table, .issue = table_issue},
    };
    w->zone = zone_new(&w->config);
    *state = w;
    return zone_open(zone_params(w->zone), &w->params) == ERR_OK ? 0 : -1;
}

int world_leave(void **state)
{
    struct world *w = *state;
    zone_free(w->zone);
    arena_release(&w->arena);
    free(w);
    return 0;
}

struct zone_outcome receive(struct world *w, enum topic_kind kind, struct slice payload)
{
    return zone_receive(w->zone, w->now, kind, payload, &w->arena);
}

void expect_silence(struct world *w, const struct zone_outcome *o, enum zone_counter counter)
{
    assert_int_equal(o->kind, ZONE_SILENCE);
    assert_true(zone_count(w->zone, counter) > 0);
}

void expect_error(struct world *w, const struct zone_answer *a, enum topic_kind topic,
                  const char *id, enum wire_code code)
{
    struct wire_error error;
    assert_int_equal(a->topic, topic);
    assert_true(slice_eq_str(a->id, id));
    assert_null(a->granted);
    assert_true(reply_is_error(a->payload, &w->arena, &error));
    assert_true(slice_eq_str(error.code_text, wire_code_name(code)));
    assert_true(error.message.len > 0);
    if (topic == TOPIC_AUTH_ZONE_REPLY)
        assert_true(slice_eq_str(error.edge_id, id));
    else
        assert_true(slice_eq_str(error.client_id, id));
}

void expect_refusal(struct world *w, const struct zone_outcome *o, enum topic_kind topic,
                    const char *id, enum wire_code code, enum zone_counter counter)
{
    assert_int_equal(o->kind, ZONE_ANSWER);
    expect_error(w, &o->answer, topic, id, code);
    assert_true(zone_count(w->zone, counter) > 0);
}
