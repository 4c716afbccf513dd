#include "base/queue.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include <cmocka.h>

enum { PRODUCERS = 3, CONSUMERS = 3, ITEMS_PER_PRODUCER = 5000, CAP = 16 };

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
static void *consume(void *arg)
{
    struct plant *plant = arg;
    int last[PRODUCERS];
    for (int i = 0; i < PRODUCERS; i++)
        last[i] = -1;
    uint64_t seq, next = 0;
    for (int *item; (item = queue_wait(&plant->q, &seq)); next = seq + 1) {
        ptrdiff_t at = item - &plant->numbers[0][0];
        ptrdiff_t row = at / ITEMS_PER_PRODUCER;
        if (seq < next || *item <= last[row])
            atomic_fetch_add(&plant->disorder, 1);
        last[row] = *item;
        atomic_fetch_add(&plant->seen[row][*item], 1);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    static struct plant plant;
    struct producer producers[PRODUCERS];
    pthread_t makers[PRODUCERS], takers[CONSUMERS];
    assert_int_equal(queue_init(&plant.q, CAP), ERR_OK);
    for (int i = 0; i < CONSUMERS; i++)
        assert_int_equal(pthread_create(&takers[i], NULL, consume, &plant), 0);
    for (int i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){&plant, i};
        assert_int_equal(pthread_create(&makers[i], NULL, produce, &producers[i]), 0);
    }
    for (int i = 0; i < PRODUCERS; i++)
        assert_int_equal(pthread_join(makers[i], NULL), 0);
    queue_close(&plant.q);
    for (int i = 0; i < CONSUMERS; i++)
        assert_int_equal(pthread_join(takers[i], NULL), 0);
    assert_int_equal(atomic_load(&plant.disorder), 0);
    for (int row = 0; row < PRODUCERS; row++)
        for (int i = 0; i < ITEMS_PER_PRODUCER; i++)
            assert_int_equal(atomic_load(&plant.seen[row][i]), 1);
    queue_release(&plant.q);
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
        cmocka_unit_test(test_zeroed_is_released),
        cmocka_unit_test(test_too_many_open_files),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_polling_thread_misses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
