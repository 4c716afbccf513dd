/* To whom a streamer delegates, and which thumbnails a viewer believes. */
#include "client/delegate.h"
#include "tests/unit/client/zone_of_ours.h"
#include "tests/unit/jpeg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { NOW_US = 1000, CREDENTIAL_BYTES = 1024 };

static struct id id_of(const char *text)
{
    struct id id;
    assert_int_equal(id_parse(slice_str(text), &id), ERR_OK);
    return id;
}

static int setup(void **state)
{
    struct ours *o = calloc(1, sizeof(*o));
    ours_init(o, false);
    o->video.thumbnail_hash = (struct hash){0};
    ours_sign_statement(o);
    ours_chunk(o, CHUNK_INIT, 0, 700);
    ours_finish(o);
    *state = o;
    return 0;
}

static int teardown(void **state)
{
    ours_release(*state);
    free(*state);
    return 0;
}

/* Whether the edge e1 that shows such a credential is known then. */
static bool knows(const struct ours *o, const struct credential *c, const struct signkey *by)
{
    struct delegate d = {.wanted = true};
    uint8_t body[CREDENTIAL_BYTES], bytes[CREDENTIAL_BYTES];
    struct id e1 = id_of("e1");
    struct writer w = writer_of(body, sizeof(body)), out = writer_of(bytes, sizeof(bytes));
    credential_encode(c, &w);
    signed_append(&out, OBJECT_CREDENTIAL, slice_of(body, w.len), by);
    delegate_edge(&d, &o->zone, &e1, slice_of(bytes, out.len), NOW_US);
    assert_true(!d.known || pubkey_eq(&d.edge_pk, &c->pk));
    return d.known;
}

static struct credential edge_credential(const struct ours *o)
{
    struct credential c = ours_credential(o);
    c.kind = CREDENTIAL_EDGE;
    c.subject = id_of("e1");
    c.pk = o->edge_key.pk;
    c.not_before_us = NOW_US;
    c.not_after_us = NOW_US + 1;
    return c;
}

static void only_the_edge_itself(void **state)
{
    const struct ours *o = *state;
    struct credential c = edge_credential(o);
    assert_true(knows(o, &c, &o->zone_key));
    assert_false(knows(o, &c, &o->edge_key)); /* by itself */
    c.subject = id_of("e2");
    assert_false(knows(o, &c, &o->zone_key));
    c = edge_credential(o);
    c.kind = CREDENTIAL_STREAMER;
    assert_false(knows(o, &c, &o->zone_key));
    c = edge_credential(o);
    c.not_after_us = NOW_US;
    assert_false(knows(o, &c, &o->zone_key));
    c = edge_credential(o);
    c.zone_id = id_of("another");
    assert_false(knows(o, &c, &o->zone_key));
    struct delegate d = {.wanted = true};
    delegate_edge(&d, &o->zone, &c.subject, (struct slice){0}, NOW_US);
    assert_false(d.known);
}

static void only_if_wanted_and_known(void **state)
{
    const struct ours *o = *state;
    uint8_t bytes[DELEGATION_OBJECT_BYTES_MAX];
    struct delegation got;
    struct delegate d = {.wanted = true, .edge_pk = o->edge_key.pk};
    assert_int_equal(delegate_sign(&d, &o->stream, &o->streamer_key, NOW_US, bytes), 0);
    d = (struct delegate){.known = true, .edge_pk = o->edge_key.pk};
    assert_int_equal(delegate_sign(&d, &o->stream, &o->streamer_key, NOW_US, bytes), 0);
    d.wanted = true;
    size_t len = delegate_sign(&d, &o->stream, &o->streamer_key, NOW_US, bytes);
    assert_int_equal(delegation_open(slice_of(bytes, len), &o->streamer_key.pk, &got), ERR_OK);
    assert_true(delegation_allows(&got, &o->stream, &o->edge_key.pk));
    assert_int_equal(got.tracks_n, 1); /* and nothing else */
    assert_true(got.not_after_us == NOW_US + DELEGATION_LIFE_US);
}

static void what_a_viewer_believes(void **state)
{
    struct ours *o = *state;
    uint8_t leave[DELEGATION_OBJECT_BYTES_MAX], packet[THUMBNAIL_PART_BYTES_MAX], jpeg[300];
    struct delegate d = {.wanted = true, .known = true, .edge_pk = o->edge_key.pk};
    size_t len = delegate_sign(&d, &o->stream, &o->streamer_key, NOW_US, leave);
    size_t n =
        thumbnail_sign(&o->stream, &o->edge_key, NOW_US, jpeg_make(jpeg, 16, 9, 300), packet);
    struct slice delegation = slice_of(leave, len), part = slice_of(packet, n), none = {0};
    struct checker *c = calloc(1, sizeof(*c));
    struct thumbnail t;
    struct claim claim = ours_claim(o);
    assert_int_equal(checker_open(c, &o->zone, &claim), ERR_OK);
    thumbnail_check(c, delegation, part, &t);
    assert_int_equal(t.kind, THUMBNAIL_DELEGATED);
    assert_int_equal(t.jpeg_len, 300);
    assert_memory_equal(t.jpeg, jpeg, 300);
    thumbnail_check(c, none, none, &t);
    assert_true(t.kind == THUMBNAIL_NONE && !t.rejected);
    thumbnail_check(c, none, part, &t);
    assert_true(t.kind == THUMBNAIL_NONE && t.rejected);
    packet[n - 1] ^= 1;
    thumbnail_check(c, delegation, part, &t);
    assert_true(t.kind == THUMBNAIL_NONE && t.rejected);
    packet[n - 1] ^= 1;
    c->video.thumbnail_hash.b[0] = 1; /* the streamer gave one: no edge speaks over it */
    thumbnail_check(c, delegation, part, &t);
    assert_int_equal(t.kind, THUMBNAIL_GIVEN);
    assert_string_equal(thumbnail_kind_name(t.kind), "given");
    checker_release(c);
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_the_edge_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(only_if_wanted_and_known, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_viewer_believes, setup, teardown),
    };
    return crypto_init() == ERR_OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
