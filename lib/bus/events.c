/*
 * What the program is told. Events are derived from what is the case and what
 * was reported, so they need no memory that could run out, and a program that
 * looks rarely learns the last word and not the history.
 *
 * I1  events_fd is readable exactly while an event is due.
 */
#include "base/check.h"
#include "bus/internal.h"

#include <unistd.h>

static bool lost_due(const struct lane *lane)
{
    return lane->reported && (lane->lost_since || !lane->up);
}

static bool connected_due(const struct lane *lane)
{
    return !lane->reported && lane->up;
}

static bool any_due(const struct bus *bus)
{
    if (bus->denied)
        return true;
    for (int i = 0; i < bus->lanes_n; i++) {
        const struct lane *lane = &bus->lanes[i];
        if (lost_due(lane) || lane->answers_due || connected_due(lane) || lane->drained)
            return true;
    }
    return false;
}

void events_refresh(struct bus *bus)
{
    bool due = any_due(bus);
    uint64_t count = 1;
    if (due && !bus->events_raised)
        CHECK(write(bus->events_fd, &count, sizeof(count)) == (ssize_t)sizeof(count));
    if (!due && bus->events_raised)
        CHECK(read(bus->events_fd, &count, sizeof(count)) == (ssize_t)sizeof(count));
    bus->events_raised = due;
}

static struct bus_event take_answer(struct lane *lane)
{
    int i = 0;
    while (!lane->filters[i].answered)
        i++;
    lane->filters[i].answered = false;
    lane->answers_due--;
    return (struct bus_event){.kind = lane->filters[i].refused ? BUS_REFUSED : BUS_SUBSCRIBED,
                              .lane = lane->index,
                              .filter = i};
}

static bool take_from(struct lane *lane, struct bus_event *ret_event)
{
    struct bus_event event = {.lane = lane->index, .filter = -1};
    if (lost_due(lane)) {
        lane->reported = false;
        event.kind = BUS_LOST;
    } else if (lane->answers_due) {
        event = take_answer(lane);
    } else if (connected_due(lane)) {
        lane->reported = true;
        lane->lost_since = false;
        event.kind = BUS_CONNECTED;
    } else if (lane->drained) {
        lane->drained = false;
        event.kind = BUS_DRAINED;
    } else {
        return false;
    }
    *ret_event = event;
    return true;
}

bool bus_event_take(struct bus *bus, struct bus_event *ret_event)
{
    bool taken = false;
    pthread_mutex_lock(&bus->lock);
    if (bus->denied) {
        *ret_event = (struct bus_event){BUS_DENIED, bus->denied_lane, -1};
        bus->denied = false;
        taken = true;
    }
    for (int i = 0; i < bus->lanes_n && !taken; i++)
        taken = take_from(&bus->lanes[i], ret_event);
    events_refresh(bus);
    pthread_mutex_unlock(&bus->lock);
    return taken;
}

int bus_events_fd(const struct bus *bus)
{
    return bus->events_fd;
}
