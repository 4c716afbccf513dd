#ifndef AUTH_EDGE_DESK_H
#define AUTH_EDGE_DESK_H
/*
 * Answers that wait for an account at a locked broker, and the connection to the
 * broker's plugin: what accounts.h decides meets the bus here. The service's
 * thread.
 */
#include "auth_edge/accounts.h"
#include "base/msg.h"
#include "bus/bus.h"

struct desk; /* opaque */

/* desk_new: accounts are the desk's from now on. lane: whose the plugin's topics are; out: on which
 * answers leave. Both are the bus's, which is set by desk_open, before anything else. */
struct desk *desk_new(struct accounts *accounts, int lane, int out);
/* desk_open: subscribe. Errors as of bus_subscribe. */
enum err desk_open(struct desk *desk, struct bus *bus);
/* desk_free: NULL is fine. */
void desk_free(struct desk *desk);

/*
 * desk_hold: send an answer as soon as the principal has its account, or what is answered
 * otherwise if it cannot have one. Takes over both references. false: `otherwise` was sent at once.
 */
bool desk_hold(struct desk *desk, enum credential_kind kind, const struct id *subject,
               struct msg *answer, struct msg *otherwise);

/* desk_link: the lane's connection stands, or not. */
void desk_link(struct desk *desk, bool up);
/* desk_secret: as accounts_secret. */
void desk_secret(struct desk *desk, const uint8_t zone_secret[static KEY_BYTES]);

/* desk_fd: readable when desk_pump is worth calling; for poll() only. */
int desk_fd(const struct desk *desk);
/* desk_pump: take what came, send what is due. Logs what the plugin refuses. */
void desk_pump(struct desk *desk);
/* desk_look: a pump, and what only time and other processes bring. ERR_IO, ERR_STORAGE_FULL: the
 * table. */
enum err desk_look(struct desk *desk);
/* desk_end: what still waits is answered otherwise. */
void desk_end(struct desk *desk);
/* desk_waiting: answers that are held. */
size_t desk_waiting(const struct desk *desk);

#endif
