#ifndef AUTH_EDGE_OPERATOR_H
#define AUTH_EDGE_OPERATOR_H
/*
 * The operator's commands: what is done to a zone's folder, beside a serving
 * auth_edge or without one; the serving one takes it over by itself. They print,
 * tables with tabs when the output is no terminal, and return the exit status.
 * Main thread, no loop running.
 */
#include "auth_edge/folder.h"
#include "auth_edge/users.h"

enum { EXIT_USAGE = 2 };

struct operator_settings {
    struct folder_config folder; /* may_create and now_us are the commands' to set */
    struct password_source password;
    const char *out;          /* broker init: where to; NULL: not given */
    const char *topic_prefix; /* likewise */
};

/* operator_command: run what the arguments name. EXIT_USAGE: they name nothing; it was said. */
int operator_command(const struct operator_settings *settings, const char *const *args, int n);
/* operator_print_help: one line or more for each command. */
void operator_print_help(void);

/* operator_open: open the zone's folder. A new one is announced; false: it was said why not. */
bool operator_open(const struct operator_settings *settings, bool may_create, struct folder *ret);

/* operator_complain: what went wrong, on stderr; EXIT_FAILURE. operator_misuse: what was typed
 * wrong; EXIT_USAGE. */
int operator_complain(const char *text);
int operator_misuse(const char *text);

#endif
