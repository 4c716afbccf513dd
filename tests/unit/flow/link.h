#ifndef TEST_FLOW_LINK_H
#define TEST_FLOW_LINK_H
/*
 * One direction of a bad network, in virtual time: messages of a few numbers
 * are lost, doubled and delayed (and so reordered), all drawn from one seed.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LINK_MESSAGES_MAX = 4096 };

struct rng {
    uint64_t state;
};
uint64_t rng_next(struct rng *r);
/* rng_percent: true with that probability. */
bool rng_percent(struct rng *r, unsigned percent);

struct link_message {
    uint64_t at_us;
    uint64_t order;
    uint32_t v[6];
};

struct link {
    struct rng *rng;
    unsigned loss_percent, double_percent;
    uint64_t delay_min_us, delay_max_us;
    uint64_t count;
    struct link_message queue[LINK_MESSAGES_MAX];
    size_t n;
};

/* link_of: as bad as that: what is lost, and how much comes twice. */
struct link link_of(struct rng *rng, unsigned loss_percent, uint64_t delay_max_us);
void link_send(struct link *l, uint64_t now_us, const uint32_t v[static 6]);
/* link_take: the next message that has arrived by now_us. */
bool link_take(struct link *l, uint64_t now_us, uint32_t ret_v[static 6]);
/* link_next_us: when the next one arrives; UINT64_MAX: none under way. */
uint64_t link_next_us(const struct link *l);

#endif
