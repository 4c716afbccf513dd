/* Where copies are made and given up: whatever the places are, all edges agree on it. */
#include "edge/core/placement.h"
#include "trust/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define GIB (1024ull * 1024 * 1024)
enum { PLACES_MAX = 24, ROUNDS = 3000, REPLICAS = 16, BYTES = 64 * 1024 * 1024 };

static uint64_t drawn;

static uint64_t any(uint64_t below)
{
    static const uint8_t seed[KEY_BYTES] = {5};
    uint64_t v;
    crypto_expand(seed, ++drawn, &v, sizeof(v));
    return v % below;
}

static int group_setup(void **state)
{
    (void)state;
    return crypto_init();
}

static struct id id_of(const char *prefix, uint64_t n)
{
    struct id id = {0};
    snprintf(id.s, sizeof(id.s), "%s%llu", prefix, (unsigned long long)n);
    return id;
}

static struct place place(uint64_t n)
{
    return (struct place){.edge_id = id_of("edge", n),
                          .online = true,
                          .counted = true,
                          .disk_free = 100 * GIB,
                          .disk_total = 200 * GIB};
}

/* Any set of places: some hold, some are away, some have no room. */
static size_t places_any(struct place *ret)
{
    size_t n = 1 + any(PLACES_MAX);
    for (size_t i = 0; i < n; i++) {
        ret[i] = place(i);
        ret[i].holds = any(3) == 0;
        ret[i].online = any(4) != 0;
        ret[i].counted = ret[i].online || any(2);
        ret[i].disk_free = any(5) ? (uint64_t)BYTES << any(20) : any(2 * BYTES);
        ret[i].disk_total = any(5) ? ret[i].disk_free * (1 + any(18)) : ret[i].disk_free * 21 + 20;
    }
    return n;
}

/* The same places as somebody else keeps them: in another order. */
static void shuffle(struct place *places, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t k = any(i);
        struct place p = places[k];
        places[k] = places[i - 1];
        places[i - 1] = p;
    }
}

static bool has_room(const struct place *p)
{
    return p->disk_free >= 2ull * BYTES && p->disk_free >= p->disk_total / 20;
}

static void test_makers_agree(void **state)
{
    (void)state;
    struct place places[PLACES_MAX];
    for (int round = 0; round < ROUNDS; round++) {
        size_t n = places_any(places);
        struct id video = id_of("video", any(1000));
        unsigned missing = placement_missing(places, n, 1 + (unsigned)any(REPLICAS));
        unsigned makers = 0, able = 0;
        for (size_t i = 0; i < n; i++) {
            struct id self = places[i].edge_id;
            bool can = places[i].online && !places[i].holds && has_room(&places[i]);
            bool makes = placement_makes(places, n, &self, &video, BYTES, missing);
            assert_true(can || !makes); /* never without room */
            able += can;
            makers += makes;
            struct place theirs[PLACES_MAX];
            memcpy(theirs, places, sizeof(places));
            shuffle(theirs, n);
            assert_int_equal(placement_makes(theirs, n, &self, &video, BYTES, missing), makes);
        }
        assert_int_equal(makers, missing < able ? missing : able);
    }
}

static void test_surplus_agrees(void **state)
{
    (void)state;
    struct place places[PLACES_MAX];
    for (int round = 0; round < ROUNDS; round++) {
        size_t n = places_any(places);
        struct id video = id_of("video", any(1000));
        unsigned replicas = 1 + (unsigned)any(REPLICAS);
        unsigned holders = 0, dropping = 0;
        for (size_t i = 0; i < n; i++) {
            struct id keepers[REPLICAS];
            size_t keepers_n = 0;
            holders += places[i].holds && places[i].online;
            struct id self = places[i].edge_id;
            if (!placement_surplus(places, n, &self, &video, replicas, keepers, &keepers_n))
                continue;
            assert_true(places[i].holds && places[i].online);
            assert_int_equal(keepers_n, replicas);
            dropping++;
            for (size_t k = 0; k < keepers_n; k++) { /* who is counted on keeps his */
                struct id theirs[REPLICAS];
                size_t theirs_n = 0;
                assert_false(id_eq(&keepers[k], &self));
                for (size_t other = 0; other < k; other++)
                    assert_false(id_eq(&keepers[k], &keepers[other]));
                assert_false(
                    placement_surplus(places, n, &keepers[k], &video, replicas, theirs, &theirs_n));
            }
        }
        assert_int_equal(dropping, holders > replicas ? holders - replicas : 0);
    }
}

/* An edge that comes takes what falls to it, and moves nothing between the others. */
static void test_few_move(void **state)
{
    (void)state;
    struct place places[PLACES_MAX];
    enum { BEFORE = 9, VIDEOS = 4000, COPIES = 2 };
    for (uint64_t i = 0; i <= BEFORE; i++)
        places[i] = place(i);
    unsigned moved = 0;
    for (uint64_t v = 0; v < VIDEOS; v++) {
        struct id video = id_of("video", v);
        bool new_makes =
            placement_makes(places, BEFORE + 1, &places[BEFORE].edge_id, &video, BYTES, COPIES);
        moved += new_makes;
        unsigned lost = 0;
        for (size_t i = 0; i < BEFORE; i++) {
            const struct id *self = &places[i].edge_id;
            bool was = placement_makes(places, BEFORE, self, &video, BYTES, COPIES);
            bool is = placement_makes(places, BEFORE + 1, self, &video, BYTES, COPIES);
            assert_true(was || !is);
            lost += was && !is;
        }
        assert_int_equal(lost, new_makes);
    }
    assert_in_range(moved, VIDEOS * COPIES / 10 * 8 / 10, VIDEOS * COPIES / 10 * 12 / 10);
}

/* Twice the room, twice the copies; a little more or less room changes nothing. */
static void test_weight(void **state)
{
    (void)state;
    enum { VIDEOS = 6000 };
    struct place places[3] = {place(0), place(1), place(2)};
    for (int i = 0; i < 3; i++)
        places[i].disk_total = 400 * GIB;
    places[0].disk_free = 256 * GIB;
    places[1].disk_free = places[2].disk_free = 64 * GIB;
    struct place others[3];
    memcpy(others, places, sizeof(places));
    others[0].disk_free += 100 * GIB;
    others[1].disk_free += 63 * GIB;
    unsigned first = 0;
    for (uint64_t v = 0; v < VIDEOS; v++) {
        struct id video = id_of("v", v);
        for (int i = 0; i < 3; i++)
            assert_int_equal(placement_makes(places, 3, &places[i].edge_id, &video, BYTES, 1),
                             placement_makes(others, 3, &places[i].edge_id, &video, BYTES, 1));
        first += placement_makes(places, 3, &places[0].edge_id, &video, BYTES, 1);
    }
    assert_in_range(first, VIDEOS * 60 / 100, VIDEOS * 73 / 100); /* 4 of 6 */
}

static void test_missing(void **state)
{
    (void)state;
    struct place p[4] = {place(0), place(1), place(2), place(3)};
    assert_int_equal(placement_missing(p, 0, 2), 0);
    assert_int_equal(placement_missing(p, 4, 0), 0);
    assert_int_equal(placement_missing(p, 4, 2), 2);
    assert_int_equal(placement_missing(p, 4, 16), 4); /* no more than there are */
    p[0].holds = true;
    assert_int_equal(placement_missing(p, 4, 2), 1);
    assert_int_equal(placement_missing(p, 1, 2), 0);
    p[0].online = false; /* away, but not for long */
    assert_int_equal(placement_missing(p, 4, 2), 1);
    p[0].counted = false;
    assert_int_equal(placement_missing(p, 4, 2), 2);
    p[1].holds = p[2].holds = p[3].holds = true;
    assert_int_equal(placement_missing(p, 4, 2), 0);
}

static void test_room(void **state)
{
    (void)state;
    struct place p = {.disk_free = 200, .disk_total = 4000};
    assert_true(placement_room(&p, 0));
    assert_true(placement_room(&p, 100)); /* twice its bytes, and a twentieth of the disk */
    assert_false(placement_room(&p, 101));
    p.disk_total = 4020;
    assert_false(placement_room(&p, 100));
    assert_false(placement_room(&p, UINT64_MAX));
    p = (struct place){.disk_total = 100};
    assert_false(placement_room(&p, 0));
    p = (struct place){0}; /* not known */
    assert_true(placement_room(&p, UINT64_MAX));
}

static void test_nobody(void **state)
{
    (void)state;
    struct place p[2] = {place(0), place(1)};
    struct id video = id_of("video", 1);
    struct id stranger = id_of("edge", 7);
    struct id keepers[REPLICAS];
    size_t n = 0;
    assert_false(placement_makes(p, 2, &stranger, &video, 1, 2));
    assert_false(placement_makes(p, 0, &p[0].edge_id, &video, 1, 2));
    assert_false(placement_makes(p, 2, &p[0].edge_id, &video, 1, 0));
    assert_true(placement_makes(p, 2, &p[0].edge_id, &video, 1, 2));
    assert_false(placement_surplus(p, 2, &stranger, &video, 1, keepers, &n));
    assert_false(placement_surplus(p, 2, &p[0].edge_id, &video, 1, keepers, &n));
    p[0].holds = p[1].holds = true;
    assert_true(placement_surplus(p, 2, &p[0].edge_id, &video, 1, keepers, &n) !=
                placement_surplus(p, 2, &p[1].edge_id, &video, 1, keepers, &n));
    assert_false(placement_surplus(p, 2, &p[0].edge_id, &video, 0, keepers, &n));
    assert_false(placement_surplus(p, 2, &p[0].edge_id, &video, 2, keepers, &n));
}

/* Ranks are part of the protocol: every machine and every version finds these. */
static void test_vector(void **state)
{
    (void)state;
    struct place p[5];
    char makers[64] = "";
    char keepers[64] = "";
    for (uint64_t i = 0; i < 5; i++) {
        p[i] = place(i);
        p[i].disk_free = GIB << i;
        p[i].disk_total = 16 * GIB;
    }
    for (uint64_t v = 0; v < 12; v++) {
        struct id video = id_of("video", v);
        for (size_t i = 0; i < 5; i++)
            if (placement_makes(p, 5, &p[i].edge_id, &video, 1, 1))
                makers[v] = (char)('0' + i);
    }
    for (size_t i = 0; i < 5; i++)
        p[i].holds = true;
    for (uint64_t v = 0; v < 12; v++) {
        struct id video = id_of("video", v);
        struct id who[REPLICAS];
        size_t n = 0;
        for (size_t i = 0; i < 5; i++)
            if (!placement_surplus(p, 5, &p[i].edge_id, &video, 1, who, &n))
                keepers[v] = (char)('0' + i);
    }
    assert_string_equal(makers, "244322233414");
    assert_string_equal(keepers, "032404420241");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_makers_agree), cmocka_unit_test(test_surplus_agrees),
        cmocka_unit_test(test_few_move),     cmocka_unit_test(test_weight),
        cmocka_unit_test(test_missing),      cmocka_unit_test(test_room),
        cmocka_unit_test(test_nobody),       cmocka_unit_test(test_vector),
    };
    return cmocka_run_group_tests(tests, group_setup, NULL);
}
