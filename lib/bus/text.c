/*
 * A malformed topic or filter makes a broker close the connection, and the bus
 * would send it again for ever: so they are refused at the door.
 */
#include "bus/text.h"

#include "base/id.h"
#include "base/utf8.h"

#include <stdio.h>

struct scheme {
    const char *prefix;
    const char *paho;
    uint16_t port;
    bool tls;
    bool path; /* what follows the port is a path and stays */
};

static const struct scheme schemes[] = {
    {"mqtt://", "tcp://", 1883, false, false}, {"tcp://", "tcp://", 1883, false, false},
    {"mqtts://", "ssl://", 8883, true, false}, {"ssl://", "ssl://", 8883, true, false},
    {"wss://", "wss://", 443, true, true},     {"ws://", "ws://", 80, false, true},
    {"", "tcp://", 1883, false, false},
};

static bool uri_characters(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] >= 0x7f || s.ptr[i] == '@' || s.ptr[i] == '"')
            return false;
    return true;
}

/* Split "host:port" or "[v6]:port"; ret_port is untouched when there is none. */
static bool split_host(struct slice s, struct slice *ret_host, uint16_t *ret_port)
{
    size_t colon = s.len;
    for (size_t i = s.len; i > 0 && s.ptr[i - 1] != ']'; i--)
        if (s.ptr[i - 1] == ':')
            colon = i - 1;
    *ret_host = slice_of(s.ptr, colon);
    if (colon == 0)
        return false;
    if (colon == s.len)
        return true;
    struct slice digits = slice_from(s, colon + 1);
    unsigned port = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9' || port > UINT16_MAX)
            return false;
        port = port * 10 + (digits.ptr[i] - '0');
    }
    *ret_port = (uint16_t)port;
    return digits.len > 0 && port > 0 && port <= UINT16_MAX;
}

enum err text_uri_parse(const char *broker, struct text_uri *ret_uri)
{
    struct slice rest = slice_str(broker);
    const struct scheme *scheme = schemes;
    if (rest.len == 0 || rest.len > BUS_BROKER_BYTES_MAX || !uri_characters(rest))
        return ERR_FORMAT;
    while (!slice_starts(rest, scheme->prefix))
        scheme++;
    rest = slice_from(rest, strlen(scheme->prefix));
    const uint8_t *slash = rest.len ? memchr(rest.ptr, '/', rest.len) : NULL;
    size_t authority_len = slash ? (size_t)(slash - rest.ptr) : rest.len;
    struct slice path = slice_from(rest, authority_len);
    if (!scheme->path && path.len > 1)
        return ERR_FORMAT; /* an unknown scheme ends here, too */
    uint16_t port = scheme->port;
    struct slice host;
    if (!split_host(slice_of(rest.ptr, authority_len), &host, &port))
        return ERR_FORMAT;
    if (!scheme->path)
        path.len = 0;
    struct text_uri uri = {.port = port, .tls = scheme->tls};
    snprintf(uri.uri, sizeof(uri.uri), "%s%.*s:%u%.*s", scheme->paho, SLICE_FMT(host),
             (unsigned)port, SLICE_FMT(path));
    *ret_uri = uri;
    return ERR_OK;
}

static bool topic_bytes(struct slice s)
{
    return s.len > 0 && s.len <= BUS_TOPIC_BYTES_MAX && utf8_text(s);
}

bool text_is_topic(struct slice topic)
{
    return topic_bytes(topic) && !memchr(topic.ptr, '+', topic.len) &&
           !memchr(topic.ptr, '#', topic.len);
}

bool text_is_filter(struct slice filter)
{
    if (!topic_bytes(filter))
        return false;
    for (size_t i = 0; i < filter.len; i++) {
        if (filter.ptr[i] != '+' && filter.ptr[i] != '#')
            continue;
        bool starts = i == 0 || filter.ptr[i - 1] == '/';
        bool ends = i + 1 == filter.len || (filter.ptr[i] == '+' && filter.ptr[i + 1] == '/');
        if (!starts || !ends)
            return false;
    }
    return true;
}

bool text_is_lane_name(struct slice name)
{
    struct id id;
    return name.len == 0 || (name.len <= BUS_LANE_NAME_BYTES_MAX && id_parse(name, &id) == ERR_OK);
}
