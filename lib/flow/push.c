/*
 * The sender's half of an upload. Exists apart from sockets and media so that
 * the same code serves edgectl, load generators and the simulator.
 *
 * Positions (chunk, part) are ordered as pairs.
 *
 *   I1  next only grows, and never past top; sent[] holds what was sent since the last go-back, in
 *       order, all of it at or after next and before the cursor.
 *   I2  outstanding_bytes is the sum over sent[], and stays within the window
 *       unless one single part is larger.
 *   I3  Every state but DONE and FAILED has a deadline or waits for the caller
 *       to send; PUSH_INITS_MAX inits without progress end in FAILED, so a
 *       silent or a stubborn edge cannot hold an upload for ever.
 */
#include "flow/push.h"

#include "base/check.h"

static bool before(uint32_t a, uint32_t a_part, uint32_t b, uint32_t b_part)
{
    return a < b || (a == b && a_part < b_part);
}

static void raise_top(struct push *p, uint32_t chunk, uint32_t part)
{
    if (!before(p->top, p->top_part, chunk, part))
        return;
    p->top = chunk;
    p->top_part = part;
}

static void forget_sent(struct push *p)
{
    p->sent_head = 0;
    p->sent_n = 0;
    p->outstanding_bytes = 0;
}

/* The cursor goes back to what the edge lacks; what was under way counts no more. */
static void go_back(struct push *p)
{
    p->recover = p->cursor;
    p->recover_part = p->cursor_part;
    p->cursor = p->next;
    p->cursor_part = p->next_part;
    forget_sent(p);
    p->state = PUSH_RUNNING;
}

/* Move next forward, if it is, and drop what it covers. */
static void advance(struct push *p, uint32_t next, uint32_t next_part, uint64_t now_us)
{
    if (!before(p->next, p->next_part, next, next_part))
        return;
    p->next = next;
    p->next_part = next_part;
    while (p->sent_n) {
        const struct push_sent *oldest = &p->sent[p->sent_head];
        if (!before(oldest->chunk, oldest->part, next, next_part))
            break;
        p->outstanding_bytes -= oldest->bytes;
        p->sent_head = (p->sent_head + 1) % PUSH_OUTSTANDING_MAX;
        p->sent_n--;
    }
    if (before(p->cursor, p->cursor_part, next, next_part)) {
        CHECK(p->sent_n == 0); /* I1 */
        p->cursor = next;
        p->cursor_part = next_part;
    }
    p->progress_us = now_us;
    p->silences = 0;
    p->inits = 0;
}

void push_init(struct push *p, uint64_t now_us)
{
    *p = (struct push){.state = PUSH_INIT, .next = 1, .cursor = 1, .top = 1, .init_due = true};
    p->progress_us = now_us;
    p->asked_us = now_us;
}

void push_granted(struct push *p, uint32_t next, uint32_t next_part, uint32_t window_bytes,
                  uint64_t now_us)
{
    if (p->state != PUSH_INIT)
        return;
    p->window_bytes = window_bytes;
    raise_top(p, next, next_part);
    advance(p, next, next_part, now_us);
    go_back(p);
    p->recover = p->next;
    p->recover_part = p->next_part;
    p->silences = 0;
    p->progress_us = now_us;
}

bool push_may_send(const struct push *p, size_t bytes)
{
    if (p->state != PUSH_RUNNING || p->sent_n == PUSH_OUTSTANDING_MAX)
        return false;
    return p->sent_n == 0 || p->outstanding_bytes + bytes <= p->window_bytes;
}

void push_was_sent(struct push *p, uint32_t parts_n, size_t bytes, uint64_t now_us)
{
    CHECK(push_may_send(p, bytes) && p->cursor_part < parts_n);
    if (p->sent_n == 0)
        p->progress_us = now_us;
    p->sent[(p->sent_head + p->sent_n) % PUSH_OUTSTANDING_MAX] =
        (struct push_sent){p->cursor, p->cursor_part, (uint32_t)bytes};
    p->sent_n++;
    p->outstanding_bytes += bytes;
    if (++p->cursor_part == parts_n) {
        p->cursor++;
        p->cursor_part = 0;
    }
    raise_top(p, p->cursor, p->cursor_part);
}

void push_acked(struct push *p, uint32_t next, uint32_t next_part, uint32_t window_bytes,
                bool missed, uint64_t now_us)
{
    if ((p->state != PUSH_RUNNING && p->state != PUSH_FINISHING) ||
        before(p->top, p->top_part, next, next_part))
        return;
    p->window_bytes = window_bytes;
    advance(p, next, next_part, now_us);
    bool current = p->next == next && p->next_part == next_part;
    bool recovering = before(p->next, p->next_part, p->recover, p->recover_part);
    if (missed && current && !recovering && p->sent_n)
        go_back(p);
}

void push_heard(struct push *p, uint64_t now_us)
{
    if (p->state == PUSH_RUNNING && p->sent_n)
        p->progress_us = now_us;
}

void push_finish(struct push *p)
{
    if (p->state != PUSH_RUNNING)
        return;
    p->state = PUSH_FINISHING;
    p->end_sent = false;
}

void push_receipt(struct push *p)
{
    if (p->state != PUSH_FAILED)
        p->state = PUSH_DONE;
}

void push_disconnected(struct push *p, uint64_t now_us)
{
    if (p->state == PUSH_DONE || p->state == PUSH_FAILED)
        return;
    p->state = PUSH_INIT;
    p->init_due = true;
    p->inits = 0; /* the edge is not to blame */
    p->progress_us = now_us;
    forget_sent(p);
}

static enum push_due due_init(struct push *p, uint64_t now_us)
{
    if (!p->init_due && now_us - p->asked_us < UPLOAD_RTO_US)
        return PUSH_DUE_NOTHING;
    if (p->inits == PUSH_INITS_MAX) {
        p->state = PUSH_FAILED; /* I3 */
        return PUSH_DUE_NOTHING;
    }
    p->inits++;
    p->init_due = false;
    p->asked_us = now_us;
    return PUSH_DUE_INIT;
}

/* Nothing moved for a time-out: the first time send again, the second time init again. */
static enum push_due on_silence(struct push *p, uint64_t now_us)
{
    p->progress_us = now_us;
    p->silences++;
    if (p->silences > 1) {
        forget_sent(p);
        p->state = PUSH_INIT;
        p->init_due = true;
        return due_init(p, now_us);
    }
    if (!p->sent_n)
        return PUSH_DUE_END;
    go_back(p);
    return PUSH_DUE_NOTHING;
}

enum push_due push_due(struct push *p, uint64_t now_us)
{
    if (p->state == PUSH_INIT)
        return due_init(p, now_us);
    if (p->state == PUSH_FINISHING && p->sent_n == 0 && !p->end_sent) {
        p->end_sent = true;
        p->progress_us = now_us;
        return PUSH_DUE_END;
    }
    bool waiting = p->state == PUSH_FINISHING || (p->state == PUSH_RUNNING && p->sent_n);
    if (waiting && now_us - p->progress_us >= UPLOAD_RTO_US)
        return on_silence(p, now_us);
    return PUSH_DUE_NOTHING;
}

uint64_t push_deadline_us(const struct push *p)
{
    switch (p->state) {
    case PUSH_INIT: return p->init_due ? 0 : p->asked_us + UPLOAD_RTO_US;
    case PUSH_RUNNING: return p->sent_n ? p->progress_us + UPLOAD_RTO_US : UINT64_MAX;
    case PUSH_FINISHING: return p->sent_n || p->end_sent ? p->progress_us + UPLOAD_RTO_US : 0;
    case PUSH_DONE:
    case PUSH_FAILED: break;
    }
    return UINT64_MAX;
}
