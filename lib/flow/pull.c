/*
 * The receiver's half of a stored video. Exists apart from sockets and media so
 * that edgectl, an edge's fetch and the simulator ask for parts the same way.
 *
 *   I1  The position (chunk, part) only moves forward between two pull_start,
 *       by one part per PULL_ACCEPT: every part is accepted once, in order.
 *   I2  pull grows with every seek, so an end that answers an older one is seen.
 *   I3  Parts carry no pull number: those of an older seek may still arrive. In
 *       SEEKING they ask for nothing new, unless more of them came than could
 *       have been under way.
 *       Only accepted bytes are credited: an edge takes no credit for more than it
 *       sent for this pull, and strays were sent for another one.
 *   I4  Only what moves the position, or pull_heard, counts as life: a stream of
 *       duplicates ends in FAILED like silence does.
 */
#include "flow/pull.h"

enum { CREDITS_PER_WINDOW = 4 }; /* a credit per quarter: small overhead, and no stall */

void pull_init(struct pull *p, uint32_t window_bytes)
{
    *p = (struct pull){.state = PULL_IDLE, .window_bytes = window_bytes};
}

void pull_expect(struct pull *p, uint32_t chunks)
{
    p->chunks = chunks;
}

static void ask_again(struct pull *p)
{
    p->state = PULL_SEEKING;
    p->seek_due = true;
}

void pull_start(struct pull *p, uint32_t chunk, uint32_t part, uint64_t now_us)
{
    p->chunk = chunk;
    p->part = part;
    p->silent_seeks = 0;
    p->heard_us = now_us;
    ask_again(p);
}

static bool under_way(const struct pull *p)
{
    return p->state == PULL_SEEKING || p->state == PULL_RUNNING;
}

static void accept_part(struct pull *p, uint32_t parts_n, uint64_t now_us)
{
    p->heard_us = now_us;
    p->silent_seeks = 0;
    if (!p->seek_due)
        p->state = PULL_RUNNING;
    if (++p->part < parts_n)
        return;
    p->part = 0;
    p->chunk++;
    if (p->chunks && p->chunk > p->chunks)
        p->state = PULL_ENDED;
}

enum pull_verdict pull_part(struct pull *p, uint32_t chunk, uint32_t part, uint32_t parts_n,
                            size_t packet_bytes, uint64_t now_us)
{
    if (!under_way(p))
        return PULL_DUPLICATE;
    if (chunk == p->chunk && part == p->part) {
        p->received_bytes += packet_bytes;
        accept_part(p, parts_n, now_us);
        return PULL_ACCEPT;
    }
    p->stray_bytes += packet_bytes;
    if (chunk < p->chunk || (chunk == p->chunk && part < p->part))
        return PULL_DUPLICATE;
    bool too_many = p->state == PULL_SEEKING && p->stray_bytes > p->window_bytes; /* I3 */
    if (too_many && !p->seek_due)
        p->silent_seeks++; /* I4 */
    if (too_many || p->state == PULL_RUNNING)
        ask_again(p);
    return PULL_GAP;
}

void pull_lost(struct pull *p)
{
    if (under_way(p))
        ask_again(p);
}

void pull_end(struct pull *p, uint32_t pull, uint64_t now_us)
{
    if (!under_way(p) || p->seek_due || pull != p->pull)
        return;
    if (p->part == 0 && (p->chunks == 0 || p->chunk > p->chunks)) {
        p->state = PULL_ENDED;
        return;
    }
    /* Seeking at once could go on for ever: let the silence do it. */
    p->state = PULL_SEEKING;
    if (now_us - p->heard_us < PULL_SILENCE_US / 2)
        p->heard_us = now_us - PULL_SILENCE_US / 2;
}

void pull_heard(struct pull *p, uint64_t now_us)
{
    p->heard_us = now_us;
}

static bool seek(struct pull *p, uint64_t now_us, struct pull_request *ret)
{
    p->state = PULL_SEEKING;
    p->seek_due = false;
    p->pull++; /* I2 */
    p->received_bytes = 0;
    p->stray_bytes = 0;
    p->credited_bytes = 0;
    p->heard_us = now_us;
    *ret = (struct pull_request){.seek = true,
                                 .pull = p->pull,
                                 .chunk = p->chunk,
                                 .part = p->part,
                                 .window_bytes = p->window_bytes};
    return true;
}

bool pull_next(struct pull *p, uint64_t now_us, struct pull_request *ret)
{
    if (!under_way(p))
        return false;
    if (!p->seek_due && now_us - p->heard_us >= PULL_SILENCE_US) {
        p->silent_seeks++;
        p->seek_due = true;
    }
    if (p->silent_seeks > PULL_SEEKS_MAX) {
        p->state = PULL_FAILED;
        return false;
    }
    if (p->seek_due)
        return seek(p, now_us, ret);
    if (p->received_bytes - p->credited_bytes < p->window_bytes / CREDITS_PER_WINDOW ||
        p->received_bytes == p->credited_bytes)
        return false;
    p->credited_bytes = p->received_bytes;
    *ret = (struct pull_request){
        .pull = p->pull, .credit_bytes = p->received_bytes, .window_bytes = p->window_bytes};
    return true;
}

uint64_t pull_deadline_us(const struct pull *p)
{
    if (!under_way(p))
        return UINT64_MAX;
    return p->seek_due ? 0 : p->heard_us + PULL_SILENCE_US;
}
