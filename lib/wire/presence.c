/* Who is there and how busy: ping and edge/status. */
#include "wire/presence.h"

#include "base/check.h"
#include "base/date.h"
#include "wire/json.h"

struct slice ping_request_encode(const struct ping_request *m, struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    json_put_text(&out, "client_id", m->client_id);
    return json_end(&out);
}

enum err ping_request_decode(struct slice payload, struct arena *arena, struct ping_request *ret)
{
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    struct ping_request m = {.client_id = json_reply_id(&j)};
    if (j.err == ERR_OK)
        *ret = m;
    return j.err;
}

/* The contract's numbers are whole; what was measured may be anything. */
static void put_percent(struct json_out *out, const char *key, double percent)
{
    double v = percent > 0 ? percent : 0;
    json_put_uint(out, key, (uint64_t)((v < 100 ? v : 100) + 0.5));
}

static void load_write(struct json_out *out, const struct machine_load *load)
{
    put_percent(out, "cpu_usage_percent", load->cpu_percent);
    json_put_open(out, "memory_usage", '{');
    json_put_uint(out, "total", load->memory_total);
    json_put_uint(out, "available", load->memory_available);
    put_percent(out, "percent", load->memory_percent);
    json_put_uint(out, "used", load->memory_used);
    json_put_close(out, '}');
    json_put_open(out, "disk_usage", '{');
    json_put_uint(out, "total", load->disk_total);
    json_put_uint(out, "used", load->disk_used);
    json_put_uint(out, "free", load->disk_free);
    put_percent(out, "percent", load->disk_percent);
    json_put_close(out, '}');
}

static struct machine_load load_read(struct json *j)
{
    struct machine_load load = {.cpu_percent = json_real(j, "cpu_usage_percent")};
    const struct cJSON *outside = json_enter(j, "memory_usage");
    load.memory_total = json_u53(j, "total");
    load.memory_available = json_u53(j, "available");
    load.memory_used = json_u53(j, "used");
    load.memory_percent = json_real(j, "percent");
    j->at = outside;
    json_enter(j, "disk_usage");
    load.disk_total = json_u53(j, "total");
    load.disk_used = json_u53(j, "used");
    load.disk_free = json_u53(j, "free");
    load.disk_percent = json_real(j, "percent");
    j->at = outside;
    return load;
}

static void put_time(struct json_out *out, const char *key, uint64_t utc_us)
{
    char text[ISO8601_BYTES];
    clock_iso8601(utc_us, text);
    json_put_str(out, key, text);
}

/* brief: what a status has room for, which many say often: no more than the rest cannot do without.
 */
static void contact_write(struct json_out *out, const struct zone_contact *contact, bool brief)
{
    json_put_uint(out, "revocations", contact->revocations);
    if (contact->issued_us && !brief)
        put_time(out, "revocations_issued", contact->issued_us);
    if (contact->away || !brief)
        json_put_str(out, "auth_edge", contact->away ? "away" : "ok");
    if (contact->away)
        put_time(out, "auth_edge_since", contact->since_us);
}

static struct zone_contact contact_read(struct json *j)
{
    struct zone_contact contact = {
        .revocations = json_u53(j, "revocations"),
        .issued_us = clock_iso8601_read(json_peek_text(j, "revocations_issued")),
        .away = slice_eq_str(json_peek_text(j, "auth_edge"), "away"),
    };
    if (contact.away)
        contact.since_us = clock_iso8601_read(json_peek_text(j, "auth_edge_since"));
    return contact;
}

struct slice ping_reply_encode(const struct ping_reply *m, struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    json_put_str(&out, "status", "ok");
    json_put_id(&out, "edge_id", &m->edge_id);
    load_write(&out, &m->load);
    put_time(&out, "timestamp", m->timestamp_us);
    json_put_some(&out, "zone", id_slice(&m->zone_id));
    json_put_text(&out, "version", m->version);
    json_put_uint(&out, "streams", m->streams);
    json_put_uint(&out, "viewers", m->viewers);
    json_put_uint(&out, "uptime_s", m->uptime_s);
    json_put_blob(&out, "token", m->token);
    contact_write(&out, &m->contact, false);
    return json_end(&out);
}

enum err ping_reply_decode(struct slice payload, struct arena *arena, struct ping_reply *ret)
{
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    struct ping_reply m = {
        .edge_id = json_id(&j, "edge_id"),
        .load = load_read(&j),
        .zone_id = json_id_or_none(&j, "zone"),
        .version = json_text(&j, "version", VERSION_BYTES_MAX),
        .streams = json_u32(&j, "streams"),
        .viewers = json_u32(&j, "viewers"),
        .uptime_s = json_u53(&j, "uptime_s"),
        .token = json_token(&j),
        .contact = contact_read(&j),
    };
    if (j.err == ERR_OK)
        *ret = m;
    return j.err;
}

struct slice edge_status_encode(const struct edge_status *m, struct arena *arena)
{
    struct json_out out = json_begin(arena, 0);
    json_put_id(&out, "EDGE_ID", &m->edge_id);
    json_put_str(&out, "status", m->online ? "online" : "offline");
    json_put_text(&out, "zone", m->zone);
    json_put_uint(&out, "ts", m->ts_ms);
    json_put_uint(&out, "videos", m->videos);
    json_put_uint(&out, "streams", m->streams);
    json_put_uint(&out, "viewers", m->viewers);
    json_put_uint(&out, "uptime_s", m->uptime_s);
    json_put_blob(&out, "signed", m->signed_status);
    json_put_blob(&out, "credential", m->credential);
    if (m->online)
        contact_write(&out, &m->contact, true);
    return json_end(&out);
}

enum err edge_status_decode(struct slice payload, struct arena *arena, struct edge_status *ret)
{
    struct json j CLEANUP(json_close) = json_open_object(payload, arena);
    struct slice status = json_peek_text(&j, "status");
    struct edge_status m = {
        .edge_id = json_id(&j, "EDGE_ID"),
        .online = slice_eq_str(status, "online"),
        .zone = json_text(&j, "zone", ID_BYTES_MAX),
        .ts_ms = json_u53(&j, "ts"),
        .videos = json_u53(&j, "videos"),
        .streams = json_u32(&j, "streams"),
        .viewers = json_u32(&j, "viewers"),
        .uptime_s = json_u53(&j, "uptime_s"),
        .signed_status = json_blob(&j, "signed", STATUS_OBJECT_BYTES_MAX),
        .credential = json_blob(&j, "credential", CREDENTIAL_OBJECT_BYTES_MAX),
    };
    if (m.online)
        m.contact = contact_read(&j);
    json_require(&j, m.online || slice_eq_str(status, "offline"));
    if (j.err == ERR_OK)
        *ret = m;
    return j.err;
}
