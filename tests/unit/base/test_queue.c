#include "base/queue.h"
#include "tests/unit/asleep.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

enum { PRODUCERS = 3, CONSUMERS = 3, ITEMS_PER_PRODUCER = 5000, CAP = 16 };
enum { ITEMS = PRODUCERS * ITEMS_PER_PRODUCER, SLEEPERS = 3 };

static bool readable(const struct queue *q)
{
    struct pollfd p = {.fd = queue_fd(q), .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static void test_order_and_sequence(void **state)
{
    (void)state;
    struct queue q;
    int items[5];
    assert_int_equal(queue_init(&q, 3), ERR_OK);
    uint64_t expected = 0;
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 3; i++)
            assert_int_equal(queue_push(&q, &items[i]), ERR_OK);
        for (int i = 0; i < 3; i++) {
            uint64_t seq = UINT64_MAX;
            assert_ptr_equal(i % 2 ? queue_wait(&q, &seq) : queue_take(&q, &seq), &items[i]);
            assert_true(seq == expected++);
        }
    }
    queue_release(&q);
}

static void test_full_and_empty(void **state)
{
    (void)state;
    struct queue q;
    int item, other;
    uint64_t seq = 42;
    assert_int_equal(queue_init(&q, 1), ERR_OK);
    assert_null(queue_take(&q, &seq));
    assert_true(seq == 42);
    assert_int_equal(queue_push(&q, &item), ERR_OK);
    assert_int_equal(queue_push(&q, &other), ERR_LIMIT);
    assert_ptr_equal(queue_take(&q, NULL), &item);
    assert_null(queue_take(&q, NULL));
    assert_int_equal(queue_push(&q, &other), ERR_OK);
    assert_ptr_equal(queue_take(&q, NULL), &other);
    queue_release(&q);
}

/* I2, over every change between empty, filled and closed. */
static void test_fd(void **state)
{
    (void)state;
    struct queue q;
    int item;
    assert_int_equal(queue_init(&q, 2), ERR_OK);
    assert_false(readable(&q));
    queue_push(&q, &item);
    queue_push(&q, &item);
    assert_int_equal(queue_push(&q, &item), ERR_LIMIT);
    assert_true(readable(&q));
    queue_take(&q, NULL);
    assert_true(readable(&q));
    queue_take(&q, NULL);
    assert_false(readable(&q));
    queue_take(&q, NULL);
    assert_false(readable(&q));
    queue_push(&q, &item);
    queue_close(&q);
    assert_true(readable(&q));
    queue_take(&q, NULL);
    assert_true(readable(&q));
    queue_release(&q);
}

/* Without a descriptor all is the same but polling. */
static void test_waited(void **state)
{
    (void)state;
    struct queue q;
    int item;
    queue_init_waited(&q, 1);
    assert_null(queue_take(&q, NULL));
    assert_int_equal(queue_push(&q, &item), ERR_OK);
    assert_int_equal(queue_push(&q, &item), ERR_LIMIT);
    assert_ptr_equal(queue_wait(&q, NULL), &item);
    assert_int_equal(queue_push(&q, &item), ERR_OK);
    queue_close(&q);
    assert_int_equal(queue_push(&q, &item), ERR_CLOSED);
    assert_ptr_equal(queue_wait(&q, NULL), &item);
    assert_null(queue_wait(&q, NULL));
    queue_release(&q);
    queue_release(&q);
}

static void test_close(void **state)
{
    (void)state;
    struct queue q;
    int item;
    assert_int_equal(queue_init(&q, 2), ERR_OK);
    queue_push(&q, &item);
    assert_false(queue_is_closed(&q));
    queue_close(&q);
    queue_close(&q);
    assert_true(queue_is_closed(&q));
    assert_int_equal(queue_taken(&q), 0);
    assert_int_equal(queue_push(&q, &item), ERR_CLOSED);
    assert_ptr_equal(queue_wait(&q, NULL), &item);
    assert_null(queue_wait(&q, NULL));
    assert_null(queue_take(&q, NULL));
    assert_int_equal(queue_taken(&q), 1);
    queue_release(&q);

    assert_int_equal(queue_init(&q, 1), ERR_OK);
    queue_close(&q);
    assert_true(readable(&q));
    assert_null(queue_wait(&q, NULL));
    queue_release(&q);
}

static bool is_below(const void *item, uint64_t seq, const void *end)
{
    (void)item;
    return seq < *(const uint64_t *)end;
}

/* The oldest one if its number is below end; whether it was refused in *ret_left. */
static void *take_below(struct queue *q, uint64_t end, uint64_t *ret_seq, bool *ret_left)
{
    *ret_left = !*ret_left; /* it is written in every case */
    return queue_take_if(q, is_below, &end, ret_seq, ret_left);
}

static void expect_refused(struct queue *q)
{
    uint64_t seq = 42;
    bool left = false;
    assert_null(take_below(q, 0, &seq, &left));
    assert_true(left && seq == 42);
}

/* Below, at and above the number of the oldest item, whatever that has become. */
static void test_take_if(void **state)
{
    (void)state;
    struct queue q;
    int items[2];
    bool left = false;
    assert_int_equal(queue_init(&q, 2), ERR_OK);
    for (uint64_t oldest = 0; oldest < 6; oldest += 2) {
        uint64_t seq = 42;
        queue_push(&q, &items[0]);
        queue_push(&q, &items[1]);
        expect_refused(&q);
        assert_null(take_below(&q, oldest, &seq, &left));
        assert_true(left && seq == 42 && queue_taken(&q) == oldest && readable(&q));
        assert_ptr_equal(take_below(&q, oldest + 1, &seq, &left), &items[0]);
        assert_true(!left && seq == oldest);
        assert_null(take_below(&q, oldest + 1, &seq, &left));
        assert_true(left && seq == oldest);
        assert_ptr_equal(take_below(&q, UINT64_MAX, NULL, &left), &items[1]);
        assert_false(left);
        assert_false(readable(&q));
    }
    queue_release(&q);
}

static bool is_this(const void *item, uint64_t seq, const void *wanted)
{
    (void)seq;
    return item == wanted;
}

/* It is asked about the oldest item, and about nothing if there is none. */
static void test_take_if_by_item(void **state)
{
    (void)state;
    struct queue q;
    int items[2];
    bool left = true;
    queue_init_waited(&q, 2);
    assert_null(queue_take_if(&q, NULL, NULL, NULL, &left));
    assert_false(left);
    queue_push(&q, &items[0]);
    queue_push(&q, &items[1]);
    assert_null(queue_take_if(&q, is_this, &items[1], NULL, &left));
    assert_true(left);
    assert_ptr_equal(queue_take_if(&q, is_this, &items[0], NULL, &left), &items[0]);
    assert_false(left);
    assert_ptr_equal(queue_take_if(&q, is_this, &items[1], NULL, &left), &items[1]);
    queue_release(&q);
}

static void test_take_if_empty_and_closed(void **state)
{
    (void)state;
    struct queue q;
    int item;
    uint64_t seq = 42;
    bool left = true;
    assert_int_equal(queue_init(&q, 1), ERR_OK);
    assert_null(take_below(&q, 0, &seq, &left));
    assert_false(left);
    assert_null(take_below(&q, UINT64_MAX, &seq, &left));
    assert_false(left);
    queue_push(&q, &item);
    queue_close(&q);
    expect_refused(&q);
    assert_true(seq == 42);
    assert_ptr_equal(take_below(&q, 1, &seq, &left), &item);
    assert_true(!left && seq == 0);
    assert_null(take_below(&q, 0, &seq, &left));
    assert_false(left);
    assert_true(readable(&q));
    assert_null(queue_wait(&q, NULL));
    queue_release(&q);
}

/* What was refused is taken at once by who did not sleep, and so is what waits behind it. */
static void test_left_with_nobody_asleep(void **state)
{
    (void)state;
    struct queue q;
    int items[2];
    queue_init_waited(&q, 4);
    queue_wake_at(&q, 4);
    for (uint64_t round = 0; round < 3; round++) {
        uint64_t seq;
        queue_push(&q, &items[0]);
        queue_push(&q, &items[1]);
        expect_refused(&q);
        for (uint64_t i = 0; i < 2; i++) {
            assert_ptr_equal(queue_wait(&q, &seq), &items[i]);
            assert_true(seq == 2 * round + i);
        }
    }
    queue_push(&q, &items[0]);
    expect_refused(&q);
    queue_close(&q);
    assert_ptr_equal(queue_wait(&q, NULL), &items[0]);
    assert_null(queue_wait(&q, NULL));
    queue_release(&q);
}

struct dormitory {
    struct queue q;
    atomic_uint taken;
    pthread_t threads[SLEEPERS];
    unsigned threads_n;
    atomic_int tids[SLEEPERS];
    atomic_uint tids_n;
};

static void *wait_and_count(void *arg)
{
    struct dormitory *d = arg;
    atomic_store(&d->tids[atomic_fetch_add(&d->tids_n, 1)], gettid());
    while (queue_wait(&d->q, NULL))
        atomic_fetch_add(&d->taken, 1);
    return NULL;
}

static void dormitory_init(struct dormitory *d, size_t cap, size_t wake_at)
{
    *d = (struct dormitory){0};
    assert_int_equal(queue_init(&d->q, cap), ERR_OK);
    queue_wake_at(&d->q, wake_at);
}

static void lie_down(struct dormitory *d, unsigned threads)
{
    d->threads_n = threads;
    for (unsigned i = 0; i < threads; i++)
        assert_int_equal(pthread_create(&d->threads[i], NULL, wait_and_count, d), 0);
    assert_true(all_asleep());
}

/* Threads that sleep in queue_wait until wake_at items wait. */
static void put_to_sleep(struct dormitory *d, size_t cap, size_t wake_at, unsigned threads)
{
    dormitory_init(d, cap, wake_at);
    lie_down(d, threads);
}

static void get_up(struct dormitory *d)
{
    queue_close(&d->q);
    for (unsigned i = 0; i < d->threads_n; i++)
        assert_int_equal(pthread_join(d->threads[i], NULL), 0);
    assert_null(queue_take(&d->q, NULL));
    queue_release(&d->q);
}

/* How many the threads have taken once they sleep again. */
static void expect_taken(struct dormitory *d, unsigned taken)
{
    assert_true(all_asleep());
    assert_int_equal(atomic_load(&d->taken), taken);
}

/* Below n it sleeps, at n it takes all there is, and below n it sleeps again; n from one to cap. */
static void test_wake_at(void **state)
{
    (void)state;
    struct dormitory d;
    int item;
    for (unsigned n = 1; n <= 4; n++) {
        put_to_sleep(&d, 4, n, 1);
        for (unsigned round = 1; round <= 3; round++) {
            long slept = asleep_times(atomic_load(&d.tids[0]));
            for (unsigned i = 1; i < n; i++) {
                assert_int_equal(queue_push(&d.q, &item), ERR_OK);
                expect_taken(&d, (round - 1) * n);
                assert_true(readable(&d.q)); /* who polls sees it */
            }
            assert_true(asleep_times(atomic_load(&d.tids[0])) == slept); /* nor did it wake up */
            assert_int_equal(queue_push(&d.q, &item), ERR_OK);
            expect_taken(&d, round * n);
            assert_false(readable(&d.q));
        }
        get_up(&d);
    }
}

/* What a poller takes away does not count for the sleeper. */
static void test_wake_at_beside_a_poller(void **state)
{
    (void)state;
    struct dormitory d;
    int item;
    bool left = false;
    put_to_sleep(&d, 4, 3, 1);
    for (uint64_t i = 0; i < 10; i++) {
        uint64_t seq;
        queue_push(&d.q, &item);
        queue_push(&d.q, &item);
        assert_ptr_equal(take_below(&d.q, 2 * i + 1, &seq, &left), &item);
        assert_ptr_equal(queue_take(&d.q, &seq), &item);
        assert_true(seq == 2 * i + 1);
    }
    expect_taken(&d, 0);
    for (int i = 0; i < 3; i++)
        queue_push(&d.q, &item);
    expect_taken(&d, 3);
    get_up(&d);
}

/* Who comes while items wait does not sleep, however few they are. */
static void test_wake_at_takes_what_there_is(void **state)
{
    (void)state;
    struct queue q;
    int items[3];
    queue_init_waited(&q, 3);
    queue_wake_at(&q, 3);
    for (uint64_t n = 1; n <= 3; n++) {
        for (uint64_t i = 0; i < n; i++)
            queue_push(&q, &items[i]);
        for (uint64_t i = 0; i < n; i++)
            assert_ptr_equal(queue_wait(&q, NULL), &items[i]);
    }
    queue_close(&q);
    assert_null(queue_wait(&q, NULL));
    queue_release(&q);
}

/* Closing wakes all that sleep, and what waits is still taken: nothing, and n - 1. */
static void test_wake_at_close(void **state)
{
    (void)state;
    struct dormitory d;
    int item;
    for (unsigned left = 0; left < 4; left++) {
        put_to_sleep(&d, 4, 4, SLEEPERS);
        for (unsigned i = 0; i < left; i++)
            queue_push(&d.q, &item);
        expect_taken(&d, 0);
        get_up(&d);
        assert_int_equal(atomic_load(&d.taken), left);
    }
}

/* One of those who sleep is woken for it, however often it is refused; and once it is taken, few
 * wait again. */
static void test_left_wakes_one(void **state)
{
    (void)state;
    struct dormitory d;
    int item;
    put_to_sleep(&d, 4, 4, SLEEPERS);
    for (unsigned round = 1; round <= 10; round++) {
        long slept[SLEEPERS];
        bool left;
        unsigned woken = 0;
        for (unsigned i = 0; i < SLEEPERS; i++)
            slept[i] = asleep_times(atomic_load(&d.tids[i]));
        queue_push(&d.q, &item);
        expect_refused(&d.q);
        for (int again = 0; again < 5; again++)
            assert_null(queue_take_if(&d.q, is_this, NULL, NULL, &left));
        expect_taken(&d, round);
        for (unsigned i = 0; i < SLEEPERS; i++)
            woken += asleep_times(atomic_load(&d.tids[i])) != slept[i];
        assert_int_equal(woken, 1);
        queue_push(&d.q, &item);
        queue_push(&d.q, &item);
        expect_taken(&d, round);
        assert_non_null(queue_take(&d.q, NULL));
        assert_non_null(queue_take(&d.q, NULL));
    }
    get_up(&d);
}

/* Who is woken for one that was left takes what waits behind it, too. */
static void test_left_with_others_behind(void **state)
{
    (void)state;
    struct dormitory d;
    int item;
    for (unsigned n = 1; n <= 3; n++) {
        put_to_sleep(&d, 4, 4, 1);
        for (unsigned i = 0; i < n; i++)
            queue_push(&d.q, &item);
        expect_taken(&d, 0);
        expect_refused(&d.q);
        expect_taken(&d, n);
        get_up(&d);
    }
}

/* It is over, too, if somebody else takes it, in either way, before anybody sleeps. */
static void test_left_is_over(void **state)
{
    (void)state;
    struct dormitory d;
    int item;
    for (int way = 0; way < 2; way++) {
        bool left = false;
        dormitory_init(&d, 4, 4);
        queue_push(&d.q, &item);
        expect_refused(&d.q);
        assert_non_null(way ? queue_take(&d.q, NULL) : take_below(&d.q, 1, NULL, &left));
        lie_down(&d, SLEEPERS);
        for (int i = 0; i < 3; i++)
            queue_push(&d.q, &item);
        expect_taken(&d, 0);
        queue_push(&d.q, &item);
        expect_taken(&d, 4);
        get_up(&d);
    }
}

static void test_zeroed_is_released(void **state)
{
    (void)state;
    struct queue q = {0};
    queue_release(&q);
    queue_release(&q);
}

static void test_too_many_open_files(void **state)
{
    (void)state;
    struct rlimit kept;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &kept), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = kept.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct queue q;
    enum err err = queue_init(&q, 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &kept), 0);
    assert_int_equal(err, ERR_IO);
}

struct plant {
    struct queue q;
    int numbers[PRODUCERS][ITEMS_PER_PRODUCER];
    atomic_uint seen[PRODUCERS][ITEMS_PER_PRODUCER];
    atomic_uint disorder;
};

struct producer {
    struct plant *plant;
    int row;
};

static void *produce(void *arg)
{
    const struct producer *me = arg;
    for (int i = 0; i < ITEMS_PER_PRODUCER; i++) {
        me->plant->numbers[me->row][i] = i;
        while (queue_push(&me->plant->q, &me->plant->numbers[me->row][i]) == ERR_LIMIT)
            sched_yield();
    }
    return NULL;
}

/* Sequence numbers that one taker sees only rise, and so do the items of each producer (I1). */
struct taker {
    struct plant *plant;
    int last[PRODUCERS];
    uint64_t next;
};

static void taker_init(struct taker *t, struct plant *plant)
{
    *t = (struct taker){.plant = plant};
    for (int i = 0; i < PRODUCERS; i++)
        t->last[i] = -1;
}

static void note(struct taker *t, const int *item, uint64_t seq)
{
    ptrdiff_t row = (item - &t->plant->numbers[0][0]) / ITEMS_PER_PRODUCER;
    if (seq < t->next || *item <= t->last[row])
        atomic_fetch_add(&t->plant->disorder, 1);
    t->last[row] = *item;
    t->next = seq + 1;
    atomic_fetch_add(&t->plant->seen[row][*item], 1);
}

static void *consume(void *arg)
{
    struct taker t;
    taker_init(&t, arg);
    uint64_t seq;
    for (int *item; (item = queue_wait(&t.plant->q, &seq));)
        note(&t, item, seq);
    return NULL;
}

/* Beside the consumers: up to five at a time, below a number; the one after is left to them. */
static void *consume_polling(void *arg)
{
    struct taker t;
    taker_init(&t, arg);
    struct queue *q = &t.plant->q;
    struct pollfd p = {.fd = queue_fd(q), .events = POLLIN};
    while (poll(&p, 1, -1) == 1 && !(queue_is_closed(q) && queue_taken(q) == ITEMS)) {
        uint64_t seq, end = queue_taken(q) + 5;
        bool left = false;
        for (int *item; (item = take_below(q, end, &seq, &left));) {
            if (seq >= end)
                atomic_fetch_add(&t.plant->disorder, 1);
            note(&t, item, seq);
        }
    }
    return NULL;
}

static void plant_start(struct plant *plant, size_t wake_at)
{
    memset(plant->seen, 0, sizeof(plant->seen));
    atomic_store(&plant->disorder, 0);
    assert_int_equal(queue_init(&plant->q, CAP), ERR_OK);
    queue_wake_at(&plant->q, wake_at);
}

static void plant_end(struct plant *plant)
{
    assert_int_equal(atomic_load(&plant->disorder), 0);
    for (int row = 0; row < PRODUCERS; row++)
        for (int i = 0; i < ITEMS_PER_PRODUCER; i++)
            assert_int_equal(atomic_load(&plant->seen[row][i]), 1);
    queue_release(&plant->q);
}

/* Every item is taken once. With a poller, before the queue is closed. */
static void run_plant(size_t wake_at, bool polled)
{
    static struct plant plant;
    struct producer producers[PRODUCERS];
    pthread_t makers[PRODUCERS], takers[CONSUMERS], poller;
    plant_start(&plant, wake_at);
    for (int i = 0; i < CONSUMERS; i++)
        assert_int_equal(pthread_create(&takers[i], NULL, consume, &plant), 0);
    if (polled)
        assert_int_equal(pthread_create(&poller, NULL, consume_polling, &plant), 0);
    for (int i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){&plant, i};
        assert_int_equal(pthread_create(&makers[i], NULL, produce, &producers[i]), 0);
    }
    for (int i = 0; i < PRODUCERS; i++)
        assert_int_equal(pthread_join(makers[i], NULL), 0);
    while (polled && queue_taken(&plant.q) < ITEMS)
        sched_yield();
    queue_close(&plant.q);
    for (int i = 0; i < CONSUMERS; i++)
        assert_int_equal(pthread_join(takers[i], NULL), 0);
    if (polled)
        assert_int_equal(pthread_join(poller, NULL), 0);
    plant_end(&plant);
}

static void test_threads(void **state)
{
    (void)state;
    run_plant(1, false);
}

static void test_threads_wake_at(void **state)
{
    (void)state;
    run_plant(4, false);
    run_plant(CAP, false);
}

static void test_threads_wake_at_beside_a_poller(void **state)
{
    (void)state;
    run_plant(1, true);
    run_plant(4, true);
    run_plant(CAP, true);
}

static void *poll_and_take(void *arg)
{
    struct queue *q = arg;
    struct pollfd p = {.fd = queue_fd(q), .events = POLLIN};
    uintptr_t taken_n = 0;
    while (taken_n < ITEMS_PER_PRODUCER && poll(&p, 1, -1) == 1)
        while (queue_take(q, NULL))
            taken_n++;
    return (void *)taken_n;
}

/* A poll() loop never sleeps while an item waits: every push is seen (I2). */
static void test_polling_thread_misses_nothing(void **state)
{
    (void)state;
    struct queue q;
    int item;
    pthread_t taker;
    void *taken_n;
    assert_int_equal(queue_init(&q, CAP), ERR_OK);
    assert_int_equal(pthread_create(&taker, NULL, poll_and_take, &q), 0);
    for (int i = 0; i < ITEMS_PER_PRODUCER; i++)
        while (queue_push(&q, &item) == ERR_LIMIT)
            sched_yield();
    assert_int_equal(pthread_join(taker, &taken_n), 0);
    assert_int_equal((uintptr_t)taken_n, ITEMS_PER_PRODUCER);
    queue_release(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_sequence),
        cmocka_unit_test(test_full_and_empty),
        cmocka_unit_test(test_fd),
        cmocka_unit_test(test_waited),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_take_if),
        cmocka_unit_test(test_take_if_by_item),
        cmocka_unit_test(test_take_if_empty_and_closed),
        cmocka_unit_test(test_left_with_nobody_asleep),
        cmocka_unit_test(test_wake_at),
        cmocka_unit_test(test_wake_at_beside_a_poller),
        cmocka_unit_test(test_wake_at_takes_what_there_is),
        cmocka_unit_test(test_wake_at_close),
        cmocka_unit_test(test_left_wakes_one),
        cmocka_unit_test(test_left_with_others_behind),
        cmocka_unit_test(test_left_is_over),
        cmocka_unit_test(test_zeroed_is_released),
        cmocka_unit_test(test_too_many_open_files),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_threads_wake_at),
        cmocka_unit_test(test_threads_wake_at_beside_a_poller),
        cmocka_unit_test(test_polling_thread_misses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
