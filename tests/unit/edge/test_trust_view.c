/* The view: streams come and go, each view stays as it was. */
#include "edge/core/trust_view.h"
#include "tests/unit/edge/reel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct trusted_stream stream_of(unsigned i, enum stream_use use)
{
    return (struct trusted_stream){.stream = hash_of(slice_of(&i, sizeof(i)), (struct slice){0}),
                                   .signer = {{(uint8_t)i}},
                                   .use = use};
}

static struct trust_view *replaced(struct trust_view *old, struct trust_view *view)
{
    trust_view_unref(old);
    return view;
}

static void expect_ascending(const struct trust_view *view)
{
    for (size_t i = 1; i < view->n; i++)
        assert_true(memcmp(view->streams[i - 1].stream.b, view->streams[i].stream.b, HASH_BYTES) <
                    0);
}

static void test_empty(void **state)
{
    (void)state;
    struct trust_view *view = trust_view_new();
    struct trusted_stream s = stream_of(1, STREAM_UPLOAD);
    assert_false(view->has_zone);
    assert_null(trust_view_find(view, &s.stream));
    struct trust_view *same = trust_view_without(view, &s.stream);
    assert_int_equal(same->n, 0);
    trust_view_unref(view);
    trust_view_unref(same);
    trust_view_unref(NULL);
}

static void test_come_and_go(void **state)
{
    (void)state;
    enum { N = 300 };
    struct trust_view *view = trust_view_new();
    for (unsigned i = 0; i < N; i++) {
        struct trusted_stream s = stream_of(i, STREAM_LIVE);
        view = replaced(view, trust_view_with(view, &s));
        assert_int_equal(view->n, i + 1);
        expect_ascending(view);
    }
    for (unsigned i = 0; i < N; i++) {
        struct trusted_stream s = stream_of(i, STREAM_LIVE);
        const struct trusted_stream *found = trust_view_find(view, &s.stream);
        assert_non_null(found);
        assert_int_equal(found->signer.b[0], i % 256);
        view = replaced(view, trust_view_without(view, &s.stream));
        assert_null(trust_view_find(view, &s.stream));
        view = replaced(view, trust_view_without(view, &s.stream)); /* not there any more */
        assert_int_equal(view->n, N - 1 - i);
        expect_ascending(view);
    }
    trust_view_unref(view);
}

static void test_same_stream_again(void **state)
{
    (void)state;
    struct trust_view *view = trust_view_new();
    for (unsigned i = 0; i < 5; i++) {
        struct trusted_stream s = stream_of(i, STREAM_UPLOAD);
        view = replaced(view, trust_view_with(view, &s));
    }
    for (unsigned i = 0; i < 5; i++) {
        struct trusted_stream s = stream_of(i, STREAM_FETCH);
        view = replaced(view, trust_view_with(view, &s));
        assert_int_equal(view->n, 5);
        assert_int_equal(trust_view_find(view, &s.stream)->use, STREAM_FETCH);
        expect_ascending(view);
    }
    trust_view_unref(view);
}

/* Who holds a view sees what it was, whatever comes after. */
static void test_immutable(void **state)
{
    (void)state;
    struct zone_params zone;
    struct trusted_stream s = stream_of(1, STREAM_UPLOAD);
    crypto_init();
    reel_zone(&zone);
    struct trust_view *empty = trust_view_new();
    struct trust_view *with = trust_view_with(empty, &s);
    struct trust_view *zoned = trust_view_with_zone(with, &zone);
    struct trust_view *without = trust_view_without(zoned, &s.stream);
    assert_true(empty->n == 0 && with->n == 1 && zoned->n == 1 && without->n == 0);
    assert_false(empty->has_zone || with->has_zone);
    assert_true(zoned->has_zone && without->has_zone);
    assert_true(id_eq(&without->zone.zone_id, &zone.zone_id));
    struct trust_view *again = trust_view_ref(zoned);
    trust_view_unref(zoned);
    assert_non_null(trust_view_find(again, &s.stream));
    trust_view_unref(again);
    trust_view_unref(empty);
    trust_view_unref(with);
    trust_view_unref(without);
}

static struct trusted_edge edge_of(unsigned i)
{
    struct trusted_edge e = {.pk = {{(uint8_t)i}}};
    snprintf(e.edge_id.s, sizeof(e.edge_id.s), "edge%u", i * 7919 % 1009);
    return e;
}

static void expect_edges(const struct trust_view *view, size_t n)
{
    assert_int_equal(view->edges_n, n);
    for (size_t i = 1; i < n; i++)
        assert_true(strcmp(view->edges[i - 1].edge_id.s, view->edges[i].edge_id.s) < 0);
}

static void test_edges_come_and_go(void **state)
{
    (void)state;
    enum { N = 120 };
    struct trust_view *view = trust_view_new();
    struct trusted_edge none = edge_of(N);
    assert_null(trust_view_edge(view, &none.edge_id));
    for (unsigned i = 0; i < N; i++) {
        struct trusted_edge e = edge_of(i);
        view = replaced(view, trust_view_with_edge(view, &e));
        expect_edges(view, i + 1);
    }
    assert_null(trust_view_edge(view, &none.edge_id));
    for (unsigned i = 0; i < N; i++) {
        struct trusted_edge e = edge_of(i);
        const struct pubkey *pk = trust_view_edge(view, &e.edge_id);
        assert_true(pk && pubkey_eq(pk, &e.pk));
        e.pk.b[5] = 5; /* another key of the same edge */
        view = replaced(view, trust_view_with_edge(view, &e));
        expect_edges(view, N - i);
        assert_int_equal(trust_view_edge(view, &e.edge_id)->b[5], 5);
        view = replaced(view, trust_view_without_edge(view, &e.edge_id));
        assert_null(trust_view_edge(view, &e.edge_id));
        view = replaced(view, trust_view_without_edge(view, &e.edge_id));
        expect_edges(view, N - 1 - i);
    }
    trust_view_unref(view);
}

/* Neither table is touched by a change of the other, nor either by a change of the zone. */
static void test_streams_and_edges_are_apart(void **state)
{
    (void)state;
    struct zone_params zone;
    struct trust_view *view = trust_view_new();
    reel_zone(&zone);
    for (unsigned i = 0; i < 20; i++) {
        struct trusted_stream s = stream_of(i, STREAM_LIVE);
        struct trusted_edge e = edge_of(i);
        view = replaced(view, trust_view_with(view, &s));
        view = replaced(view, trust_view_with_edge(view, &e));
    }
    view = replaced(view, trust_view_with_zone(view, &zone));
    for (unsigned i = 0; i < 20; i++) {
        struct trusted_stream s = stream_of(i, STREAM_LIVE);
        struct trusted_edge e = edge_of(i);
        assert_int_equal(trust_view_find(view, &s.stream)->signer.b[0], i);
        assert_int_equal(trust_view_edge(view, &e.edge_id)->b[0], i);
        if (i % 2)
            view = replaced(view, trust_view_without(view, &s.stream));
        else
            view = replaced(view, trust_view_without_edge(view, &e.edge_id));
        expect_ascending(view);
        expect_edges(view, 20 - i / 2 - 1);
        assert_int_equal(view->n, 20 - (i + 1) / 2);
    }
    assert_true(view->has_zone && id_eq(&view->zone.zone_id, &zone.zone_id));
    trust_view_unref(view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_come_and_go),
        cmocka_unit_test(test_same_stream_again),
        cmocka_unit_test(test_immutable),
        cmocka_unit_test(test_edges_come_and_go),
        cmocka_unit_test(test_streams_and_edges_are_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
