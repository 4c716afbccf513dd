#ifndef CLIENT_COMMAND_H
#define CLIENT_COMMAND_H
/*
 * What a command of edgectl is. One file per command; main.c has the list.
 * A command says what went wrong itself (say.h) and returns an exit status.
 */
#include "base/config.h"
#include "base/slice.h"

enum exit_status {
    STATUS_OK = 0,
    STATUS_FAILED = 1,       /* refused, interrupted, or something here does not work */
    STATUS_USAGE = 2,        /* the command line or a setting is wrong */
    STATUS_NO_ANSWER = 3,    /* no broker, edge or auth_edge answered in time */
    STATUS_UNVERIFIED = 4,   /* a signature, hash, chain or manifest does not hold, or is missing */
    STATUS_UNAUTHORIZED = 5, /* our credential is revoked, or an edge does not take it */
    STATUS_NO_LIST = 6,      /* --require-revocations, and no list of revocations is fresh */
};

struct command {
    const char *name;
    const char *arguments; /* for the usage line: "FILE" */
    const char *summary;   /* one line */
    const char *details;   /* paragraphs for --help, lines of at most 78 columns */
    int arguments_min, arguments_max;
    struct option *options;
    enum exit_status (*run)(const struct option *options, const char *const *arguments, int n);
};

extern const struct command command_login, command_ping, command_list, command_upload, command_live,
    command_watch, command_verify, command_delete;

/* The options of everything that talks to a broker; the last entries of each table. */
#define OPTIONS_COMMON                                                                             \
    {.name = "json",                                                                               \
     .env = "EDGECTL_JSON",                                                                        \
     .help = "write the result as JSON",                                                           \
     .kind = OPTION_FLAG},                                                                         \
        {.name = "timeout",                                                                        \
         .env = "EDGECTL_TIMEOUT",                                                                 \
         .help = "how long to wait for the broker and for answers, in s",                          \
         .fallback = "10",                                                                         \
         .kind = OPTION_UINT,                                                                      \
         .min = 1,                                                                                 \
         .max = 3600},                                                                             \
        {.name = "zone-key",                                                                       \
         .help = "the zone's public key, in base64, instead of trust on first use"},               \
        {.name = "mqtt-broker",                                                                    \
         .help = "host, host:port or mqtt://, mqtts://, ws://, wss:// URL",                        \
         .fallback = "mqtt://127.0.0.1:1883"},                                                     \
        {.name = "mqtt-user", .help = "user name at the broker"},                                  \
        {.name = "mqtt-password-file",                                                             \
         .help = "file whose first line is the password at the broker"},                           \
        {.name = "mqtt-password",                                                                  \
         .help = "password at the broker, without a file",                                         \
         .secret = true},                                                                          \
        {.name = "mqtt-ca-file",                                                                   \
         .help = "file of CA certificates (PEM) for the broker, instead of the system's"},         \
        {.name = "mqtt-cert-file", .help = "our certificate for the broker (PEM)"},                \
        {.name = "mqtt-key-file", .help = "the key of that certificate (PEM)"},                    \
        {.name = "topic-prefix", .help = "levels before every topic"},                             \
    {                                                                                              \
        .name = NULL                                                                               \
    }

#endif
