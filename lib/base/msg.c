#include "base/msg.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>

bool budget_take(struct budget *budget, size_t n)
{
    size_t alive = atomic_load_explicit(&budget->alive_bytes, memory_order_relaxed);
    do {
        if (n > budget->max_bytes || alive > budget->max_bytes - n)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&budget->alive_bytes, &alive, alive + n,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

void budget_give(struct budget *budget, size_t n)
{
    size_t before = atomic_fetch_sub_explicit(&budget->alive_bytes, n, memory_order_relaxed);
    CHECK(before >= n);
}

static void msg_destroy_own(struct msg *msg)
{
    free(msg);
}

static struct msg *msg_make(size_t topic_len, size_t payload_len, struct budget *budget,
                            uint8_t **ret_bytes)
{
    size_t bytes = topic_len + payload_len;
    if (budget && !budget_take(budget, bytes))
        return NULL;
    struct msg *msg = mem_alloc_raw(sizeof(*msg) + bytes);
    *ret_bytes = (uint8_t *)(msg + 1);
    *msg = (struct msg){
        .topic = slice_of(*ret_bytes, topic_len),
        .payload = slice_of(*ret_bytes + topic_len, payload_len),
        .refs = 1,
        .budget = budget,
        .charged_bytes = bytes,
        .destroy = msg_destroy_own,
    };
    return msg;
}

struct msg *msg_new(struct slice topic, struct slice payload, struct budget *budget)
{
    uint8_t *bytes;
    struct msg *msg = msg_make(topic.len, payload.len, budget, &bytes);
    if (!msg)
        return NULL;
    if (topic.len)
        memcpy(bytes, topic.ptr, topic.len);
    if (payload.len)
        memcpy(bytes + topic.len, payload.ptr, payload.len);
    return msg;
}

struct msg *msg_alloc(size_t payload_len, struct budget *budget, uint8_t **ret_bytes)
{
    return msg_make(0, payload_len, budget, ret_bytes);
}

struct msg *msg_ref(struct msg *msg)
{
    unsigned before = atomic_fetch_add_explicit(&msg->refs, 1, memory_order_relaxed);
    CHECK(before > 0);
    return msg;
}

void msg_unref(struct msg *msg)
{
    if (!msg)
        return;
    unsigned before = atomic_fetch_sub_explicit(&msg->refs, 1, memory_order_acq_rel);
    CHECK(before > 0);
    if (before > 1)
        return;
    if (msg->budget)
        budget_give(msg->budget, msg->charged_bytes);
    msg->destroy(msg);
}

void msg_unref_ptr(struct msg **msg)
{
    msg_unref(*msg);
}
