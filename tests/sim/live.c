/*
 * Lives: a streamer shows something for a while, to an edge that may not be
 * there, and waits for no answer. What is left of it must go: an edge that
 * crashed still says that it shows it.
 */
#include "tests/sim/sim.h"
#include "wire/upload.h"

#include <stdio.h>

enum {
    INITS = 3,
    INIT_US = 2 * 1000 * 1000,
    CHUNK_US = 1000 * 1000,
    GROUPS = 20,
    INIT_BYTES = 600,
    GROUP_BYTES = 9000,
};

void live_init(struct sim *s, unsigned i)
{
    struct live *l = &s->lives[i];
    l->streamer = (unsigned)sim_random(s, s->streamers_n);
    l->edge = (unsigned)sim_random(s, s->nodes_n);
    uint64_t begin_us = s->now_us + 10 * SIM_S + sim_random(s, s->heal_us - s->now_us);
    sim_at(s, begin_us, HAPPEN_LIVE, i, 0, NULL);
}

void live_free(struct live *l)
{
    if (l->reel)
        reel_free(l->reel);
}

static void make(struct sim *s, unsigned i)
{
    char name[32];
    struct live *l = &s->lives[i];
    snprintf(name, sizeof(name), "live%u", i + 1);
    l->reel = reel_new(&s->streamers[l->streamer].member, name, i, true);
    l->reel->video.created_us = s->utc_us;
    l->reel->video.revision_us = s->utc_us + 1;
    reel_sign(l->reel);
}

static void say_init(struct sim *s, const struct live *l)
{
    struct arena arena = {0};
    struct streamer *st = &s->streamers[l->streamer];
    const struct video *v = &l->reel->video;
    struct slice edge = id_slice(&s->nodes[l->edge].member.id);
    struct upload_init m = {
        .video_id = v->video_id,
        .title = v->title,
        .description = v->description,
        .category = v->category,
        .thumbnail = l->reel->thumbnail,
        .streamer_id = v->streamer_id,
        .streamer_name = id_slice(&st->member.id),
        .credential = member_credential(&st->member),
        .statement = l->reel->statement,
    };
    struct request_signer signer = {.target = edge, .ts_us = s->utc_us, .key = &st->member.key};
    st->nonces++;
    memcpy(signer.nonce.b, &st->nonces, sizeof(st->nonces));
    broker_send(s, st->client, TOPIC_LIVE_UPLOAD, edge, (struct slice){0},
                upload_init_encode(&m, true, &signer, &arena));
    arena_release(&arena);
}

/* The next chunk, as it is captured. */
static void say_chunk(struct sim *s, const struct live *l)
{
    size_t first;
    if (l->chunks == 0)
        first = reel_cut(l->reel, CHUNK_INIT, 0, s->utc_us, INIT_BYTES);
    else if (l->chunks <= GROUPS)
        first = reel_cut(l->reel, CHUNK_MEDIA, CHUNK_KEYFRAME, s->utc_us, GROUP_BYTES);
    else
        first = reel_cut(l->reel, CHUNK_END, 0, s->utc_us, 0);
    for (size_t i = first; i < l->reel->n; i++)
        broker_send(s, s->streamers[l->streamer].client, TOPIC_LIVE_UPLOAD,
                    id_slice(&s->nodes[l->edge].member.id), (struct slice){0},
                    l->reel->parts[i].packet->payload);
}

void live_wake(struct sim *s, unsigned i)
{
    struct live *l = &s->lives[i];
    if (!l->reel)
        make(s, i);
    if (l->inits < INITS) {
        l->inits++;
        say_init(s, l);
        sim_at(s, s->now_us + INIT_US, HAPPEN_LIVE, i, 0, NULL);
    } else if (l->chunks < GROUPS + 2) {
        say_chunk(s, l);
        l->chunks++;
        sim_at(s, s->now_us + CHUNK_US, HAPPEN_LIVE, i, 0, NULL);
    }
}
