/* edgectl list: what an edge's catalogue has, page after page. */
#include "base/arena.h"
#include "base/check.h"
#include "base/clock.h"
#include "client/choose.h"
#include "client/say.h"
#include "wire/catalogue.h"

#include <stdio.h>

enum {
    PAGES_MAX = 10000, /* an edge that never ends is not followed for ever */
    TITLE_COLUMN_BYTES = 40,
    COLUMN_BYTES = 24,
    EDGES_COLUMN_BYTES = 200,
};

static struct option options_list[] = {
    {.name = "edge",
     .env = "EDGECTL_EDGE",
     .help = "id of the edge to ask (default: the best that answers)"},
    {.name = "category", .env = "EDGECTL_CATEGORY", .help = "only this category"},
    {.name = "query", .env = "EDGECTL_QUERY", .help = "only titles that contain this"},
    {.name = "live", .env = "EDGECTL_LIVE", .help = "only what is live now", .kind = OPTION_FLAG},
    OPTIONS_COMMON,
};

struct page_wait {
    const struct id *edge_id;
    struct arena *arena;
    struct list_reply reply;
    bool refused;
    char refusal[REFUSAL_BYTES];
};

static enum answer take_page(void *context, const struct topic *topic, struct slice payload)
{
    struct page_wait *w = context;
    struct wire_error error;
    if (topic->kind != TOPIC_LIST_REPLY || !slice_eq(topic->a, id_slice(w->edge_id)))
        return ANSWER_STRAY;
    if (reply_is_error(payload, w->arena, &error)) {
        w->refused = true;
        say_refusal(&error, w->refusal);
        return wire_code_err(error.code_text) == ERR_BUSY ? ANSWER_LATER : ANSWER_REFUSED;
    }
    if (list_reply_decode(payload, w->arena, &w->reply) != ERR_OK)
        return ANSWER_STRAY;
    w->refused = false;
    return ANSWER_TAKEN;
}

static void print_row_json(struct json_text *j, const struct catalogue_row *row)
{
    char created[ISO8601_BYTES];
    clock_iso8601(row->created_us, created);
    json_text_open(j, NULL, '{');
    json_text_str(j, "id", id_slice(&row->video_id));
    json_text_str(j, "title", row->title);
    json_text_str(j, "description", row->description);
    json_text_str(j, "category", row->category);
    json_text_bool(j, "live", row->live);
    json_text_str(j, "edges", row->edges);
    json_text_str(j, "offline", row->offline);
    json_text_str(j, "thumbnail", row->thumbnail);
    json_text_str(j, "streamer_id", id_slice(&row->streamer_id));
    json_text_str(j, "created_at", slice_str(created));
    json_text_close(j, '}');
}

/* "edge1,edge2(offline)", cut to fit. */
static const char *edges_text(const struct catalogue_row *row, char *buf, size_t cap)
{
    struct slice left = row->edges;
    struct id id;
    size_t used = 0;
    buf[0] = '\0';
    while (used < cap && edges_next(&left, &id)) {
        int n = snprintf(buf + used, cap - used, "%s%s%s", used ? "," : "", id.s,
                         edges_have(row->offline, &id) ? "(offline)" : "");
        used += n > 0 ? (size_t)n : cap;
    }
    return buf;
}

static void print_row(const struct catalogue_row *row)
{
    char title[TITLE_COLUMN_BYTES], category[COLUMN_BYTES], edges[EDGES_COLUMN_BYTES];
    char created[ISO8601_BYTES];
    clock_iso8601(row->created_us, created);
    printf("%-24s %-5s %-16s %-14s %.19s  %-20s %s\n", row->video_id.s, row->live ? "live" : "",
           row->streamer_id.s, text_safe(row->category, category, sizeof(category)), created,
           edges_text(row, edges, sizeof(edges)), text_safe(row->title, title, sizeof(title)));
}

static void print_page(const struct list_reply *reply, struct json_text *j, bool json)
{
    for (size_t i = 0; i < reply->n; i++) {
        if (json)
            print_row_json(j, &reply->rows[i]);
        else
            print_row(&reply->rows[i]);
    }
}

/* One page after `after`; ret_next is what to ask for next, empty at the end. */
static enum exit_status one_page(struct session *s, const struct option *options,
                                 const struct id *edge_id, struct json_text *j, struct id *after)
{
    CLEANUP(arena_release) struct arena arena = {0};
    struct list_request request = {.client_id = id_slice(&s->id),
                                   .paged = true,
                                   .limit = LIST_LIMIT_MAX,
                                   .after = id_slice(after),
                                   .category = slice_str(config_text(options, "category")),
                                   .query = slice_str(config_text(options, "query")),
                                   .has_live = config_flag(options, "live"),
                                   .live = true};
    struct page_wait wait = {.edge_id = edge_id, .arena = &arena};
    struct ask ask = {.kind = TOPIC_LIST,
                      .a = id_slice(edge_id),
                      .payload = list_request_encode(&request, &arena),
                      .repeat = true,
                      .take = take_page,
                      .context = &wait};
    enum err err = session_ask(s, &ask, s->timeout_us);
    if (err != ERR_OK)
        return session_status(s, err, edge_id->s);
    if (wait.refused) {
        say("edge %s: %s", edge_id->s, wait.refusal);
        return STATUS_FAILED;
    }
    print_page(&wait.reply, j, config_flag(options, "json"));
    struct id next = {0};
    if (wait.reply.next.len && id_parse(wait.reply.next, &next) != ERR_OK) {
        say("edge %s: the list goes on at what is no id", edge_id->s);
        return STATUS_FAILED;
    }
    if (id_eq(&next, after))
        next = (struct id){0};
    *after = next;
    return STATUS_OK;
}

static enum exit_status list(struct session *s, const struct option *options)
{
    struct id edge_id, after = {0};
    enum exit_status status = choose_edge(s, options, NULL, &edge_id);
    if (status != STATUS_OK)
        return status;
    enum err err = session_subscribe(s, TOPIC_LIST_REPLY, id_slice(&edge_id), id_slice(&s->id));
    if (err != ERR_OK)
        return session_status(s, err, edge_id.s);
    bool json = config_flag(options, "json");
    struct json_text j = {.file = stdout};
    if (json)
        json_text_open(&j, NULL, '[');
    else
        printf("%-24s %-5s %-16s %-14s %-19s  %-20s %s\n", "ID", "", "STREAMER", "CATEGORY",
               "CREATED", "EDGES", "TITLE");
    for (int pages = 0; status == STATUS_OK && pages < PAGES_MAX; pages++) {
        status = one_page(s, options, &edge_id, &j, &after);
        if (after.s[0] == '\0')
            break;
    }
    if (json) {
        json_text_close(&j, ']');
        putchar('\n');
    }
    return status;
}

static enum exit_status run(const struct option *options, const char *const *arguments, int n)
{
    (void)arguments;
    (void)n;
    if (slice_str(config_text(options, "category")).len > CATEGORY_BYTES_MAX ||
        slice_str(config_text(options, "query")).len > LIST_QUERY_BYTES_MAX) {
        say("--category takes at most %d bytes, --query %d", CATEGORY_BYTES_MAX,
            LIST_QUERY_BYTES_MAX);
        return STATUS_USAGE;
    }
    struct session s;
    enum exit_status status = session_open(&s, options);
    if (status != STATUS_OK)
        return status;
    status = list(&s, options);
    session_close(&s);
    return status;
}

const struct command command_list = {
    .name = "list",
    .arguments = "",
    .summary = "the videos and lives that an edge knows of, newest first",
    .details = "Prints the catalogue of one edge, which knows those of all edges of its zone, and\n"
               "says which of a video's edges are offline. What it prints is not verified: watch\n"
               "and verify do that.",
    .options = options_list,
    .run = run,
};
