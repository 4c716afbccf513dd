#include "auth_edge/backoff.h"

/*
 * Why: a service in trouble is not helped by everybody trying again at once.
 *
 *   I1  many requests that fail together are one failure.
 *   I2  while failures > 0, at most one asks.
 */

enum { US_PER_MS = 1000, US_PER_S = 1000 * 1000, DOUBLINGS_MAX = 16 };

bool backoff_shut(const struct backoff *b, uint64_t now_us)
{
    return b->failures > 0 && (b->asking || now_us < b->until_us);
}

bool backoff_admit(struct backoff *b, uint64_t now_us)
{
    if (backoff_shut(b, now_us))
        return false;
    b->asking = b->failures > 0;
    return true;
}

/* I1. */
static bool is_news(const struct backoff *b, uint64_t begun_us)
{
    return b->failures == 0 || begun_us > b->failed_us;
}

bool backoff_ok(struct backoff *b, uint64_t begun_us)
{
    if (b->failures == 0 || !is_news(b, begun_us))
        return false;
    *b = (struct backoff){0};
    return true;
}

bool backoff_failed(struct backoff *b, uint64_t begun_us, uint64_t now_us, uint64_t after_ms,
                    uint32_t random)
{
    if (!is_news(b, begun_us))
        return false;
    unsigned doublings = b->failures < DOUBLINGS_MAX ? b->failures : DOUBLINGS_MAX;
    uint64_t ms = (uint64_t)BACKOFF_FIRST_MS << doublings;
    if (ms > BACKOFF_MAX_MS)
        ms = BACKOFF_MAX_MS;
    ms = ms / 2 + random % (ms / 2 + 1);
    if (after_ms > BACKOFF_MAX_MS)
        after_ms = BACKOFF_MAX_MS;
    if (ms < after_ms)
        ms = after_ms;
    b->failures++;
    b->failed_us = now_us;
    b->until_us = now_us + ms * US_PER_MS;
    b->asking = false;
    return true;
}

unsigned backoff_wait_s(const struct backoff *b, uint64_t now_us)
{
    uint64_t left_us = b->failures && b->until_us > now_us ? b->until_us - now_us : 0;
    return left_us ? (unsigned)((left_us + US_PER_S - 1) / US_PER_S) : 1;
}
