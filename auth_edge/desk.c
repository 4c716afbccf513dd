/*
 * Why: an answer that carries a login must not arrive before the broker knows it: whoever got it
 * would be refused, and begin anew.
 *
 * Invariants
 *   I1  an answer that is held is published once, or its `otherwise` is.
 */
#include "auth_edge/desk.h"

#include "auth_edge/broker.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>

struct held {
    struct msg *answer, *otherwise; /* their topics are where to */
};

struct desk {
    struct accounts *accounts;
    struct bus *bus;
    int lane, out;
    size_t waiting;
};

struct desk *desk_new(struct accounts *accounts, int lane, int out)
{
    struct desk *desk = mem_alloc(sizeof(*desk));
    *desk = (struct desk){.accounts = accounts, .lane = lane, .out = out};
    return desk;
}

enum err desk_open(struct desk *desk, struct bus *bus)
{
    desk->bus = bus;
    return bus_subscribe(bus, desk->lane, slice_str(BROKER_CONTROL_ANSWERS), 1, NULL);
}

static void send(struct desk *desk, struct msg *msg)
{
    if (bus_publish(desk->bus, desk->out, msg->topic, msg, 1, false) != ERR_OK)
        log_line(LOG_WARN, "an answer was not sent: the broker is too slow or away");
}

/* I1 */
static void settle(struct desk *desk, struct held *held, bool ok)
{
    send(desk, ok ? held->answer : held->otherwise);
    msg_unref(held->answer);
    msg_unref(held->otherwise);
    free(held);
}

bool desk_hold(struct desk *desk, enum credential_kind kind, const struct id *subject,
               struct msg *answer, struct msg *otherwise)
{
    struct held *held = mem_alloc(sizeof(*held));
    *held = (struct held){.answer = answer, .otherwise = otherwise};
    enum err err = accounts_hold(desk->accounts, kind, subject, held, clock_mono_us());
    if (err != ERR_OK) {
        settle(desk, held, false);
        return false;
    }
    desk->waiting++;
    desk_pump(desk);
    return true;
}

void desk_link(struct desk *desk, bool up)
{
    accounts_link(desk->accounts, up);
    desk_pump(desk);
}

void desk_secret(struct desk *desk, const uint8_t zone_secret[static KEY_BYTES])
{
    accounts_secret(desk->accounts, zone_secret);
}

int desk_fd(const struct desk *desk)
{
    return queue_fd(bus_inbox(desk->bus, desk->lane));
}

static void send_commands(struct desk *desk)
{
    CLEANUP(arena_release) struct arena arena = {0};
    struct slice command;
    while ((command = accounts_command(desk->accounts, clock_mono_us(), &arena)).len) {
        CLEANUP(msg_unref_ptr) struct msg *msg = msg_new((struct slice){0}, command, NULL);
        (void)bus_publish(desk->bus, desk->lane, slice_str(BROKER_CONTROL_TOPIC), msg, 1,
                          false); /* not sent: as if it were never answered */
    }
}

static void take_responses(struct desk *desk)
{
    CLEANUP(arena_release) struct arena arena = {0};
    struct msg *msg;
    while ((msg = queue_take(bus_inbox(desk->bus, desk->lane), NULL)) != NULL) {
        accounts_response(desk->accounts, msg->payload, &arena);
        msg_unref(msg);
    }
}

void desk_pump(struct desk *desk)
{
    char error[256];
    struct held *held;
    bool ok;
    take_responses(desk);
    send_commands(desk);
    while ((held = accounts_take(desk->accounts, &ok)) != NULL) {
        desk->waiting--;
        settle(desk, held, ok);
    }
    accounts_error(desk->accounts, error);
    if (error[0])
        log_line(LOG_ERROR, "%s", error);
}

enum err desk_look(struct desk *desk)
{
    enum err err = accounts_tick(desk->accounts, clock_mono_us());
    desk_pump(desk);
    return err;
}

void desk_end(struct desk *desk)
{
    struct held *held;
    desk_pump(desk);
    while ((held = accounts_drop(desk->accounts)) != NULL)
        settle(desk, held, false);
    desk->waiting = 0;
}

size_t desk_waiting(const struct desk *desk)
{
    return desk->waiting;
}

void desk_free(struct desk *desk)
{
    if (!desk)
        return;
    accounts_free(desk->accounts);
    free(desk);
}
