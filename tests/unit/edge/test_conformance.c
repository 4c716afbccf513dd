/* The memory store is what the core's tests and the simulator believe in: it must be the store. */
#include "tests/unit/edge/conformance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define T0 (1795259370ull * 1000 * 1000)
#define HLC(ms) (((T0 / 1000) + (ms)) << 16)

static void make(struct film *f, const char *video, const char *streamer, unsigned seed)
{
    film_make(f, video, streamer, T0 + 1000 * seed, seed, 3, 2500, FILM_PART_BYTES);
}

static void an_upload(void **state)
{
    struct pair *p = *state;
    struct film f, other, again;
    make(&f, "video1", "alice", 1);
    make(&other, "video1", "bob", 2);
    make(&again, "video1", "alice", 3);
    assert_int_equal(pair_do(p, op_get("video1")), ERR_UNKNOWN);
    assert_int_equal(pair_do(p, op_part(&f, 0)), ERR_CONFLICT);
    pair_ok(p, op_claim(&f));
    assert_int_equal(pair_do(p, op_claim(&other)), ERR_CONFLICT);
    assert_int_equal(pair_do(p, op_part(&f, 1)), ERR_CONFLICT);
    pair_ok(p, op_part(&f, 0));
    assert_int_equal(pair_do(p, op_part(&f, 0)), ERR_CONFLICT);
    assert_int_equal(pair_do(p, op_finish(&f, HLC(1), "receipt")), ERR_NOT_READY);
    pair_ok(p, op_get("video1"));
    pair_ok(p, op_read("video1", 1, 0, 100000));
    pair_parts(p, &f, 1);
    pair_ok(p, op_claim(&f));
    pair_ok(p, op_finish(&f, HLC(1), "receipt"));
    pair_ok(p, op_finish(&f, HLC(2), "another"));
    pair_ok(p, op_claim(&f));
    assert_int_equal(pair_do(p, op_claim(&again)), ERR_CONFLICT);
    pair_ok(p, op_read("video1", 2, 1, 3000));
    pair_ok(p, op_read("video1", 9, 0, 3000));
    pair_look(p);
    film_release(&f);
    film_release(&other);
    film_release(&again);
}

/* A fetched copy brings another edge's receipt; the upload of the same stream ours, which stays. */
static void receipts(void **state)
{
    struct pair *p = *state;
    struct film f;
    make(&f, "video1", "alice", 1);
    assert_int_equal(pair_do(p, op_merge(&f, true, "edge2", OBJECT_CUSTODY, 1, HLC(1))), ERR_OK);
    assert_int_equal(pair_do(p, op_copy(&f)), ERR_OK);
    for (size_t i = 0; i < f.parts_n; i++)
        assert_int_equal(pair_do(p, op_part(&f, i)), ERR_OK);
    assert_int_equal(pair_do(p, op_get("video1")), ERR_OK);
    static const struct {
        const char *receipt;
        bool ours;
        const char *kept;
    } ends[] = {{"", false, ""},        {"theirs", false, "theirs"}, {"again", false, "theirs"},
                {"ours", true, "ours"}, {"once more", true, "ours"}, {"theirs", false, "ours"},
                {"", false, "ours"}};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct storage_op *op = op_finish(&f, HLC(2 + i), ends[i].receipt);
        op->u.finish.receipt_ours = ends[i].ours;
        assert_int_equal(pair_do(p, op), ERR_OK);
        assert_int_equal(pair_do(p, op_get("video1")), ERR_OK);
        struct storage_done *done = world_do(p->w, op_get("video1"));
        assert_true(slice_eq_str(done->u.video.receipt, ends[i].kept));
        assert_true(
            slice_eq_str(done->u.video.receipt_credential, *ends[i].kept ? "its edge" : ""));
        storage_done_free(done);
        assert_int_equal(pair_do(p, op_claim(&f)), ERR_OK);
    }
    pair_look(p);
    film_release(&f);
}

static void a_copy(void **state)
{
    struct pair *p = *state;
    struct film f, other;
    make(&f, "video1", "alice", 1);
    make(&other, "video1", "alice", 2);
    assert_int_equal(pair_do(p, op_copy(&f)), ERR_UNKNOWN);
    pair_ok(p, op_merge(&f, true, "edge2", OBJECT_CUSTODY, 1, HLC(1)));
    assert_int_equal(pair_do(p, op_copy(&other)), ERR_CONFLICT);
    assert_int_equal(pair_do(p, op_custody(&f, 1, HLC(2))), ERR_NOT_READY);
    assert_int_equal(pair_do(p, op_custody(&other, 1, HLC(2))), ERR_CONFLICT);
    assert_int_equal(pair_do(p, op_touch("video1", 5)), ERR_UNKNOWN);
    pair_fetch(p, &f, 7);
    pair_look(p);
    pair_ok(p, op_touch("video1", 9));
    assert_int_equal(pair_do(p, op_probe(&f, 3)), ERR_UNKNOWN);
    pair_ok(p, op_custody(&f, 1, HLC(2)));
    pair_ok(p, op_probe(&f, 3));
    pair_ok(p, op_custody(&f, 1, HLC(2)));
    pair_look(p);
    pair_ok(p, op_custody(&f, 0, HLC(3)));
    assert_int_equal(pair_do(p, op_probe(&f, 3)), ERR_UNKNOWN);
    pair_look(p);
    film_release(&f);
    film_release(&other);
}

static struct storage_op *trim_all(void *context)
{
    return op_trim(0, context);
}

/* With a whole copy, and until that goes; in the list where the streamer gave none. */
static void thumbnails(void **state)
{
    struct pair *p = *state;
    struct film f[2];
    make(&f[0], "video1", "alice", 1);
    make(&f[1], "video2", "bob", 2);
    f[0].bare = true;
    assert_int_equal(pair_do(p, op_thumbnail(&f[0], 100)), ERR_UNKNOWN);
    assert_int_equal(pair_do(p, op_claim(&f[0])), ERR_OK);
    assert_int_equal(pair_do(p, op_thumbnail(&f[0], 100)), ERR_UNKNOWN);
    for (unsigned i = 0; i < 2; i++) {
        pair_upload(p, &f[i], HLC(1));
        assert_int_equal(pair_do(p, op_thumbnail(&f[i], 100)), ERR_OK);
        pair_look(p);
    }
    assert_int_equal(pair_do(p, op_thumbnail(&f[0], 200)), ERR_OK); /* the later one */
    struct storage_done *done = world_do(p->w, op_list("", 0));
    assert_int_equal(done->u.list.n, 2);
    assert_true(slice_eq_str(done->u.list.rows[0].thumbnail, "12456"));
    assert_false(done->u.list.made[0]);
    assert_true(slice_starts(done->u.list.rows[1].thumbnail, "data:image/jpeg;base64,"));
    assert_true(done->u.list.made[1]);
    storage_done_free(done);
    done = world_do(p->w, op_get("video1"));
    assert_true(slice_eq_str(done->u.video.delegation, "delegation"));
    assert_int_equal(done->u.video.row.thumbnail.len, 0); /* no part of the catalogue */
    storage_done_free(done);
    pair_look(p);
    assert_int_equal(pair_do(p, op_delete(&f[0], T0 + 40 * 1000)), ERR_OK);
    assert_int_equal(world_int(p->w, "SELECT count(*) FROM thumbnail"), 1);
    assert_int_equal(pair_do(p, op_thumbnail(&f[0], 100)), ERR_UNKNOWN);
    pair_look(p);
    for (unsigned i = 0; i < 2; i++)
        film_release(&f[i]);
}

static void making_room(void **state)
{
    struct pair *p = *state;
    struct film f[4];
    for (unsigned i = 0; i < 4; i++) {
        char id[16];
        snprintf(id, sizeof(id), "video%u", i);
        make(&f[i], id, "alice", i);
        pair_ok(p, op_merge(&f[i], true, "edge2", OBJECT_CUSTODY, 1, HLC(1)));
        pair_fetch(p, &f[i], 10 - i);
    }
    pair_ok(p, op_custody(&f[0], 1, HLC(2))); /* ours: stays */
    /* Nobody else answers for it: stays. */
    pair_ok(p, op_merge(&f[1], true, "edge2", OBJECT_CUSTODY, 0, HLC(2)));
    pair_until(p, trim_all, (void *)(uintptr_t) "video2"); /* named: stays */
    pair_look(p);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(pair_do(p, op_read(f[i].video.video_id.s, 1, 0, 1)),
                         i == 3 ? ERR_UNKNOWN : ERR_OK);
        film_release(&f[i]);
    }
}

static void deletions(void **state)
{
    struct pair *p = *state;
    struct film f, newer, other;
    make(&f, "video1", "alice", 1);
    make(&newer, "video1", "alice", 900);
    make(&other, "video1", "bob", 3);
    assert_int_equal(pair_do(p, op_delete(&f, T0)), ERR_UNKNOWN);
    pair_upload(p, &f, HLC(1));
    assert_int_equal(pair_do(p, op_delete(&f, T0)), ERR_CONFLICT);
    pair_ok(p, op_merge(&f, true, "edge2", OBJECT_CUSTODY, 1, HLC(1)));
    pair_ok(p, op_delete(&f, T0 + 5000));
    pair_ok(p, op_delete(&f, T0 + 5000));
    assert_int_equal(pair_do(p, op_delete(&f, T0 + 4000)), ERR_CONFLICT);
    pair_look(p);
    assert_int_equal(pair_do(p, op_get("video1")), ERR_UNKNOWN);
    pair_ok(p, op_merge(&f, true, "edge2", OBJECT_CUSTODY, 1, HLC(9)));
    assert_int_equal(pair_do(p, op_claim(&f)), ERR_CONFLICT);
    assert_int_equal(pair_do(p, op_claim(&other)), ERR_CONFLICT); /* of the deletion */
    pair_ok(p, op_claim(&newer));
    pair_ok(p, op_deleted(&f, T0 + 6000)); /* the upload is newer */
    pair_ok(p, op_part(&newer, 0));
    assert_int_equal(pair_do(p, op_delete(&f, T0 + 7000)), ERR_CONFLICT);
    pair_ok(p, op_deleted(&newer, T0 + 2000000)); /* now it is not */
    assert_int_equal(pair_do(p, op_part(&newer, 1)), ERR_CONFLICT);
    pair_look(p);
    film_release(&f);
    film_release(&newer);
    film_release(&other);
}

/* Whoever sees an id on its way may claim it or delete it: what was begun under it goes on. */
static void squatted(void **state)
{
    struct pair *p = *state;
    struct film f, squatter, late;
    make(&f, "video1", "alice", 1);
    make(&squatter, "video1", "bob", 2);
    make(&late, "video1", "carol", 3);
    pair_ok(p, op_claim(&f));
    pair_ok(p, op_part(&f, 0));
    pair_ok(p, op_deleted(&squatter, T0 + 5000));
    assert_int_equal(pair_do(p, op_claim(&late)), ERR_CONFLICT);
    pair_ok(p, op_claim(&f));
    pair_parts(p, &f, 1);
    pair_ok(p, op_finish(&f, HLC(1), "receipt"));
    pair_ok(p, op_claim(&f));
    pair_look(p);
    film_release(&f);
    film_release(&squatter);
    film_release(&late);
}

static void contested(void **state)
{
    struct pair *p = *state;
    struct film a, b;
    make(&a, "video1", "alice", 2);
    make(&b, "video1", "bob", 1);
    pair_ok(p, op_merge(&a, true, "edge2", OBJECT_CUSTODY, 1, HLC(1)));
    pair_ok(p, op_merge(&a, true, "edge3", OBJECT_CUSTODY, 1, HLC(1)));
    pair_ok(p, op_merge(&b, true, "edge2", OBJECT_CUSTODY, 1, HLC(1)));
    /* The same edge twice counts once. */
    pair_ok(p, op_merge(&b, true, "edge2", OBJECT_PRESENCE, 1, HLC(1)));
    pair_look(p);
    pair_ok(p, op_get("video1"));
    pair_ok(p, op_merge(&b, true, "edge4", OBJECT_CUSTODY, 1, HLC(1)));
    pair_look(p);
    pair_ok(p, op_get("video1"));
    film_release(&a);
    film_release(&b);
}

/* An upload that was begun here and finished elsewhere; another streamer claims the id as well. */
static void finished_elsewhere(void **state)
{
    struct pair *p = *state;
    struct film a, b;
    make(&a, "video1", "alice", 1);
    make(&b, "video1", "bob", 2);
    pair_ok(p, op_claim(&a));
    pair_parts(p, &a, 0);
    pair_ok(p, op_merge(&b, true, "edge2", OBJECT_CUSTODY, 1, HLC(1)));
    assert_int_equal(pair_do(p, op_finish(&a, HLC(1), "receipt")), ERR_CONFLICT);
    pair_ok(p, op_merge(&a, true, "edge3", OBJECT_CUSTODY, 1, HLC(1)));
    pair_ok(p, op_merge(&a, true, "edge4", OBJECT_CUSTODY, 1, HLC(1)));
    pair_ok(p, op_copy(&a)); /* it is listed, and a replica is wanted */
    pair_ok(p, op_finish(&a, HLC(2), ""));
    pair_look(p);
    film_release(&a);
    film_release(&b);
}

/* What is uploaded here is newer than what was finished elsewhere: no copy of that takes its place.
 */
static void a_copy_waits_for_a_newer_upload(void **state)
{
    struct pair *p = *state;
    struct film old, newer;
    make(&old, "video1", "alice", 1);
    make(&newer, "video1", "alice", 2);
    pair_ok(p, op_claim(&newer));
    pair_ok(p, op_part(&newer, 0));
    pair_ok(p, op_merge(&old, true, "edge2", OBJECT_CUSTODY, 1, HLC(1)));
    assert_int_equal(pair_do(p, op_copy(&old)), ERR_CONFLICT);
    pair_parts(p, &newer, 1);
    pair_ok(p, op_finish(&newer, HLC(2), "receipt"));
    pair_look(p);
    film_release(&old);
    film_release(&newer);
}

static void own_rows(void **state)
{
    struct pair *p = *state;
    struct film f;
    make(&f, "video1", "alice", 1);
    /* A holding without a claim. */
    struct storage_op *op = op_merge(&f, true, "edge1", OBJECT_CUSTODY, 1, HLC(1));
    op->u.row.has_video = false;
    pair_ok(p, op);
    /* It says that we have it, and we have not. */
    pair_ok(p, op_merge(&f, true, "edge1", OBJECT_CUSTODY, 1, HLC(1)));
    pair_ok(p, op_merge(&f, true, "edge2", OBJECT_CUSTODY, 1, HLC(1)));
    pair_ok(p, op_merge(&f, true, "edge1", OBJECT_PRESENCE, 1, HLC(1)));
    pair_ok(p, op_merge(&f, true, "edge1", OBJECT_PRESENCE, 0, HLC(2)));
    pair_fetch(p, &f, 1);
    pair_ok(p, op_custody(&f, 1, HLC(20)));
    /* It says that we gave it up, and we did not. */
    pair_ok(p, op_merge(&f, true, "edge1", OBJECT_CUSTODY, 0, HLC(30)));
    pair_look(p);
    pair_ok(p, op_custody(&f, 1, HLC(31)));
    /* Stamped while our clock was ahead. */
    op = op_custody(&f, 0, HLC(3600 * 1000));
    pair_ok(p, op);
    op = op_custody(&f, 1, HLC(40));
    pair_ok(p, op);
    op = op_custody(&f, 1, HLC(41));
    op->u.row.restamp = true;
    pair_ok(p, op);
    pair_look(p);
    film_release(&f);
}

struct number {
    uint64_t n;
};

static struct storage_op *to_horizon(void *context)
{
    return op_horizon(((struct number *)context)->n);
}

static struct storage_op *to_bootstrap(void *context)
{
    return op_bootstrap(((struct number *)context)->n);
}

static struct storage_op *to_orphans(void *context)
{
    (void)context;
    return op_orphans();
}

static void forgetting(void **state)
{
    struct pair *p = *state;
    struct film f[4];
    for (unsigned i = 0; i < 4; i++) {
        char id[16];
        snprintf(id, sizeof(id), "video%u", i);
        make(&f[i], id, "alice", i);
        pair_upload(p, &f[i], HLC(1000 * i));
        pair_ok(p, op_merge(&f[i], true, "edge2", OBJECT_CUSTODY, 0, HLC(i)));
    }
    pair_ok(p, op_delete(&f[0], T0 + 5000));
    struct number n = {T0 + 2000};
    pair_until(p, to_horizon, &n);
    pair_look(p);
    pair_ok(p, op_merge(&f[1], true, "edge3", OBJECT_CUSTODY, 0, HLC(1)));
    n.n = HLC(1500);
    pair_until(p, to_bootstrap, &n);
    pair_look(p);
    pair_until(p, to_orphans, NULL);
    pair_look(p);
    n.n = T0 + 1000000;
    pair_until(p, to_horizon, &n);
    pair_look(p);
    n.n = T0; /* back: the clock was wrong */
    pair_until(p, to_horizon, &n);
    pair_look(p);
    for (unsigned i = 0; i < 4; i++)
        film_release(&f[i]);
}

/* What may have been deleted and forgotten since is not taken from who was not asked. */
static void old_rows(void **state)
{
    struct pair *p = *state;
    struct film f, other;
    make(&f, "video1", "alice", 1);
    make(&other, "video2", "alice", 2);
    struct number n = {T0 + 1000 * 1000};
    pair_until(p, to_horizon, &n);
    for (int asked = 0; asked < 2; asked++) {
        struct storage_op *op = op_merge(&f, true, "edge2", OBJECT_CUSTODY, 1, HLC(1));
        op->u.row.recent_only = !asked;
        pair_ok(p, op);
        assert_int_equal(pair_do(p, op_get("video1")), asked ? ERR_OK : ERR_UNKNOWN);
    }
    pair_ok(p, op_deleted(&other, T0 + 1000));
    pair_ok(p, op_merge(&f, true, "edge3", OBJECT_CUSTODY, 0, HLC(1)));
    pair_look(p);
    film_release(&f);
    film_release(&other);
}

static uint16_t leaf_of(const struct film *f)
{
    return digest_leaf_of(&f->video.video_id);
}

static void leaves_and_rows(void **state)
{
    struct pair *p = *state;
    struct film f;
    struct sync_want want[4] = {0};
    make(&f, "video1", "alice", 1);
    pair_ok(p, op_merge(&f, true, "edge2", OBJECT_CUSTODY, 1, HLC(1)));
    pair_ok(p, op_merge(&f, true, "edge3", OBJECT_CUSTODY, 1, HLC(1)));
    pair_ok(p, op_leaf(leaf_of(&f), NULL));
    struct storage_done *done = world_do(p->w, op_leaf(leaf_of(&f), NULL));
    assert_int_equal(done->u.leaves.leaves[0].n, 3);
    for (size_t i = 0; i < 3; i++) {
        want[i].leaf = leaf_of(&f);
        memcpy(want[i].digest, done->u.leaves.leaves[0].entries[i].digest, ROW_DIGEST_BYTES);
        pair_ok(p, op_leaf(leaf_of(&f), want[i].digest));
    }
    storage_done_free(done);
    pair_ok(p, op_rows(want, 4)); /* the last is nowhere */
    pair_ok(p, op_leaf((uint16_t)(leaf_of(&f) + 1), NULL));
    film_release(&f);
}

/* ---- at random ---- */

enum { FILMS = 12, STEPS = 1500, LOOK_EVERY = 25 };

struct dice {
    uint64_t state;
};

static unsigned draw(struct dice *d, unsigned n)
{
    d->state = d->state * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(d->state >> 33) % n;
}

static struct storage_op *random_op(struct dice *d, const struct film *f, size_t *at)
{
    static const char *const edges[] = {"edge1", "edge2", "edge3"};
    const char *edge = edges[draw(d, 3)];
    uint64_t hlc = HLC(draw(d, 40));
    uint64_t revision = T0 + draw(d, 40 * 1000);
    switch (draw(d, 15)) {
    case 0:
    case 1: *at = 0; return op_claim(f);
    case 2: *at = 0; return op_copy(f);
    case 3: return op_finish(f, hlc, "receipt");
    case 4: return op_cached(f);
    case 5: return op_merge(f, draw(d, 2), edge, OBJECT_PRESENCE, (uint8_t)draw(d, 2), hlc);
    case 6:
    case 7: return op_merge(f, draw(d, 4) > 0, edge, OBJECT_CUSTODY, (uint8_t)draw(d, 2), hlc);
    case 8: return draw(d, 2) ? op_deleted(f, revision) : op_delete(f, revision);
    case 9: return op_custody(f, (uint8_t)draw(d, 2), hlc);
    case 10: return op_touch(f->video.video_id.s, draw(d, 100));
    case 11: return op_get(f->video.video_id.s);
    case 12: return op_probe(f, 0);
    case 13: return op_thumbnail(f, 100 + draw(d, 100));
    default: return op_part(f, (*at)++ % f->parts_n);
    }
}

static void random_forgetting(struct pair *p, struct dice *d)
{
    struct number n = {T0 + draw(d, 40 * 1000)};
    switch (draw(d, 4)) {
    case 0: pair_until(p, to_horizon, &n); break;
    case 1:
        n.n = HLC(draw(d, 40));
        pair_until(p, to_bootstrap, &n);
        break;
    case 2: pair_until(p, to_orphans, NULL); break;
    default: pair_until(p, trim_all, NULL);
    }
}

static void at_random(void **state)
{
    static const char *const videos[] = {"video1", "video2", "video3"};
    static const char *const streamers[] = {"alice", "bob"};
    struct pair *p = *state;
    struct film f[FILMS];
    size_t at[FILMS] = {0};
    struct dice d = {11};
    for (unsigned i = 0; i < FILMS; i++)
        make(&f[i], videos[i % 3], streamers[i / 3 % 2], i);
    for (unsigned i = 0; i < STEPS; i++) {
        unsigned k = draw(&d, FILMS);
        if (draw(&d, 60) == 0)
            random_forgetting(p, &d);
        struct storage_op *op = random_op(&d, &f[k], &at[k]);
        if (op->kind == STORAGE_ROW_MERGE)
            op->u.row.recent_only = draw(&d, 2);
        if (op->kind == STORAGE_CUSTODY_PUT)
            op->u.row.restamp = draw(&d, 2);
        pair_do(p, op);
        for (unsigned more = 0; at[k] && more < f[k].parts_n && draw(&d, 3); more++)
            pair_do(p, op_part(&f[k], at[k]++ % f[k].parts_n));
        if (i % LOOK_EVERY == 0)
            pair_look(p);
    }
    for (unsigned i = 0; i < FILMS; i++)
        film_release(&f[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_upload, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(receipts, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(a_copy, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(thumbnails, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(making_room, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(deletions, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(squatted, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(contested, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(finished_elsewhere, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(a_copy_waits_for_a_newer_upload, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(own_rows, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(forgetting, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(old_rows, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(leaves_and_rows, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(at_random, pair_setup, pair_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
