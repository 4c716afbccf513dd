#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H
/*
 * Settings, one table per program: `--mqtt-broker X` or `--mqtt-broker=X` on
 * the command line, else MQTT_BROKER in the environment, else MQTT_BROKER=X in
 * `.env` in the working directory, else the default. The same table prints
 * --help, so the reference cannot drift from the code. An option whose derived
 * name belongs to somebody else (--user and $USER) names its variable itself.
 *
 * A secret is no flag: every user of the machine can read a command line. Where one may stand
 * there all the same, its text is overwritten as soon as it is read.
 */
#include "base/err.h"
#include "base/slice.h"

enum option_kind { OPTION_TEXT, OPTION_UINT, OPTION_FLAG };

enum { CONFIG_ERROR_BYTES = 256, CONFIG_ENV_FILE_BYTES_MAX = 65536, OPTION_VALUE_BYTES_MAX = 4096 };

struct option {
    const char *name;     /* "mqtt-broker"; its environment name is MQTT_BROKER */
    const char *help;     /* one line, with the unit */
    const char *fallback; /* default as text; NULL: none */
    enum option_kind kind;
    uint64_t min, max; /* OPTION_UINT */
    char letter;       /* 'o' for -o; 0: none */
    bool secret;       /* from the environment or .env alone; wiped when released */
    bool wiped;        /* a secret that may be a flag, too: argv is overwritten; may not be both */
    const char *env;   /* its environment name where the derived one means something else */
    char *value;       /* filled by config_load; owned by the table; NULL: none */
};

/*
 * config_load: fill the values of a table.
 * options        ends with an entry whose name is NULL.
 * argc, argv     what follows the program or command name; flags and
 *                positional arguments may be mixed; "--" ends the flags; a
 *                lone "-" is positional. Secrets in it, also those that are refused, are
 *                overwritten with zero bytes, in argv and so in /proc/PID/cmdline.
 * ret_positional argc pointers' room; the positional arguments, borrowed.
 * ret_error      the sentence for the user when ERR_FORMAT is returned.
 * Returns ERR_OK; ERR_FORMAT: unknown flag, missing or malformed value, a secret as a flag.
 * Call once, from main.
 */
enum err config_load(struct option *options, int argc, char **argv, const char **ret_positional,
                     int *ret_positional_n, char ret_error[static CONFIG_ERROR_BYTES]);

/* config_release: wipe and free the values. */
void config_release(struct option *options);
/* config_forget: wipe and free the values of the secrets, once they are copied. */
void config_forget(struct option *options);

/* config_text: the value or NULL. The name must be in the table. */
const char *config_text(const struct option *options, const char *name);
/* config_uint: the value of an OPTION_UINT, which must have a fallback. */
uint64_t config_uint(const struct option *options, const char *name);
/* config_flag: whether an OPTION_FLAG was given (or its variable is 1, true, yes). */
bool config_flag(const struct option *options, const char *name);

/* config_asked: whether a flag stands on a command line, before any "--"; for what is answered
 * before any setting is looked at ("--help"). */
bool config_asked(int argc, char **argv, const char *flag);

/* config_print_help: one line per option, on standard output; the secrets after the flags. */
void config_print_help(const struct option *options);

#endif
