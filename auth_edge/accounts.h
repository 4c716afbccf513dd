#ifndef AUTH_EDGE_ACCOUNTS_H
#define AUTH_EDGE_ACCOUNTS_H
/*
 * The accounts of edges and streamers at a locked broker, kept by Mosquitto's
 * dynamic security plugin: one client each, made when its first credential is
 * answered, disabled (and so disconnected) when it is revoked. Decides what the
 * plugin is told and what its answers mean; has no socket and no clock.
 *
 *   accounts_hold --> accounts_command --> broker --> accounts_response --> accounts_take
 *
 * An answer that carries a login is held until the plugin has said that the
 * account is there. Its password and whether it is enabled the plugin does not say: so whoever
 * asks again within ACCOUNTS_AGAIN_MAX_US has both set anew (either file may have been put back
 * from a backup). One thread.
 */
#include "auth_edge/clients.h"
#include "base/arena.h"

enum {
    BROKER_CLIENTS_PER_S_MAX = 5, /* new ones: the broker rewrites all of them for each */
    ACCOUNTS_HELD_MAX = 64,
    ACCOUNTS_ENDING_MAX = 16, /* that are being disabled at once; more wait in the table */
    ACCOUNTS_ANSWER_MAX_US = 5 * 1000 * 1000,
    ACCOUNTS_COMMAND_BYTES_MAX = 1024,
    ACCOUNTS_RECENT_MAX = 64,                 /* remembered for: */
    ACCOUNTS_AGAIN_MAX_US = 60 * 1000 * 1000, /* who comes again so soon was not let in */
};

struct accounts; /* opaque */

/* accounts_new: key: that all passwords follow from; copied. clients outlive it. */
struct accounts *accounts_new(const uint8_t key[static KEY_BYTES], struct clients clients);
/* accounts_free: NULL is fine. What is held must have been taken. */
void accounts_free(struct accounts *accounts);

/* accounts_secret: the zone secret, at the start and whenever it changes: BROKER_USER_ENROL's
 * password follows from it. */
void accounts_secret(struct accounts *accounts, const uint8_t zone_secret[static KEY_BYTES]);

/* accounts_link: the connection to the broker stands, or is gone: whoever waits fails. */
void accounts_link(struct accounts *accounts, bool up);

/*
 * accounts_hold: see that a principal has its account; accounts_take gives held back then.
 * ERR_BUSY: too many at once, no broker, or it is being taken away; ERR_LIMIT: BROKER_CLIENTS_MAX;
 * ERR_IO, ERR_STORAGE_FULL: the table. held stays the caller's on any error.
 */
enum err accounts_hold(struct accounts *accounts, enum credential_kind kind,
                       const struct id *subject, void *held, uint64_t mono_us);

/* accounts_take: something held whose account is there (ret_ok), or could not be made. NULL: none.
 */
void *accounts_take(struct accounts *accounts, bool *ret_ok);
/* accounts_drop: something that is held, whatever became of it; NULL: nothing is. For the end. */
void *accounts_drop(struct accounts *accounts);

/* accounts_command: the next message for BROKER_CONTROL_TOPIC, in the arena; empty: none now. */
struct slice accounts_command(struct accounts *accounts, uint64_t mono_us, struct arena *arena);
/* accounts_response: a message of BROKER_CONTROL_ANSWERS. */
void accounts_response(struct accounts *accounts, struct slice payload, struct arena *arena);

/* accounts_tick: give up what was not answered; look for accounts that are to end. Every second
 * or so, and when another process has written. ERR_IO, ERR_STORAGE_FULL: the table. */
enum err accounts_tick(struct accounts *accounts, uint64_t mono_us);

/* accounts_error: what the plugin refused last, as a sentence; "" if nothing since the last call.
 */
void accounts_error(struct accounts *accounts, char ret[static 256]);

#endif
