/* Why: what only the operator decides: which key a zone has, and who is in it. */
#include "auth_edge/operator.h"

#include "auth_edge/broker.h"
#include "auth_edge/rotate.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { KEY_TEXT_BYTES = 2 * KEY_BYTES, CELLS_MAX = 6, HELP_AT = 32 };

struct call {
    const struct operator_settings *settings;
    const char *const *args; /* what follows the command's words */
};

int operator_complain(const char *text)
{
    fprintf(stderr, "auth_edge: %s\n", text);
    return EXIT_FAILURE;
}

int operator_misuse(const char *text)
{
    fprintf(stderr, "auth_edge: %s; see auth_edge --help\n", text);
    return EXIT_USAGE;
}

/* --- the folder ------------------------------------------------------------------ */

static void zone_key_text(const struct folder *folder, char ret[static KEY_TEXT_BYTES])
{
    b64_encode(slice_of(folder->keys.sign.pk.b, KEY_BYTES), ret);
}

/* What the operator does with a zone that was just made. */
static void say_created(const struct folder *folder)
{
    char key[KEY_TEXT_BYTES];
    zone_key_text(folder, key);
    printf("zone %s was made in %s\n", folder->zone.zone_id.s, folder->path);
    if (folder->secret_from_outside)
        printf("give every edge the same ZONE_SECRET\n");
    else
        printf("copy %s/zone.secret to every edge, and nowhere else\n", folder->path);
    printf("tell every streamer and viewer: --zone-key %s\n", key);
    fflush(stdout);
}

bool operator_open(const struct operator_settings *settings, bool may_create, struct folder *ret)
{
    char error[FOLDER_ERROR_BYTES];
    struct folder_config config = settings->folder;
    config.may_create = may_create;
    config.now_us = clock_utc_us();
    if (folder_open(&config, ret, error) != ERR_OK) {
        operator_complain(error);
        return false;
    }
    if (ret->created)
        say_created(ret);
    return true;
}

static int init(const struct call *call)
{
    struct folder folder;
    if (!operator_open(call->settings, true, &folder))
        return EXIT_FAILURE;
    if (!folder.created)
        printf("zone %s is in %s already; nothing was changed\n", folder.zone.zone_id.s,
               folder.path);
    folder_close(&folder);
    return EXIT_SUCCESS;
}

static int show(const struct call *call)
{
    struct folder folder;
    char key[KEY_TEXT_BYTES];
    if (!operator_open(call->settings, false, &folder))
        return EXIT_FAILURE;
    CLEANUP(mem_free_ptr) struct revoked *list = mem_alloc(sizeof(*list));
    if (store_revoked(folder.store, list) != ERR_OK) {
        operator_complain(store_error(folder.store));
        folder_close(&folder);
        return EXIT_FAILURE;
    }
    zone_key_text(&folder, key);
    printf("zone-id      %s\n", folder.zone.zone_id.s);
    printf("key-epoch    %u, rotated %u of %d times\n", folder.zone.key_epoch, folder.zone.links_n,
           ZONE_LINKS_MAX);
    printf("zone-key     %s\n", key);
    printf("revocations  list %llu: %u of %d serials\n", (unsigned long long)list->number, list->n,
           REVOCATIONS_MAX);
    printf("data         %s\n", folder.path);
    if (folder.secret_from_outside)
        printf("zone-secret  from ZONE_SECRET\n");
    else
        printf("zone-secret  %s/zone.secret\n", folder.path);
    printf("database     %s/auth_edge.db\n", folder.path);
    folder_close(&folder);
    return EXIT_SUCCESS;
}

/* --- keys ------------------------------------------------------------------------ */

static int key_rotate(const struct call *call)
{
    struct folder folder;
    char key[KEY_TEXT_BYTES], error[FOLDER_ERROR_BYTES];
    if (!operator_open(call->settings, false, &folder))
        return EXIT_FAILURE;
    enum err err = rotate_key(&folder, clock_utc_us(), error);
    if (err == ERR_OK) {
        zone_key_text(&folder, key);
        printf("zone %s: key epoch %u; edges and clients follow by themselves\n",
               folder.zone.zone_id.s, folder.zone.key_epoch);
        printf("tell new streamers and viewers: --zone-key %s\n", key);
        printf("back up %s again: zone.key is another one now\n", folder.path);
    }
    folder_close(&folder);
    return err == ERR_OK ? EXIT_SUCCESS : operator_complain(error);
}

static int secret_rotate(const struct call *call)
{
    struct folder folder;
    char error[FOLDER_ERROR_BYTES];
    if (!operator_open(call->settings, false, &folder))
        return EXIT_FAILURE;
    enum err err = rotate_secret(&folder, error);
    if (err == ERR_OK)
        printf("copy %s/zone.secret to every edge; with the old one nobody enrols any more\n",
               folder.path);
    folder_close(&folder);
    return err == ERR_OK ? EXIT_SUCCESS : operator_complain(error);
}

/* --- edges and streamers --------------------------------------------------------- */

/* One line of a table: padded for people, with tabs for programs; the last cell may be any text. */
static void print_cells(bool terminal, const char *const *cells, size_t n)
{
    static const int widths[CELLS_MAX] = {36, 8, 8, 27, 27, 0};
    for (size_t i = 0; i < n; i++) {
        const char *after = i + 1 == n ? "\n" : terminal ? "  " : "\t";
        printf("%-*s%s", terminal && i + 1 < n ? widths[i] : 0, cells[i], after);
    }
}

static void print_principal(bool terminal, enum credential_kind kind, struct store_principal *p)
{
    char serial[24] = "-", end[ISO8601_BYTES] = "-";
    if (p->serial) {
        snprintf(serial, sizeof(serial), "%llu", (unsigned long long)p->serial);
        clock_iso8601(p->end_us, end);
    }
    for (char *c = p->name; *c; c++)
        if (*c == '\t' || *c == '\n' || *c == '\r')
            *c = ' ';
    const char *cells[CELLS_MAX] = {p->id.s,
                                    p->revoked ? "revoked"
                                    : p->bound ? "admitted"
                                               : "unbound",
                                    serial,
                                    end,
                                    p->last_seen[0] ? p->last_seen : "-",
                                    p->name};
    print_cells(terminal, cells, kind == CREDENTIAL_EDGE ? CELLS_MAX - 1 : CELLS_MAX);
}

static int list_of(const struct call *call, enum credential_kind kind)
{
    static const char *const header[] = {"ID", "STATE", "SERIAL", "UNTIL", "LAST SEEN", "NAME"};
    struct folder folder;
    struct store_principal p = {0};
    bool terminal = isatty(STDOUT_FILENO);
    enum err err;
    if (!operator_open(call->settings, false, &folder))
        return EXIT_FAILURE;
    if (terminal)
        print_cells(true, header, kind == CREDENTIAL_EDGE ? CELLS_MAX - 1 : CELLS_MAX);
    while ((err = store_principal_next(folder.store, kind, p.id.s, &p)) == ERR_OK)
        print_principal(terminal, kind, &p);
    int status = err == ERR_UNKNOWN ? EXIT_SUCCESS : operator_complain(store_error(folder.store));
    folder_close(&folder);
    return status;
}

static int edge_list(const struct call *call)
{
    return list_of(call, CREDENTIAL_EDGE);
}

static int streamer_list(const struct call *call)
{
    return list_of(call, CREDENTIAL_STREAMER);
}

/* What became of a subject. word: "edge" or "streamer". */
static int say_revoking(const struct folder *folder, enum err err, const char *word, const char *id,
                        const char *now_it, const struct store_revoking *done)
{
    char end[ISO8601_BYTES];
    if (err == ERR_UNKNOWN) {
        fprintf(stderr, "auth_edge: no %s has the id %s; see auth_edge %s list\n", word, id, word);
        return EXIT_FAILURE;
    }
    if (err != ERR_OK && err != ERR_LIMIT)
        return operator_complain(store_error(folder->store));
    if (err == ERR_OK) {
        printf("%s %s: %s; %u of its credentials are revoked by this (list %llu, %u of %d)\n", word,
               id, now_it, done->serials, (unsigned long long)done->number, done->listed,
               REVOCATIONS_MAX);
        return EXIT_SUCCESS;
    }
    clock_iso8601(done->end_us, end);
    fprintf(stderr,
            "auth_edge: %s %s: gets no new credential; but %s: what it has is good until %s\n",
            word, id, store_error(folder->store), end);
    return EXIT_FAILURE;
}

/* The id that the command names, and the folder. EXIT_SUCCESS, or what to exit with. */
static int open_for_id(const struct call *call, struct id *ret_id, struct folder *ret_folder)
{
    if (id_parse(slice_str(call->args[0]), ret_id) != ERR_OK)
        return operator_misuse("that is no id");
    return operator_open(call->settings, false, ret_folder) ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int revoke_one(const struct call *call, enum credential_kind kind)
{
    struct id id;
    struct folder folder;
    struct store_revoking done;
    int opened = open_for_id(call, &id, &folder);
    if (opened != EXIT_SUCCESS)
        return opened;
    enum err err = store_revoke(folder.store, kind, &id, clock_utc_us(), &done);
    int status = say_revoking(&folder, err, kind == CREDENTIAL_EDGE ? "edge" : "streamer", id.s,
                              "gets no credential any more", &done);
    folder_close(&folder);
    return status;
}

static int edge_revoke(const struct call *call)
{
    return revoke_one(call, CREDENTIAL_EDGE);
}

static int streamer_revoke(const struct call *call)
{
    return revoke_one(call, CREDENTIAL_STREAMER);
}

static int edge_rekey(const struct call *call)
{
    struct id id;
    struct folder folder;
    struct store_revoking done;
    int opened = open_for_id(call, &id, &folder);
    if (opened != EXIT_SUCCESS)
        return opened;
    enum err err = store_rekey(folder.store, &id, clock_utc_us(), &done);
    int status = err == ERR_LIMIT ? operator_complain(store_error(folder.store))
                                  : say_revoking(&folder, err, "edge", id.s,
                                                 "the next key that enrols is its own", &done);
    folder_close(&folder);
    return status;
}

static int streamer_admit(const struct call *call)
{
    struct id id;
    struct folder folder;
    int opened = open_for_id(call, &id, &folder);
    if (opened != EXIT_SUCCESS)
        return opened;
    enum err err = store_admit(folder.store, &id);
    if (err == ERR_OK)
        printf("streamer %s: may log in again; what was revoked stays so\n", id.s);
    else if (err == ERR_UNKNOWN)
        fprintf(stderr, "auth_edge: no streamer has the id %s; see auth_edge streamer list\n",
                id.s);
    else
        operator_complain(store_error(folder.store));
    folder_close(&folder);
    return err == ERR_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* --- users ----------------------------------------------------------------------- */

static int user_add(const struct call *call)
{
    struct folder folder;
    if (!operator_open(call->settings, true, &folder))
        return EXIT_FAILURE;
    int status = users_add(folder.store, call->args[0], &call->settings->password, clock_utc_us());
    folder_close(&folder);
    return status;
}

static int user_passwd(const struct call *call)
{
    struct folder folder;
    if (!operator_open(call->settings, false, &folder))
        return EXIT_FAILURE;
    int status = users_passwd(folder.store, call->args[0], &call->settings->password);
    folder_close(&folder);
    return status;
}

static int user_list(const struct call *call)
{
    struct folder folder;
    if (!operator_open(call->settings, false, &folder))
        return EXIT_FAILURE;
    int status = users_list(folder.store);
    folder_close(&folder);
    return status;
}

/* --- deletions -------------------------------------------------------------------- */

/* What `edgectl delete --signed` sends: the zone says that a streamer's video is gone. */
static int delete_video(const struct call *call)
{
    struct deletion deletion = {.revision_us = clock_utc_us()};
    if (id_parse(slice_str(call->args[0]), &deletion.streamer_id) != ERR_OK ||
        id_parse(slice_str(call->args[1]), &deletion.video_id) != ERR_OK)
        return operator_misuse(
            "delete takes a streamer's id and a video's, as edgectl list shows them");
    struct folder folder;
    if (!operator_open(call->settings, false, &folder))
        return EXIT_FAILURE;
    deletion.zone_id = folder.zone.zone_id;
    uint8_t body[OBJECT_BYTES_MAX], object[OBJECT_BYTES_MAX];
    struct writer w = writer_of(body, sizeof(body));
    struct writer out = writer_of(object, sizeof(object));
    deletion_encode(&deletion, &w);
    signed_append(&out, OBJECT_DELETION, slice_of(body, w.len), &folder.keys.sign);
    folder_close(&folder);
    CHECK(!w.full && !out.full);
    CLEANUP(mem_free_ptr) char *text = mem_alloc(b64_text_len(out.len) + 1);
    b64_encode(slice_of(object, out.len), text);
    printf("%s\n", text);
    return EXIT_SUCCESS;
}

/* --- a locked broker ---------------------------------------------------------------- */

static int init_broker(const struct call *call, const struct folder *folder)
{
    uint8_t key[KEY_BYTES];
    char error[FOLDER_ERROR_BYTES];
    const char *out = call->settings->out;
    enum err err = folder_broker_key(folder, true, key, error);
    crypto_wipe(key, sizeof(key));
    if (err == ERR_OK) /* last: what is there already is not written again */
        err = broker_init(out, slice_str(call->settings->topic_prefix), folder->keys.secret, error);
    if (err != ERR_OK)
        return operator_complain(error);
    printf("%s/dynamic-security.json and %s/acl are the broker's: give them to its user\n", out,
           out);
    printf("%s/broker.auth is this auth_edge's: --broker-accounts --mqtt-user %s "
           "--mqtt-password-file\n",
           out, BROKER_USER_AUTH);
    return EXIT_SUCCESS;
}

static int broker_init_command(const struct call *call)
{
    struct folder folder;
    if (!call->settings->out)
        return operator_misuse("broker init takes --out FOLDER, for the files of the broker");
    if (!topic_prefix_ok(slice_str(call->settings->topic_prefix)))
        return operator_misuse("--topic-prefix takes levels of A-Z a-z 0-9 _ - joined by /");
    if (!operator_open(call->settings, true, &folder))
        return EXIT_FAILURE;
    int status = init_broker(call, &folder);
    folder_close(&folder);
    return status;
}

/* --- the commands ----------------------------------------------------------------- */

static const struct {
    const char *words[2]; /* the second may be NULL */
    const char *takes;    /* its arguments, for people */
    int args_n;
    int (*run)(const struct call *call);
    const char *help;
} commands[] = {
    {{"init", NULL}, "", 0, init, "make the zone's keys and say what edges need"},
    {{"show", NULL}, "", 0, show, "zone, key epoch, zone key, revocations, paths"},
    {{"key", "rotate"}, "", 0, key_rotate, "another zone key; everybody follows by themselves"},
    {{"secret", "rotate"}, "", 0, secret_rotate, "another zone.secret, to be copied to the edges"},
    {{"broker", "init"},
     "",
     0,
     broker_init_command,
     "a locked broker's files, in the folder --out"},
    {{"edge", "list"}, "", 0, edge_list, "id, state, serial and end of the last credential"},
    {{"edge", "revoke"}, " ID", 1, edge_revoke, "put an edge out of the zone"},
    {{"edge", "rekey"}, " ID", 1, edge_rekey, "revoke its key; the next that enrols is its own"},
    {{"streamer", "list"}, "", 0, streamer_list, "likewise, and names"},
    {{"streamer", "revoke"}, " ID", 1, streamer_revoke, "put a streamer out of the zone"},
    {{"streamer", "admit"}, " ID", 1, streamer_admit, "let one log in again"},
    {{"user", "add"},
     " NAME",
     1,
     user_add,
     "a new user; the password from --password-file, from\n"
     "                                AUTH_PASSWORD, or asked for"},
    {{"user", "passwd"}, " NAME", 1, user_passwd, "another password"},
    {{"user", "list"}, "", 0, user_list, "streamer id, date, name"},
    {{"delete", NULL},
     " STREAMER VIDEO",
     2,
     delete_video,
     "print a deletion that the zone signs, for\n"
     "                                edgectl delete --signed FILE"},
};
enum { COMMANDS_N = sizeof(commands) / sizeof(commands[0]) };

void operator_print_help(void)
{
    for (size_t i = 0; i < COMMANDS_N; i++) {
        const char *second = commands[i].words[1];
        int len = printf("  auth_edge %s%s%s%s", commands[i].words[0], second ? " " : "",
                         second ? second : "", commands[i].takes);
        if (len >= HELP_AT)
            len = printf("\n") - 1;
        printf("%*s%s\n", HELP_AT - len, "", commands[i].help);
    }
}

int operator_command(const struct operator_settings *settings, const char *const *args, int n)
{
    for (size_t i = 0; i < COMMANDS_N; i++) {
        int words_n = commands[i].words[1] ? 2 : 1;
        if (n < words_n || strcmp(args[0], commands[i].words[0]) != 0 ||
            (words_n == 2 && strcmp(args[1], commands[i].words[1]) != 0))
            continue;
        if (n != words_n + commands[i].args_n)
            return operator_misuse("that command takes other arguments");
        struct call call = {.settings = settings, .args = args + words_n};
        return commands[i].run(&call);
    }
    return operator_misuse("there is no such command");
}
