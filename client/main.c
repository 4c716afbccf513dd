/* edgectl: the list of commands, their help, and which one is run. */
#include "base/mem.h"
#include "base/version.h"
#include "client/command.h"
#include "client/say.h"
#include "client/session.h"
#include "trust/crypto.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

static const struct command *const commands[] = {
    &command_login, &command_ping,  &command_list,   &command_upload,
    &command_live,  &command_watch, &command_verify, &command_delete,
};
enum { COMMANDS_N = sizeof(commands) / sizeof(commands[0]) };

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COMMANDS_N; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static void print_statuses(void)
{
    printf("\nExit status: 0 done; 1 failed or refused; 2 wrong usage; 3 no broker, edge or\n"
           "auth_edge answered; 4 something did not verify, is revoked, or is missing its end;\n"
           "5 your own credential is revoked or not accepted; 6 no list of who is revoked is\n"
           "fresh, and --require-revocations was given.\n");
}

static void print_overview(FILE *file)
{
    fprintf(file,
            "usage: edgectl COMMAND [OPTIONS] [ARGUMENTS]\n\n"
            "Streams, stores and watches video over the edges of a zone; everything is signed\n"
            "by its streamer and verified by its viewers.\n\n");
    for (size_t i = 0; i < COMMANDS_N; i++)
        fprintf(file, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(file, "  %-9s %s\n", "help", "this text, or a command's: edgectl help COMMAND");
    fprintf(file, "  %-9s %s\n", "--version", "which version this is");
}

static void print_help(const struct command *c)
{
    printf("usage: edgectl %s [OPTIONS] %s\n\n%s\n\n", c->name, c->arguments, c->details);
    config_print_help(c->options);
    printf("\nEvery option may also stand in the environment, or in the file .env here: its\n"
           "name in capitals with '_' for '-' after EDGECTL_, as in EDGECTL_EDGE; without\n"
           "EDGECTL_ for MQTT_*, TOPIC_PREFIX, ZONE_KEY and LIVE_FRAGMENT_MS.\n");
    print_statuses();
}

static bool asks_for_help(int argc, char **argv)
{
    return config_asked(argc, argv, "--help") || config_asked(argc, argv, "-h");
}

static enum exit_status run(const struct command *c, int argc, char **argv)
{
    char error[CONFIG_ERROR_BYTES];
    int n = 0;
    const char **positional = mem_array((size_t)argc + 1, sizeof(*positional));
    enum exit_status status = STATUS_USAGE;
    if (config_load(c->options, argc, argv, positional, &n, error) != ERR_OK)
        say("%s", error);
    else if (n < c->arguments_min || n > c->arguments_max)
        say("usage: edgectl %s [OPTIONS] %s; see edgectl %s --help", c->name, c->arguments,
            c->name);
    else
        status = c->run(c->options, positional, n);
    config_release(c->options);
    free(positional);
    return status;
}

static enum exit_status help(const char *name)
{
    const struct command *c = name ? find(name) : NULL;
    if (c) {
        print_help(c);
        return STATUS_OK;
    }
    if (name) {
        say("there is no command %s; edgectl help lists them", name);
        return STATUS_USAGE;
    }
    print_overview(stdout);
    print_statuses();
    return STATUS_OK;
}

/* Keys, passwords and tokens are in memory from here on. */
static void leave_no_core(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_overview(stderr);
        return STATUS_USAGE;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0)
        return (int)help(argc > 2 ? argv[2] : NULL);
    if (strcmp(argv[1], "--version") == 0) {
        printf("edgectl %s\n", EDGE_CLUSTER_VERSION);
        return STATUS_OK;
    }
    const struct command *c = find(argv[1]);
    if (!c || asks_for_help(argc - 2, argv + 2))
        return (int)help(argv[1]);
    session_catch_signals();
    leave_no_core();
    if (crypto_init() != ERR_OK) {
        say("this system gives no random numbers");
        return STATUS_FAILED;
    }
    enum exit_status status = run(c, argc - 2, argv + 2);
    if (fflush(stdout) != 0 && errno != EPIPE && status == STATUS_OK) {
        say("standard output could not be written: %s", strerror(errno));
        return STATUS_FAILED;
    }
    return (int)status;
}
