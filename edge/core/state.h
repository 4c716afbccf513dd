#ifndef EDGE_CORE_STATE_H
#define EDGE_CORE_STATE_H
/*
 * The core's state, shared by its machines and by nobody else.
 *
 * Rooms: zone.c (credential), presence.c (ping, peers), claim.c (init of uploads
 * and lives), upload.c, live.c, watch.c, fetch.c, catalogue.c, sync.c, stale.c; core.c runs them.
 * Machines call the helpers below, never each other's statics.
 */
#include "base/map.h"
#include "edge/core/core.h"
#include "flow/pull.h"

/* A run of verified live packets: what a joiner is sent. Ring-free: grows, is cleared at keyframes.
 */
struct gop {
    struct msg **packets; /* owned references, as they arrived */
    size_t n, cap;
    size_t bytes;
    bool broken; /* fell out of the cache: joiners wait for the next keyframe */
};

enum ingest_state {
    INGEST_CLAIMING, /* waiting for storage to say where to begin */
    INGEST_RUNNING,
    INGEST_FINISHING, /* upload, fetch: manifest handed to storage; live: withdrawal handed over */
};

/*
 * Media coming in: an upload, a live, or our own fetch of a copy.
 *
 * Invariants
 *   I1  (comm) <= (recv) in (chunk, part) order; acknowledgements follow comm alone.
 *   I2  a stream is in the trust view exactly while its ingest is past CLAIMING.
 *   I3  Σ inflight_bytes of all uploads == core->inflight_bytes, of all fetches
 *       == core->fetch_inflight_bytes.
 */
struct ingest {
    enum stream_use use;
    enum ingest_state state;
    uint64_t serial;    /* tokens of its operations name it */
    struct arena arena; /* owns the slices below */
    struct hash stream;
    struct pubkey signer;
    struct storage_row row; /* the video row as claimed */
    uint64_t active_us;     /* last verified part */
    uint64_t not_after_us;  /* the streamer's credential: nothing is ingested from then on */

    /* upload, fetch */
    uint32_t recv_chunk, recv_part; /* expected next */
    uint32_t comm_chunk, comm_part; /* first not committed */
    struct hash prev;               /* statement hash of chunk recv_chunk - 1 */
    struct hash current;            /* of chunk recv_chunk, once a part of it came */
    uint32_t init_number;
    uint32_t inflight_bytes, inflight_parts;
    uint32_t window_bytes;
    uint64_t hinted_us; /* last unasked acknowledgement */
    bool json;          /* last part came in JSON */
    enum err failed;    /* why a commit failed: wait until nothing is in flight, go back to comm */
    /* FINISHING: what is announced after the commit, and sent with the acknowledgement. */
    struct arena final_arena;
    struct storage_row final_row;
    struct slice receipt;

    /* live */
    uint32_t last_number, last_index; /* the last part relayed */
    uint32_t live_init;               /* number of the init chunk in `init` */
    struct gop init, gop;
    bool skipping;    /* until a keyframe that fits */
    uint64_t info_us; /* metadata last published */

    /* fetch */
    struct pull pull;
    struct slice edges; /* comma-separated holders */
    struct id source;
    size_t sources_tried;
    bool informed; /* the source answered our init */
    uint64_t asked_us;
    uint8_t token[TOKEN_BYTES];
    size_t token_len;
    struct manifest manifest;
};

/* A viewer of a stored video, or an edge that fetches from us. */
struct view {
    struct arena arena; /* owns key, client_id, title */
    struct slice key;   /* client_id '/' video_id */
    struct slice client_id;
    struct id video_id;
    uint64_t serial; /* tokens of its reads name it */
    uint64_t active_us;
    bool info_due; /* VIDEO_GET under way for an init */
    bool local_only;
    bool json;            /* original pulls */
    uint32_t pull;        /* of the seek that is served */
    uint32_t pull_floor;  /* seeks must be above it; 0: none since an init */
    uint32_t chunk, part; /* what is sent next */
    uint64_t sent_bytes, credited_bytes, allowed_bytes;
    uint32_t next_bytes; /* of the next packet, if it was read and longer than the credit; or 0 */
    uint32_t stop_chunk; /* the last chunk to send; 0: no such bound */
    bool wanting;        /* there is something to send */
    bool reading;        /* PARTS_READ under way, from here: */
    uint32_t read_pull, read_chunk, read_part, read_bytes;
    bool trusted; /* showed a token: */
    uint8_t token[TOKEN_BYTES];
    uint64_t not_before_us; /* no token: when it may be sent more */
    bool woken;             /* something was stored while it was read */
    bool starved;           /* nothing there yet; a fetch is bringing it */
    struct slice title;
};

/* A join of a live being replayed in slices. */
struct replay {
    struct arena arena;
    struct slice client_id;
    struct msg **packets; /* owned references */
    size_t n, next;
    size_t bytes; /* of all of them, sent or not */
};

struct peer {
    struct id id;
    bool online;
    bool ask; /* it came back: it may have rows that nobody told us */
    uint64_t heard_us;
};

struct nonce_entry {
    uint8_t key[KEY_BYTES + NONCE_BYTES];
    uint64_t seen_us;
};

/* A list request waiting for its rows. */
struct pending_list {
    uint64_t serial; /* 0: free */
    bool paged, trusted;
    size_t client_id_len;
    uint8_t client_id[REPLY_ID_BYTES_MAX];
};

/* Somebody who asked for the whole catalogue, being told page by page. */
struct db_session {
    bool used, reading;
    bool hushed; /* the broker went away while it was read: the asker asks anew */
    struct id asker;
    uint32_t page;   /* sent */
    struct id after; /* last video sent */
};

/* Our own asking for the catalogue; see sync.c. */
struct sync {
    bool done;      /* since the broker is there: answered, or nobody is there */
    bool asking;    /* a request is out */
    struct id from; /* whom; "": whoever is to answer */
    uint32_t page;  /* the page expected next; 0: this answer has a hole */
    unsigned tries;
    uint64_t next_us; /* when to ask, or to ask again */
};

/* The presence of a live that is over, to be withdrawn. */
struct stale_live {
    struct holding holding;
    uint64_t serial; /* tokens name it */
    uint64_t due_us;
    bool under_way;
};

/* Rows of a `db` answer waiting for their turn. */
struct row_backlog {
    struct arena arena; /* owns the rows */
    struct storage_row *rows;
    size_t n, next;
    struct row_backlog *after;
};

enum {
    REPLAYS_MAX = 256,
    LISTS_MAX = 64,
    ROWS_PER_STEP_MAX = 32,
    ROW_BACKLOG_MAX = 64,
    GOP_PACKETS_MAX = 4096,
    UNTRUSTED_TICK_US = 20 * 1000,
    UNTRUSTED_REFILL_US = 1000 * 1000,
    SWEEP_US = 500 * 1000, /* how often idle uploads, lives and views are looked for */
    PUMP_AGAIN_US = 1000,  /* what did not fit into a step goes on after that */
    EFFECTS_KEPT = 8,      /* of a step, for what must be said: answers and log lines give way */
    /* Beyond it nothing is begun that can wait or be sent again: the rest is bounded by its tables,
     * and STORE_OPS_MAX holds. */
    STORES_UNDER_WAY_MAX = STORE_OPS_MAX / 2,
};

struct core {
    struct core_config config;
    struct stale_live *stale;
    size_t stale_n, stale_cap;
    uint64_t now_us, utc_us;
    size_t live_free_bytes, media_free_bytes, control_free_bytes;
    struct effects *fx; /* of the step under way */

    uint64_t random_counter;
    uint64_t last_hlc;
    uint8_t token_secret[KEY_BYTES];
    struct trust_view *view;
    bool view_changed;
    bool stopping, drained;
    bool bus_up[LANES];
    uint64_t bus_up_us;
    uint64_t counters[COUNTERS];

    /* zone */
    bool has_zone, has_credential;
    struct zone_params zone;
    uint8_t params_bytes[ZONE_OBJECT_BYTES_MAX];
    size_t params_len;
    uint8_t credential_bytes[CREDENTIAL_OBJECT_BYTES_MAX];
    size_t credential_len;
    struct credential credential;
    struct hash enrol_request; /* outstanding */
    bool enrol_outstanding, enrol_refusal_said;
    uint64_t enrol_next_us, enrol_delay_us;

    /* presence */
    struct machine_load load;
    uint64_t started_us, heartbeat_next_us;
    struct map peers;
    uint64_t videos;
    struct sync sync;
    size_t peers_to_ask; /* with ask set */

    /* what is sent to who showed no token: refilled every second */
    uint64_t untrusted_us;
    uint64_t untrusted_left_bytes;

    /* answers to unverified input */
    uint64_t answer_second;
    unsigned answers;

    struct map nonces;
    struct nonce_entry *nonce_ring; /* NONCES_MAX; oldest first */
    size_t nonce_head, nonce_n;

    struct map ingests; /* by stream */
    struct map lives;   /* by video id: running lives */
    unsigned uploads, fetches;
    struct ingest *fetching[FETCHES_MAX];
    uint32_t inflight_bytes, fetch_inflight_bytes;
    size_t gop_bytes, replay_bytes;

    struct map views; /* by key */
    struct map views_by_serial;
    uint64_t serial;       /* last one given to a view or ingest */
    size_t view_cursor;    /* round robin */
    uint64_t watch_due_us; /* when a view that is paced may go on */
    size_t views_wanting;
    uint64_t reads_bytes;
    unsigned stores_under_way;

    struct replay replays[REPLAYS_MAX];
    size_t replays_n;

    struct pending_list lists[LISTS_MAX];
    uint64_t sweep_next_us;

    struct db_session sessions[DB_SESSIONS_MAX];
    struct row_backlog *backlog, *backlog_tail;
    size_t backlog_n;
};

/* ---- helpers for the machines (core.c) ---- */

/* core_count: add one. */
static inline void core_count(struct core *core, enum core_counter which)
{
    core->counters[which]++;
}

/* core_copy: s in the step's arena. core_body: n zeroed bytes there. */
struct slice core_copy(struct core *core, struct slice s);
void *core_body(struct core *core, size_t n);

/* core_room: how many effects this step may still add. */
size_t core_room(const struct core *core);

/* core_send: a typed message; a, b are copied. body: the step's arena, or lives as long as the
 * event. */
void core_send(struct core *core, enum lane lane, enum topic_kind topic, struct slice a,
               struct slice b, enum message_kind message, const void *body);
/* core_packet: a part on the media lane; takes a reference of its own. */
void core_packet(struct core *core, enum topic_kind topic, struct slice a, struct slice b,
                 struct msg *packet);
/* core_store: hand an operation over; its completion comes back as EVENT_STORED. */
void core_store(struct core *core, struct storage_op *op);
__attribute__((format(printf, 3, 4))) void core_log(struct core *core, bool warning,
                                                    const char *fmt, ...);

/* core_random: n bytes of the seeded generator. */
void core_random(struct core *core, void *ret, size_t n);
/* core_hlc: the next stamp of this edge's rows. */
uint64_t core_hlc(struct core *core);
/* core_ready: enrolled, in date, not stopping. */
bool core_ready(const struct core *core);

/* An answer to input. verified: not subject to the rate limit. */
struct answer {
    enum topic_kind kind; /* a reply topic */
    struct slice reply_id;
    struct slice video_id, client_id;
    uint32_t chunk_part;
    bool verified;
};
void core_answer_error(struct core *core, const struct answer *to, enum err err, const char *what);

/*
 * core_fresh: ts within the window and (pk, nonce) not seen before; remembers it.
 * ERR_UNAUTHORIZED: it is not. ERR_BUSY: NONCES_MAX requests came in so short a time.
 * ERR_QUOTA: NONCES_PER_KEY_MAX of them with this key.
 */
enum err core_fresh(struct core *core, const struct pubkey *pk, const struct request_auth *auth);

/* core_trust / core_distrust: add or remove a stream of the trust view. */
void core_trust(struct core *core, const struct ingest *in);
void core_distrust(struct core *core, const struct hash *stream);

/* core_token: the reply token for client_id, in the step's arena. */
struct slice core_token(struct core *core, struct slice client_id);
bool core_token_ok(struct core *core, struct slice client_id, struct slice token);

/* core_untrusted_left: whether more may go to who showed no token; _spend: it went. */
bool core_untrusted_left(const struct core *core);
void core_untrusted_spend(struct core *core, uint64_t bytes);

/* core_self: our id as a slice. */
static inline struct slice core_self(const struct core *core)
{
    return id_slice(&core->config.edge_id);
}

/* ---- ingest.c: what uploads, lives and fetches share ---- */
struct ingest *ingest_find(struct core *core, const struct hash *stream);
struct ingest *ingest_by_serial(struct core *core, uint64_t serial);
/* ingest_new: in CLAIMING, in the map; NULL: the table is full. */
struct ingest *ingest_new(struct core *core, enum stream_use use, const struct hash *stream,
                          const struct pubkey *signer, const struct storage_row *row);
void ingest_free(struct core *core, struct ingest *in);
/* ingest_start: CLAIMING → RUNNING at a position. */
void ingest_start(struct core *core, struct ingest *in, const struct storage_position *at);
/*
 * ingest_put: take a verified part if it is the next one, and hand it to storage.
 * ERR_OK; ERR_CONFLICT: before the expected one (duplicate); ERR_NOT_READY: after it (gap);
 * ERR_QUOTA: over the window; ERR_FORMAT: against the rules of the stream; ERR_SIGNATURE: not the
 * chunk that follows.
 */
enum err ingest_put(struct core *core, struct ingest *in, struct part_event *ev);
/* ingest_committed: account for a completion; rolls back to what is committed on failure. */
void ingest_committed(struct core *core, struct ingest *in, const struct storage_done *done);
/* ingest_finish: hand manifest, receipt and custody to storage. */
void ingest_finish(struct core *core, struct ingest *in, const struct manifest *manifest,
                   const struct storage_row *final_row, bool with_receipt);
/* ingest_idle: whether it is to be ended now; ingest_expire: end it. */
bool ingest_idle(const struct core *core, const struct ingest *in);
void ingest_expire(struct core *core, struct ingest *in);
/* storage_row_copy: deep copy into an arena. */
struct storage_row storage_row_copy(struct arena *arena, const struct storage_row *row);
/* holding_sign: a custody or presence row of ours about this ingest's video. */
struct holding_row holding_sign(struct core *core, struct arena *arena, enum object_type type,
                                const struct holding *holding);
/* holding_of: our holding about a video row, stamped now. */
struct holding holding_of(struct core *core, const struct video *video, const struct hash *stream,
                          uint8_t state);
/* announce: db/update about a row of ours. */
void announce(struct core *core, const struct storage_row *row, bool removal);

/* ---- the machines ---- */
void zone_start(struct core *core);
void zone_reply(struct core *core, const struct event *ev);
void zone_error(struct core *core, const struct wire_error *m);
void zone_tick(struct core *core);
uint64_t zone_deadline_us(const struct core *core);

void presence_ping(struct core *core, const struct ping_request *m);
void presence_status(struct core *core, const struct edge_status *m);
void presence_tick(struct core *core);
void presence_offline(struct core *core);
struct peer *presence_peer(struct core *core, struct slice id);

void claim_init(struct core *core, struct event *ev, bool live);
void claim_done(struct core *core, const struct storage_done *done);

void upload_part(struct core *core, struct ingest *in, struct part_event *ev);
void upload_end(struct core *core, struct event *ev);
void upload_ack(struct core *core, struct ingest *in, uint32_t chunk, uint32_t part, bool has_part);
void upload_done(struct core *core, struct ingest *in, const struct storage_done *done);

void live_begin(struct core *core, struct ingest *in);
void live_part(struct core *core, struct ingest *in, struct part_event *ev);
void live_end(struct core *core, struct ingest *in, const char *why);
void live_join(struct core *core, const struct live_join *m);
void live_pump(struct core *core);
void live_release(struct core *core, struct ingest *in);
void live_replays_release(struct core *core);
/* live_withdrawn: storage has the withdrawal of a live's presence; err: it refused, try again. */
void live_withdrawn(struct core *core, struct ingest *in, enum err err);

void watch_request(struct core *core, const struct event *ev);
void watch_video(struct core *core, const struct storage_done *done);
void watch_parts(struct core *core, struct storage_done *done);
void watch_pump(struct core *core);
void watch_tick(struct core *core);
uint64_t watch_deadline_us(const struct core *core);
void watch_release(struct core *core);
/* watch_wake: parts of this video were stored: starved views may go on. */
void watch_wake(struct core *core, const struct id *video_id);
/* watch_fail: a fetch for this video failed for good: tell its starved views. */
void watch_fail(struct core *core, const struct id *video_id, enum err err);

/* fetch_running: whether a copy of this video is on its way. */
bool fetch_running(const struct core *core, const struct id *video_id);
/* fetch_want: bring a copy here unless one is on its way. video: a completion of VIDEO_GET. */
void fetch_want(struct core *core, const struct storage_done *video);
void fetch_begun(struct core *core, const struct storage_done *done);
void fetch_part(struct core *core, struct ingest *in, struct part_event *ev);
void fetch_end(struct core *core, const struct event *ev);
void fetch_error(struct core *core, const struct event *ev);
void fetch_committed(struct core *core, struct ingest *in, const struct storage_done *done);
void fetch_info(struct core *core, const struct event *ev);
void fetch_pump(struct core *core);
void fetch_release(struct core *core, struct ingest *in);
uint64_t fetch_deadline_us(const struct core *core);

void sync_begin(struct core *core);
/* sync_peer_back: a peer came online; sync_peer_gone: it is about to be forgotten. */
void sync_peer_back(struct core *core, struct peer *p);
void sync_peer_gone(struct core *core, struct peer *p);
void sync_tick(struct core *core);
void sync_reply(struct core *core, struct event *ev); /* takes ev's arena */
uint64_t sync_deadline_us(const struct core *core);
void sync_request(struct core *core, const struct db_request *m);
void sync_page(struct core *core, const struct storage_done *done);
void sync_pump(struct core *core);
/* sync_hush: the broker is gone: who asked will ask again. */
void sync_hush(struct core *core);
/* sync_telling: pages wait for room. */
bool sync_telling(const struct core *core);

void stale_add(struct core *core, const struct holding *holding);
void stale_release(struct core *core);
void stale_pump(struct core *core);
void stale_done(struct core *core, const struct storage_done *done);
uint64_t stale_deadline_us(const struct core *core);

uint64_t catalogue_deadline_us(const struct core *core);
void catalogue_pump(struct core *core);
void catalogue_update(struct core *core, const struct event *ev);
void catalogue_merged(struct core *core, const struct storage_done *done);
void catalogue_list(struct core *core, const struct list_request *m);
void catalogue_listed(struct core *core, const struct storage_done *done);
void catalogue_release(struct core *core);

/*
 * Tokens of storage operations: what to do with the completion.
 * The top byte is the purpose, the rest the serial of what it is for.
 */
enum token_purpose {
    TOKEN_INGEST = 1, /* by stream, in the completion or looked up by number */
    TOKEN_VIEW,
    TOKEN_LIST,
    TOKEN_DB_SESSION,
    TOKEN_MERGE,
    TOKEN_WITHDRAW,
    TOKEN_STALE,
    TOKEN_META,
};
#define TOKEN_OF(purpose, number) (((uint64_t)(purpose) << 56) | (uint64_t)(number))
#define TOKEN_PURPOSE(token) ((enum token_purpose)((token) >> 56))
#define TOKEN_NUMBER(token) ((token)&0x00ffffffffffffffull)

#endif
