/* Keys, credentials and upload states on disk: modes, damage, and what belongs together. */
#include "base/clock.h"
#include "base/file.h"
#include "client/identity.h"
#include "client/upload_state.h"
#include "tests/unit/client/zone_of_ours.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char home[OURS_PATH_BYTES];
    struct identity identity;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_int_equal(crypto_init(), ERR_OK);
    folder_make(f->home);
    assert_int_equal(identity_open(&f->identity), ERR_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    folder_remove(f->home);
    free(f);
    return 0;
}

static void path_of(const struct fixture *f, const char *name,
                    char ret[static IDENTITY_PATH_BYTES_MAX])
{
    identity_path(&f->identity, name, ret);
}

static mode_t mode_of(const struct fixture *f, const char *name)
{
    char path[IDENTITY_PATH_BYTES_MAX];
    struct stat st;
    path_of(f, name, path);
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 0777;
}

static void test_home(void **state)
{
    (void)state;
    struct identity identity;
    assert_int_equal(setenv("EDGECTL_HOME", "/x/y", 1), 0);
    assert_int_equal(identity_open(&identity), ERR_OK);
    assert_string_equal(identity.home, "/x/y");
    assert_int_equal(unsetenv("EDGECTL_HOME"), 0);
    assert_int_equal(setenv("HOME", "/home/lea", 1), 0);
    assert_int_equal(identity_open(&identity), ERR_OK);
    assert_string_equal(identity.home, "/home/lea/.config/edge-cluster");
    char longer[2000];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(setenv("HOME", longer, 1), 0);
    assert_int_equal(identity_open(&identity), ERR_LIMIT);
    assert_int_equal(unsetenv("HOME"), 0);
    assert_int_equal(identity_open(&identity), ERR_UNKNOWN);
}

static void test_key(void **state)
{
    struct fixture *f = *state;
    struct signkey key, again;
    assert_int_equal(identity_key(&f->identity, false, &key), ERR_UNKNOWN);
    assert_int_equal(identity_key(&f->identity, true, &key), ERR_OK);
    assert_int_equal(mode_of(f, "key"), 0600);
    assert_int_equal(identity_key(&f->identity, true, &again), ERR_OK);
    assert_memory_equal(&key, &again, sizeof(key));
}

enum { LOGINS = 4, LOGIN_ROUNDS = 15 };

/* Each in a process of its own, for which a home without a key is the first one. */
static void test_first_logins_at_once(void **state)
{
    struct fixture *f = *state;
    char path[IDENTITY_PATH_BYTES_MAX];
    path_of(f, "key", path);
    for (int round = 0; round < LOGIN_ROUNDS; round++) {
        int made[2];
        struct signkey key, kept;
        assert_int_equal(pipe(made), 0);
        for (int i = 0; i < LOGINS; i++) {
            pid_t child = fork();
            assert_true(child >= 0);
            if (child == 0)
                _exit(identity_key(&f->identity, true, &key) != ERR_OK ||
                      write(made[1], &key, sizeof(key)) != (ssize_t)sizeof(key));
        }
        for (int i = 0, status; i < LOGINS; i++) {
            assert_true(wait(&status) > 0);
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        }
        assert_int_equal(identity_key(&f->identity, false, &kept), ERR_OK);
        for (int i = 0; i < LOGINS; i++) {
            assert_int_equal(read(made[0], &key, sizeof(key)), sizeof(key));
            assert_memory_equal(&key, &kept, sizeof(key));
        }
        close(made[0]);
        close(made[1]);
        assert_int_equal(unlink(path), 0);
    }
}

/* ------------------------------------------------------------------ the lock */

static void test_lock(void **state)
{
    struct fixture *f = *state;
    int lock;
    assert_int_equal(identity_lock(&f->identity, &lock), ERR_OK);
    assert_int_equal(mode_of(f, "lock"), 0600);
    close(lock);
    assert_int_equal(identity_lock(&f->identity, &lock), ERR_OK); /* with the file that is there */
    close(lock);
}

static void test_lock_is_not_waited_for_without_end(void **state)
{
    struct fixture *f = *state;
    int held, lock = -1;
    assert_true(f->identity.lock_wait_us == IDENTITY_LOCK_WAIT_US);
    f->identity.lock_wait_us = 100 * 1000;
    assert_int_equal(identity_lock(&f->identity, &held), ERR_OK);
    uint64_t since_us = clock_mono_us();
    assert_int_equal(identity_lock(&f->identity, &lock), ERR_BUSY);
    assert_true(clock_mono_us() - since_us >= f->identity.lock_wait_us);
    assert_int_equal(lock, -1);
    close(held);
}

static void test_lock_comes_when_it_is_let_go(void **state)
{
    struct fixture *f = *state;
    int locked[2], lock, status;
    char byte;
    assert_int_equal(pipe(locked), 0);
    pid_t other = fork();
    assert_true(other >= 0);
    if (other == 0) {
        bool held = identity_lock(&f->identity, &lock) == ERR_OK && write(locked[1], "", 1) == 1;
        poll(NULL, 0, 5 * IDENTITY_LOCK_AGAIN_US / 1000); /* several tries fail meanwhile */
        _exit(held ? 0 : 1);
    }
    assert_int_equal(read(locked[0], &byte, 1), 1);
    assert_int_equal(identity_lock(&f->identity, &lock), ERR_OK);
    close(lock);
    close(locked[0]);
    close(locked[1]);
    assert_int_equal(waitpid(other, &status, 0), other);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void on_alarm(int number)
{
    (void)number;
}

static void test_a_signal_ends_the_wait_for_the_lock(void **state)
{
    struct fixture *f = *state;
    struct sigaction catch = {.sa_handler = on_alarm}, before;
    const struct itimerval often = {.it_interval = {.tv_usec = 50 * 1000},
                                    .it_value = {.tv_usec = 50 * 1000}};
    const struct itimerval never = {0};
    int held, lock = -1;
    assert_int_equal(identity_lock(&f->identity, &held), ERR_OK);
    assert_int_equal(sigaction(SIGALRM, &catch, &before), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    assert_int_equal(identity_lock(&f->identity, &lock), ERR_CLOSED);
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
    assert_int_equal(lock, -1);
    close(held);
}

static void test_key_open_to_others(void **state)
{
    struct fixture *f = *state;
    struct signkey key;
    char path[IDENTITY_PATH_BYTES_MAX];
    assert_int_equal(identity_key(&f->identity, true, &key), ERR_OK);
    path_of(f, "key", path);
    static const mode_t modes[] = {0640, 0604, 0660, 0777, 0601};
    for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
        assert_int_equal(chmod(path, modes[i]), 0);
        assert_int_equal(identity_key(&f->identity, true, &key), ERR_UNAUTHORIZED);
        assert_int_equal(mode_of(f, "key"), modes[i]); /* refused, not mended */
    }
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(identity_key(&f->identity, false, &key), ERR_OK);
}

static void test_damaged_key(void **state)
{
    struct fixture *f = *state;
    struct signkey key;
    char path[IDENTITY_PATH_BYTES_MAX], text[1000];
    path_of(f, "key", path);
    memset(text, 'a', sizeof(text));
    static const size_t lengths[] = {0, 63, 65, sizeof(text)};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        assert_int_equal(file_write(path, slice_of(text, lengths[i])), ERR_OK);
        assert_int_equal(identity_key(&f->identity, true, &key), ERR_FORMAT);
    }
    assert_int_equal(file_write(path, slice_of(text, 64)), ERR_OK);
    assert_int_equal(identity_key(&f->identity, false, &key), ERR_OK);
}

static void test_objects(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[OBJECT_BYTES_MAX] = {1, 2, 3}, read[OBJECT_BYTES_MAX];
    size_t len;
    assert_int_equal(identity_read(&f->identity, "zone", read, &len), ERR_UNKNOWN);
    static const size_t sizes[] = {0, 1, OBJECT_BYTES_MAX};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        assert_int_equal(identity_write(&f->identity, "zone", slice_of(bytes, sizes[i])), ERR_OK);
        assert_int_equal(identity_read(&f->identity, "zone", read, &len), ERR_OK);
        assert_int_equal(len, sizes[i]);
        assert_memory_equal(read, bytes, len);
    }
    assert_int_equal(mode_of(f, "zone"), 0600);
    char path[IDENTITY_PATH_BYTES_MAX];
    path_of(f, "zone", path);
    assert_int_equal(file_write(path, slice_str("not base64!")), ERR_OK);
    assert_int_equal(identity_read(&f->identity, "zone", read, &len), ERR_FORMAT);
}

static void keep_seed(const struct fixture *f, const uint8_t seed[static KEY_BYTES])
{
    char path[IDENTITY_PATH_BYTES_MAX], text[2 * KEY_BYTES + 1];
    path_of(f, "key", path);
    hex_encode(slice_of(seed, KEY_BYTES), text);
    assert_int_equal(file_write(path, slice_str(text)), ERR_OK);
}

static void test_streamer(void **state)
{
    struct fixture *f = *state;
    struct ours o;
    struct streamer s;
    ours_init(&o, false);
    assert_int_equal(streamer_load(&f->identity, &o.zone, 2000, &s), ERR_UNKNOWN);
    keep_seed(f, o.streamer_key.seed);
    assert_int_equal(streamer_load(&f->identity, &o.zone, 2000, &s), ERR_UNKNOWN);
    assert_int_equal(identity_write(&f->identity, "credential", bytes_of(&o.credential)), ERR_OK);
    assert_int_equal(streamer_load(&f->identity, &o.zone, 2000, &s), ERR_OK);
    assert_string_equal(s.credential.subject.s, "lea");
    assert_int_equal(streamer_load(&f->identity, &o.zone, 999, &s), ERR_TIMEOUT);
    assert_int_equal(streamer_load(&f->identity, &o.zone, 1000000, &s), ERR_TIMEOUT);
    struct zone_params other = o.zone;
    other.sign_pk = o.streamer_key.pk;
    assert_int_not_equal(streamer_load(&f->identity, &other, 2000, &s), ERR_OK);
    keep_seed(f, o.zone_key.seed); /* a credential for another key is worth nothing */
    assert_int_equal(streamer_load(&f->identity, &o.zone, 2000, &s), ERR_SIGNATURE);
    ours_release(&o);
}

static void test_upload_state(void **state)
{
    struct fixture *f = *state;
    struct upload_state *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));
    struct id video;
    assert_int_equal(id_parse(slice_str("film"), &video), ERR_OK);
    assert_int_equal(upload_state_read(&f->identity, &video, b), ERR_UNKNOWN);
    *a = (struct upload_state){.created_us = 5,
                               .revision_us = UINT64_MAX,
                               .part_bytes = 61440,
                               .size_bytes = 1,
                               .mtime_ns = 1700000000123456789,
                               .zone_id = {"z"},
                               .streamer_id = {"lea"},
                               .edge_id = {"e1"},
                               .path = "/a film with spaces.mp4"};
    a->nonce.b[31] = 0xab;
    assert_int_equal(upload_state_write(&f->identity, &video, a), ERR_OK);
    assert_int_equal(upload_state_read(&f->identity, &video, b), ERR_OK);
    assert_memory_equal(a, b, sizeof(*a));
    assert_true(upload_state_same(a, b));
    b->mtime_ns++;
    assert_false(upload_state_same(a, b)); /* the file was changed */
    assert_int_equal(mode_of(f, "uploads/film"), 0600);
    char path[IDENTITY_PATH_BYTES_MAX];
    path_of(f, "uploads/film", path);
    assert_int_equal(file_write(path, slice_str("nonce zz\n")), ERR_OK);
    assert_int_equal(upload_state_read(&f->identity, &video, b), ERR_FORMAT);
    upload_state_remove(&f->identity, &video);
    assert_int_equal(upload_state_read(&f->identity, &video, b), ERR_UNKNOWN);
    free(a);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_first_logins_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lock, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lock_is_not_waited_for_without_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lock_comes_when_it_is_let_go, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_signal_ends_the_wait_for_the_lock, setup, teardown),
        cmocka_unit_test_setup_teardown(test_key_open_to_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_objects, setup, teardown),
        cmocka_unit_test_setup_teardown(test_streamer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_upload_state, setup, teardown),
        cmocka_unit_test(test_home),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
