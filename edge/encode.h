#ifndef EDGE_ENCODE_H
#define EDGE_ENCODE_H
/*
 * From the core's typed messages to topics and payloads: decode's counterpart.
 * Pure; any thread.
 */
#include "edge/core/effect.h"

enum { ENCODE_MESSAGES_MAX = 2 }; /* one effect: a part in JSON may take two */

/*
 * encode: the payloads of an EFFECT_SEND, owned by the arena.
 * Returns how many, 1..ENCODE_MESSAGES_MAX.
 */
unsigned encode(const struct effect *e, struct arena *arena,
                struct slice ret_payloads[static ENCODE_MESSAGES_MAX]);

#endif
