/* Topics: one table, read in both directions. */
#include "wire/topic.h"

#include "base/check.h"
#include "base/utf8.h"

/* What a level after the fixed words must be. */
enum level {
    LEVEL_NONE,
    LEVEL_ID,
    LEVEL_EDGE,  /* an id that is not reserved */
    LEVEL_REPLY, /* whatever somebody wants to be answered under */
};

/* Longer words come before the shorter ones that they begin with. */
static const struct pattern {
    const char *words;
    enum topic_kind kind;
    enum level a, b;
} patterns[] = {
    {"auth/params", TOPIC_AUTH_PARAMS, LEVEL_NONE, LEVEL_NONE},
    {"auth/params", TOPIC_AUTH_PARAMS_REPLY, LEVEL_REPLY, LEVEL_NONE},
    {"auth/zone", TOPIC_AUTH_ZONE, LEVEL_NONE, LEVEL_NONE},
    {"auth/zone", TOPIC_AUTH_ZONE_REPLY, LEVEL_EDGE, LEVEL_NONE},
    {"auth/user", TOPIC_AUTH_USER, LEVEL_NONE, LEVEL_NONE},
    {"auth/user", TOPIC_AUTH_USER_REPLY, LEVEL_REPLY, LEVEL_NONE},
    {"auth/revocations", TOPIC_AUTH_REVOCATIONS, LEVEL_NONE, LEVEL_NONE},
    {"db/update", TOPIC_DB_UPDATE, LEVEL_NONE, LEVEL_NONE},
    {"db/sync", TOPIC_DB_SYNC, LEVEL_EDGE, LEVEL_NONE},
    {"db", TOPIC_DB, LEVEL_NONE, LEVEL_NONE},
    {"db", TOPIC_DB_REPLY, LEVEL_EDGE, LEVEL_NONE},
    {"edge/status", TOPIC_EDGE_STATUS, LEVEL_EDGE, LEVEL_NONE},
    {"video/request/ping", TOPIC_PING, LEVEL_NONE, LEVEL_NONE},
    {"video/request/ping", TOPIC_PING_REPLY, LEVEL_REPLY, LEVEL_NONE},
    {"video/liste", TOPIC_LIST, LEVEL_EDGE, LEVEL_NONE},
    {"video/liste", TOPIC_LIST_REPLY, LEVEL_EDGE, LEVEL_REPLY},
    {"video/upload", TOPIC_UPLOAD, LEVEL_EDGE, LEVEL_NONE},
    {"video/upload", TOPIC_UPLOAD_REPLY, LEVEL_EDGE, LEVEL_ID},
    {"video/delete", TOPIC_DELETE, LEVEL_EDGE, LEVEL_NONE},
    {"video/delete", TOPIC_DELETE_REPLY, LEVEL_EDGE, LEVEL_REPLY},
    {"video/watch", TOPIC_WATCH, LEVEL_EDGE, LEVEL_NONE},
    {"video/watch", TOPIC_WATCH_REPLY, LEVEL_EDGE, LEVEL_REPLY},
    {"live/upload", TOPIC_LIVE_UPLOAD, LEVEL_EDGE, LEVEL_NONE},
    {"live/upload", TOPIC_LIVE_UPLOAD_REPLY, LEVEL_EDGE, LEVEL_ID},
    {"live/watch", TOPIC_LIVE_WATCH, LEVEL_EDGE, LEVEL_NONE},
    {"live/watch", TOPIC_LIVE_PARTS, LEVEL_EDGE, LEVEL_ID},
};
enum { PATTERNS_N = sizeof(patterns) / sizeof(patterns[0]) };

bool edge_id_reserved(const struct id *id)
{
    return strcmp(id->s, "update") == 0 || strcmp(id->s, "sync") == 0;
}

static bool level_ok(enum level level, struct slice text)
{
    struct id id;
    if (level == LEVEL_NONE)
        return text.len == 0;
    if (level == LEVEL_REPLY)
        return text.len > 0 && text.len <= REPLY_ID_BYTES_MAX && !memchr(text.ptr, '+', text.len) &&
               !memchr(text.ptr, '#', text.len);
    return id_parse(text, &id) == ERR_OK && !(level == LEVEL_EDGE && edge_id_reserved(&id));
}

/* Take "/level" from the front of rest; false: it does not begin with a slash, or the level is
 * empty. */
static bool take_level(struct slice *rest, struct slice *ret)
{
    if (!slice_starts(*rest, "/"))
        return false;
    struct slice after = slice_from(*rest, 1);
    const uint8_t *slash = after.len ? memchr(after.ptr, '/', after.len) : NULL;
    size_t len = slash ? (size_t)(slash - after.ptr) : after.len;
    *ret = slice_of(after.ptr, len);
    *rest = slice_from(after, len);
    return len > 0;
}

static bool pattern_match(const struct pattern *p, struct slice text, struct topic *ret)
{
    if (!slice_starts(text, p->words))
        return false;
    struct slice rest = slice_from(text, strlen(p->words));
    struct topic topic = {.kind = p->kind};
    if (p->a != LEVEL_NONE && !take_level(&rest, &topic.a))
        return false;
    if (p->b != LEVEL_NONE && !take_level(&rest, &topic.b))
        return false;
    if (rest.len > 0 || !level_ok(p->a, topic.a) || !level_ok(p->b, topic.b))
        return false;
    *ret = topic;
    return true;
}

enum err topic_parse(struct slice text, struct slice prefix, struct topic *ret)
{
    if (prefix.len > 0) {
        if (text.len <= prefix.len || !slice_eq(slice_of(text.ptr, prefix.len), prefix) ||
            text.ptr[prefix.len] != '/')
            return ERR_FORMAT;
        text = slice_from(text, prefix.len + 1);
    }
    for (size_t i = 0; i < PATTERNS_N; i++)
        if (pattern_match(&patterns[i], text, ret))
            return ERR_OK;
    return ERR_FORMAT;
}

static void append(struct slice *text, char *buf, struct slice more)
{
    CHECK(more.len > 0 && more.len < TOPIC_BUF_BYTES - text->len);
    memcpy(buf + text->len, more.ptr, more.len);
    text->len += more.len;
}

struct slice topic_print(enum topic_kind kind, struct slice prefix, struct slice a, struct slice b,
                         char buf[static TOPIC_BUF_BYTES])
{
    const struct pattern *p = patterns;
    while (p->kind != kind) {
        p++;
        CHECK(p < patterns + PATTERNS_N);
    }
    struct slice text = slice_of(buf, 0);
    if (prefix.len > 0) {
        append(&text, buf, prefix);
        append(&text, buf, slice_str("/"));
    }
    append(&text, buf, slice_str(p->words));
    if (p->a != LEVEL_NONE) {
        append(&text, buf, slice_str("/"));
        append(&text, buf, a);
    }
    if (p->b != LEVEL_NONE) {
        append(&text, buf, slice_str("/"));
        append(&text, buf, b);
    }
    buf[text.len] = '\0';
    return text;
}

bool topic_prefix_ok(struct slice prefix)
{
    size_t levels = 0;
    if (prefix.len > TOPIC_PREFIX_BYTES_MAX)
        return false;
    while (prefix.len > 0) {
        const uint8_t *slash = memchr(prefix.ptr, '/', prefix.len);
        size_t len = slash ? (size_t)(slash - prefix.ptr) : prefix.len;
        struct id id;
        if (++levels > TOPIC_PREFIX_LEVELS_MAX ||
            id_parse(slice_of(prefix.ptr, len), &id) != ERR_OK)
            return false;
        if (slash && len + 1 == prefix.len)
            return false;
        prefix = slice_from(prefix, slash ? len + 1 : len);
    }
    return true;
}

/* Whether the character at the front of valid UTF-8 is one that brokers close the connection
 * for: U+0001…1F, U+007F…9F, U+FDD0…FDEF, U+xxFFFE, U+xxFFFF. */
static bool refused_character(struct slice s)
{
    uint8_t c = s.ptr[0];
    if (c < 0x20 || c == 0x7f)
        return true;
    if (c == 0xc2)
        return s.ptr[1] < 0xa0;
    if (c == 0xef && s.ptr[1] == 0xb7)
        return s.ptr[2] >= 0x90 && s.ptr[2] < 0xb0;
    if (c == 0xef)
        return s.ptr[1] == 0xbf && s.ptr[2] >= 0xbe;
    return c >= 0xf0 && (s.ptr[1] & 0x0f) == 0x0f && s.ptr[2] == 0xbf && s.ptr[3] >= 0xbe;
}

bool reply_id_ok(struct slice id, bool allow_tokens)
{
    struct id parsed;
    if (id_parse(id, &parsed) == ERR_OK)
        return true;
    if (!allow_tokens || id.len == 0 || id.len > REPLY_ID_BYTES_MAX || !utf8_text(id))
        return false;
    for (size_t i = 0; i < id.len; i++)
        if (id.ptr[i] == '+' || id.ptr[i] == '#' || id.ptr[i] == '/' ||
            refused_character(slice_from(id, i)))
            return false;
    return true;
}
