#ifndef BUS_TEXT_H
#define BUS_TEXT_H
/* Private to lib/bus: the texts that a caller gives, checked. Pure. Any thread. */
#include "base/err.h"
#include "base/slice.h"
#include "bus/bus.h"

struct text_uri {
    char uri[BUS_BROKER_BYTES_MAX + 16]; /* as Paho wants it: tcp://host:port, ssl://…, ws(s)://… */
    uint16_t port;
    bool tls;
};

/*
 * text_uri_parse: the setting MQTT_BROKER, see struct bus_config.
 * ERR_FORMAT: empty, too long, an unknown scheme, user:password@, a bad port,
 * or a character that no URI has.
 */
enum err text_uri_parse(const char *broker, struct text_uri *ret_uri);

/* text_is_topic: something to publish on: UTF-8, 1..BUS_TOPIC_BYTES_MAX bytes, no NUL, no wildcard.
 */
bool text_is_topic(struct slice topic);

/* text_is_filter: as text_is_topic, with + and # where MQTT allows them. */
bool text_is_filter(struct slice filter);

/* text_is_lane_name: empty, or [A-Za-z0-9_-] up to BUS_LANE_NAME_BYTES_MAX. */
bool text_is_lane_name(struct slice name);

#endif
