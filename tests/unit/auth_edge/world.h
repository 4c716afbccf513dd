#ifndef TESTS_AUTH_EDGE_WORLD_H
#define TESTS_AUTH_EDGE_WORLD_H
/* An authority, a table in memory for its records, and somebody who asks: what its tests share. */
#include "auth_edge/zone.h"

enum { WORLD_EDGES_MAX = 4 };

/* Records in memory. */
struct table {
    struct id edges[WORLD_EDGES_MAX];
    struct pubkey keys[WORLD_EDGES_MAX];
    size_t edges_n;
    uint64_t serial;
    struct issue last;
    enum err fail;
    uint64_t revoked; /* serial; 0: none */
};

struct world {
    struct zone_keys keys;
    struct table table;
    struct zone_config config;
    struct zone *zone;
    struct zone_params params; /* as clients have them */
    struct zone_now now;
    struct arena arena;
    struct signkey key; /* of whoever asks */
    uint8_t nonce;      /* counted up by every request that is made */
};

extern const uint64_t start_us, edge_life_us, streamer_life_us;

/* world_enter, world_leave: cmocka setup and teardown; *state is the struct world. */
int world_enter(void **state);
int world_leave(void **state);

/* id_of: a well-formed id. */
struct id id_of(const char *text);

/* receive: zone_receive with the world's time and arena. */
struct zone_outcome receive(struct world *w, enum topic_kind kind, struct slice payload);

/* expect_silence: no answer, and this was counted. */
void expect_silence(struct world *w, const struct zone_outcome *o, enum zone_counter counter);

/* expect_error: an error answer under id, with this code. */
void expect_error(struct world *w, const struct zone_answer *a, enum topic_kind topic,
                  const char *id, enum wire_code code);

/* expect_refusal: expect_error, and this was counted. */
void expect_refusal(struct world *w, const struct zone_outcome *o, enum topic_kind topic,
                    const char *id, enum wire_code code, enum zone_counter counter);

#endif
