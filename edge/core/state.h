#ifndef EDGE_CORE_STATE_H
#define EDGE_CORE_STATE_H
/*
 * The core's state, shared by its machines and by nobody else.
 *
 * Rooms: zone.c (credential), login.c (at the broker), presence.c (ping, peers), claim.c (init of
 * uploads and lives), upload.c, live.c, watch.c, fetch.c, delete.c, catalogue.c (rows from others,
 * lists), gossip.c (our rows to others), sync.c (all of the catalogue), repair.c (what differs),
 * horizon.c (what is forgotten), custody.c and surplus.c (copies), stale.c, revocation.c (who is
 * revoked), thumbnail.c and thumbnail_late.c; core.c runs them, stored.c hands completions to them.
 * Machines call the helpers below, never each other's statics.
 */
#include "base/map.h"
#include "edge/core/core.h"
#include "edge/core/records.h"

struct core {
    struct core_config config;
    struct stale_live *stale;
    size_t stale_n, stale_cap;
    size_t presences_due;  /* running lives with presence_due set; one that ended may be counted */
    uint64_t presences_us; /* not before */
    uint64_t now_us, utc_us;
    size_t live_free_bytes, media_free_bytes, control_free_bytes;
    struct effects *fx; /* of the step under way */

    uint64_t random_counter;
    uint64_t last_hlc;
    uint64_t stamped_us; /* of our last message to another edge */
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
    uint64_t enrol_asked_us; /* last */
    struct edge_login login; /* login.c */
    bool enrol_wanted;       /* whatever the credential's life: the zone has a newer key */

    struct revoked_list revoked; /* revocation.c */

    /* presence */
    struct machine_load load;
    uint64_t started_us, heartbeat_next_us;
    struct map peers;
    uint64_t peers_changes; /* one more whenever a row of theirs is another */
    uint64_t videos;
    struct sync sync;
    uint64_t sync_again_us; /* when we may ask for all again for want of agreement */

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
    uint64_t serial;        /* last one given to a view or ingest */
    struct view *view_turn; /* ring of the views that want something: whose turn it is; or NULL */
    uint64_t watch_due_us;  /* when a view that is paced may go on */
    size_t views_wanting;
    uint64_t reads_bytes;
    unsigned stores_under_way;

    struct replay replays[REPLAYS_MAX];
    size_t replays_n;

    struct pending_list lists[LISTS_MAX];
    uint64_t sweep_next_us;

    struct db_session sessions[DB_SESSIONS_MAX];
    struct row_backlog *backlog, *backlog_tail;
    size_t backlog_n, backlog_rows;
    unsigned merges_under_way;
    uint64_t merges_failed;

    /* gossip.c: at most GOSSIP_ROWS_MAX, oldest first */
    struct gossip_row *gossip, *gossip_tail;
    size_t gossip_n, gossip_bytes;
    unsigned gossip_singles; /* said alone in this turn, which ends: */
    uint64_t gossip_turn_us;

    /* repair.c */
    struct catalogue_root root; /* as storage last said */
    struct sync_slot slots[SYNC_SLOTS_MAX];
    uint64_t repair_next_us; /* no round before */
    struct id repair_peer;   /* "" or: who is asked then; or who was asked last: */
    bool repair_due;         /* it is to be asked */

    /* horizon.c */
    uint64_t since_us; /* UTC: our catalogue knows of every deletion since; 0: it was never whole */
    uint64_t contact_us; /* UTC: when we last agreed with another edge; kept hourly in storage */
    uint64_t contact_kept_us;
    uint64_t fresh_us;                      /* UTC: we were away too long, and have dealt with it */
    uint64_t horizon_us, horizon_target_us; /* the last one that all of was dealt with; the next */
    uint64_t horizon_next_us;               /* not before: storage refused */
    uint64_t horizon_leap_us; /* when a leap is believed though nobody shows it; 0: none */
    bool horizon_under_way;
    enum rejoin { /* away too long; see horizon.c */
                  REJOIN_NONE,
                  REJOIN_WAIT,
                  REJOIN_FORGET,
                  REJOIN_ASK,
                  REJOIN_AGREE,
                  REJOIN_ORPHANS
    } rejoin;
    uint64_t rejoin_us;   /* since when it waits */
    struct others others; /* as last counted */

    /* presence.c */
    uint64_t beats;          /* statuses since the broker is there */
    bool show_credential;    /* with the next status: a peer appeared */
    uint64_t status_time_us; /* of our last status */
    uint64_t beat_us;        /* when it was sent */

    /* custody.c: what is due, CUSTODY_DUE_MAX; the sweep; who gives up; for whom we vouched */
    struct custody_due *custody_due;
    size_t custody_due_n;
    uint64_t custody_due_us; /* the first of them */
    struct id custody_after; /* the sweep is here */
    bool custody_sweeping, custody_scanning;
    bool custody_swept;             /* one sweep is complete since the catalogue is whole */
    uint64_t custody_sweep_us;      /* when the next one begins */
    uint64_t custody_full_us;       /* no copies are made before: the disk was full */
    uint64_t custody_peers;         /* a sum over who counts: when it changes, sweep */
    uint64_t custody_check_us;      /* when that is looked at again */
    unsigned custody_looks;         /* VIDEO_GETs under way */
    uint64_t replication_us;        /* token bucket: */
    int64_t replication_left_bytes; /* below zero: what came beyond it, to be waited for */
    unsigned replications;
    struct custody_drop drops[CUSTODY_DROPS_MAX];
    uint64_t drop_next_us; /* no further one begins before */
    struct custody_put puts[CUSTODY_PUTS_MAX];
    struct probe_answer probe_answers[PROBE_ANSWERS_MAX];
    uint64_t probe_second;
    unsigned probes;
    struct vouched *vouched; /* VOUCHED_LIST_MAX */
    size_t vouched_n;
    bool cache_trimming;
    uint64_t cache_trim_us;              /* when cached copies are trimmed next */
    struct vouched touched[TOUCHES_MAX]; /* marked as used, and until when not again */
    size_t touched_next;

    /* delete.c */
    struct pending_delete deletes[DELETES_MAX];

    /* thumbnail.c */
    struct thumbnail_wish thumbnail_wishes[THUMBNAIL_WISHES_MAX]; /* oldest first */
    size_t thumbnail_wishes_n;
    struct thumbnail_making thumbnail;
    size_t live_thumbnails;
    bool thumbnailer_missing_said;
    struct thumbnail_lates lates; /* thumbnail_late.c */
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
/* core_stamp: what a message is signed with; NULL: it is none between edges. The step's arena. */
const struct peer_stamp *core_stamp(struct core *core, const struct effect *e);
/* core_packet: a part on the media lane; takes a reference of its own. */
void core_packet(struct core *core, enum topic_kind topic, struct slice a, struct slice b,
                 struct msg *packet);
/* core_thumbnail: have a picture made; the job, which becomes the effect's, comes back as
 * EVENT_THUMBNAIL. */
void core_thumbnail(struct core *core, struct thumbnail_job *job);
/* core_store: hand an operation over; its completion comes back as EVENT_STORED. */
void core_store(struct core *core, struct storage_op *op);
/* core_keep: as core_store: keep a value by name (copied), for the next start. */
void core_keep(struct core *core, const char *key, struct slice value);
/* core_stored: EVENT_STORED: a completion, to the machine that waits for it. */
void core_stored(struct core *core, struct storage_done *done);
__attribute__((format(printf, 3, 4))) void core_log(struct core *core, bool warning,
                                                    const char *fmt, ...);

/* core_random: n bytes of the seeded generator. */
void core_random(struct core *core, void *ret, size_t n);
/* core_hlc: the next stamp of this edge's rows. */
uint64_t core_hlc(struct core *core);
/* core_ready: enrolled, in date, not revoked, not stopping. */
bool core_ready(const struct core *core);

/* core_revoked: whether a credential is, by the list in force. O(log n). */
bool core_revoked(const struct core *core, uint64_t serial);

/* An answer to input. verified: not subject to the rate limit. */
struct answer {
    enum topic_kind kind; /* a reply topic */
    struct slice reply_id;
    struct slice video_id, client_id;
    uint32_t chunk_part;
    bool verified;
};
void core_answer_error(struct core *core, const struct answer *to, enum err err, const char *what);

/* core_entitled: whether a credential that the zone signed is this streamer's, in date and not
 * revoked (counted); else *ret_why. */
bool core_entitled(struct core *core, const struct credential *c, const struct id *streamer_id,
                   const char **ret_why);
extern const char core_revoked_why[];

/*
 * core_fresh: ts within the window and (pk, nonce) not seen before; remembers it.
 * ERR_UNAUTHORIZED: it is not (counted). ERR_BUSY: NONCES_MAX requests came in so short a time.
 * ERR_QUOTA: NONCES_PER_KEY_MAX of them with this key. On each *ret_why is the sentence.
 */
enum err core_fresh(struct core *core, const struct pubkey *pk, const struct request_auth *auth,
                    const char **ret_why);

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
/* own_hlc: a row of ours came back with this stamp: core_hlc goes on above it, if it is not more
 * than HLC_AHEAD_MAX_US ahead. */
void core_own_hlc(struct core *core, uint64_t hlc);
/* core_stamp_ahead: whether a stamp is of a time that no clock but a wrong one shows: until then
 * nobody takes it, and a new one counts for nothing beside it. */
bool core_stamp_ahead(const struct core *core, uint64_t hlc);

/* ---- the machines ---- */
void zone_start(struct core *core);
void zone_reply(struct core *core, const struct event *ev);
void zone_error(struct core *core, const struct wire_error *m);
void zone_tick(struct core *core);
uint64_t zone_deadline_us(const struct core *core);
/* zone_newer: somebody names a later key of the zone: ask for it soon. */
void zone_newer(struct core *core);

/* login_start: with broker_accounts: who to connect as. login_received: what came with a
 * credential; empty: nothing did. login_denied: EVENT_BUS_DENIED. */
void login_start(struct core *core);
void login_received(struct core *core, struct slice sealed);
void login_denied(struct core *core);
/* core_login_changed: EFFECT_LOGIN. */
void core_login_changed(struct core *core);

/* revocation_start: what was kept. */
void revocation_start(struct core *core);
void revocation_list(struct core *core, const struct event *ev); /* EVENT_REVOCATIONS */
/* revocation_stops: an upload or live that nothing more may come for: its streamer or this edge is
 * revoked. If it is RUNNING it ends, and in is gone. */
bool revocation_stops(struct core *core, struct ingest *in);
/* revocation_hint: a peer has the list of this number; nobody signed that. */
void revocation_hint(struct core *core, uint64_t number);
/* revocation_heard: auth_edge has answered. _contact: how we stand with it. */
void revocation_heard(struct core *core);
struct zone_contact revocation_contact(const struct core *core);
/* revocation_kept: storage has what was to be kept by name, or refused it. */
void revocation_kept(struct core *core, const struct storage_done *done);
void revocation_tick(struct core *core);
uint64_t revocation_deadline_us(const struct core *core);
void revocation_release(struct core *core);

void presence_ping(struct core *core, const struct ping_request *m);
void presence_status(struct core *core, const struct verified_status *m);
void presence_tick(struct core *core);
void presence_offline(struct core *core);
uint64_t presence_deadline_us(const struct core *core);
/* presence_agreeing: how many edges that are online, we among them, show this root at our horizon.
 */
size_t presence_agreeing(struct core *core, const uint8_t root[static ROOT_DIGEST_BYTES]);
/* presence_peer: NULL: never heard of, or forgotten. Its `online` is brought up to date. */
struct peer *presence_peer(struct core *core, struct slice id);
/* presence_revoked: a new list: peers whose credential it names are gone. */
void presence_revoked(struct core *core);
/* presence_here: whether a peer is there now; _until_us: up to when, if it says nothing more.
 * presence_online: by its id; our own: true. */
bool presence_here(const struct core *core, const struct peer *p);
uint64_t presence_until_us(const struct peer *p);
bool presence_online(struct core *core, struct slice id);
/* presence_counted: online, or away for less than replica_grace_us; whom we never heard of counts
 * until we have been up for so long ourselves. */
bool presence_counted(struct core *core, struct slice id);

void claim_init(struct core *core, struct event *ev, bool live);
void claim_done(struct core *core, const struct storage_done *done);

void upload_part(struct core *core, struct ingest *in, struct part_event *ev);
void upload_end(struct core *core, struct event *ev);
void upload_ack(struct core *core, struct ingest *in, uint32_t chunk, uint32_t part, bool has_part);
/* upload_granted: the answer to an init: where to go on, and who we are. */
void upload_granted(struct core *core, struct ingest *in);
void upload_done(struct core *core, struct ingest *in, const struct storage_done *done);

void live_begin(struct core *core, struct ingest *in);
void live_part(struct core *core, struct ingest *in, struct part_event *ev);
void live_end(struct core *core, struct ingest *in, const char *why);
/* live_cut: as live_end, but its presence needs no withdrawal: another row has taken its place. */
void live_cut(struct core *core, struct ingest *in, const char *why);
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
/* watch_keeps: the ids of videos that are watched or fetched here, each once, in the arena. */
size_t watch_keeps(const struct core *core, struct arena *arena, const struct id **ret);
/* watch_fail: a fetch for this video failed for good: tell its starved views. */
void watch_fail(struct core *core, const struct id *video_id, enum err err);
/* watch_viewers: whether anybody watches it here, or fetches it from here. */
bool watch_viewers(const struct core *core, const struct id *video_id);

/* fetch_running: whether a copy of this video is on its way. */
bool fetch_running(const struct core *core, const struct id *video_id);
/* fetch_receipt: what a source showed of a stream that is on its way, in the step's arena; else
 * untouched. */
void fetch_receipt(struct core *core, const struct hash *stream, struct slice *ret_receipt,
                   struct slice *ret_credential);
/* fetch_want: bring a copy here unless one is on its way. video: a completion of VIDEO_GET.
 * for_custody: a replica; one that is on its way for a viewer becomes one. */
void fetch_want(struct core *core, const struct storage_done *video, bool for_custody);
void fetch_begun(struct core *core, const struct storage_done *done);
void fetch_part(struct core *core, struct ingest *in, struct part_event *ev);
void fetch_end(struct core *core, const struct event *ev);
void fetch_error(struct core *core, const struct event *ev);
void fetch_committed(struct core *core, struct ingest *in, const struct storage_done *done);
void fetch_info(struct core *core, const struct event *ev);
void fetch_pump(struct core *core);
/* fetch_row: what the catalogue holds about a video, from a completion of VIDEO_GET, which ret_row
 * borrows from. It was verified when it was merged; ERR_SIGNATURE: not under this zone's key. */
enum err fetch_row(struct core *core, const struct storage_done *done, struct storage_row *ret_row,
                   struct credential *ret_streamer, struct manifest *ret_manifest);
void fetch_release(struct core *core, struct ingest *in);
/* fetch_revoked: what is fetched from edges that are revoked is asked of others. */
void fetch_revoked(struct core *core);
/* fetch_fail: it is over without a copy: who waits for it is told. */
void fetch_fail(struct core *core, struct ingest *in, enum err err);
uint64_t fetch_deadline_us(const struct core *core);

/* sync_begin: the broker is there, or the catalogue is to be asked for. */
void sync_begin(struct core *core);
/* sync_ask: the whole catalogue of one peer, with whom nothing else brings agreement. */
void sync_ask(struct core *core, const struct peer *p);
/* sync_wanted: the whole catalogue is to be asked for, or being asked for. */
bool sync_wanted(const struct core *core);
void sync_tick(struct core *core);
void sync_reply(struct core *core, struct event *ev); /* takes ev's arena */
uint64_t sync_deadline_us(const struct core *core);
void sync_request(struct core *core, const struct db_request *m);
void sync_page(struct core *core, const struct storage_done *done);
void sync_pump(struct core *core);
/* sync_show: the trust view says what we are asking, if anything. */
void sync_show(struct core *core);
/* sync_hush: the broker is gone: who asked will ask again. */
void sync_hush(struct core *core);
/* sync_telling: pages wait for room. */
bool sync_telling(const struct core *core);

void stale_add(struct core *core, const struct holding *holding);
void stale_release(struct core *core);
void stale_pump(struct core *core);
void stale_done(struct core *core, const struct storage_done *done);
uint64_t stale_deadline_us(const struct core *core);

/* stale_again: a running live's presence is stamped and announced anew. */
void stale_again(struct core *core, struct ingest *in);
/* stale_told: holdings that are told to another edge: those of ours among them that are stamped
 * ahead, which nobody takes, are stamped anew. */
void stale_told(struct core *core, const struct holding_row *rows, size_t n);
/* stale_clock: our clock was ahead: so are the presences of what runs. */
void stale_clock(struct core *core);

uint64_t catalogue_deadline_us(const struct core *core);
/* catalogue_keep: rows[0..n) for catalogue_pump, with ev's arena, which owns them. asked: we asked
 * for the whole catalogue, and this is the answer. False: there is no room. */
bool catalogue_keep(struct core *core, struct event *ev, struct storage_row *rows, size_t n,
                    bool asked);
void catalogue_pump(struct core *core);
void catalogue_update(struct core *core, const struct event *ev);
void catalogue_rows(struct core *core, struct event *ev); /* EVENT_DB_ROWS; takes ev's arena */
void catalogue_merged(struct core *core, const struct storage_done *done);
void catalogue_list(struct core *core, const struct list_request *m);
void catalogue_listed(struct core *core, const struct storage_done *done);
void catalogue_release(struct core *core);

/* gossip_add: announce a row of ours (with what is signed about its video, or a deletion). removal:
 * a withdrawal. Copied. gossip_pump: say what is due. */
void gossip_add(struct core *core, const struct storage_row *row, bool removal);
void gossip_pump(struct core *core);
uint64_t gossip_deadline_us(const struct core *core);
void gossip_release(struct core *core);

/* repair_status: a peer's status came: its root may not be ours. */
void repair_status(struct core *core, struct peer *p);
void repair_message(struct core *core, struct event *ev);       /* EVENT_DB_SYNC but PROBE, PROOF */
void repair_read(struct core *core, struct storage_done *done); /* DIGESTS, LEAVES, ROWS_GET */
void repair_tick(struct core *core);
/* repair_hush: the broker is gone. */
void repair_hush(struct core *core);
uint64_t repair_deadline_us(const struct core *core);
void repair_release(struct core *core);

void horizon_tick(struct core *core);
void horizon_done(struct core *core, const struct storage_done *done); /* and BOOTSTRAP, ORPHANS */
uint64_t horizon_deadline_us(const struct core *core);
/* horizon_settled: our catalogue is whole: asked for, and not being fetched afresh. Until then
 * custody gives up no copy and evicts none. horizon_comparable: it may be compared with others'
 * and told. */
bool horizon_settled(const struct core *core);
bool horizon_comparable(const struct core *core);
/* horizon_contact: our root is the peer's now. */
void horizon_contact(struct core *core, const struct peer *p);
/* horizon_authority: whether what this peer does not know may be forgotten: it is online and knows
 * of every deletion since we last agreed with anybody. */
bool horizon_authority(const struct core *core, const struct peer *p);
/* horizon_count: O(peers). horizon_counted: whether core->others still says what it would. */
struct others horizon_count(const struct core *core);
bool horizon_counted(const struct core *core);
/* horizon_joined: the first catalogue is there, or nobody has one. horizon_asked: a rejoin's is. */
void horizon_joined(struct core *core);
void horizon_asked(struct core *core);

/* custody_look: the row of this video may want a copy here, or one fewer; soon. */
void custody_look(struct core *core, const struct id *video_id);
/* custody_look_at: not before at_us. */
void custody_look_at(struct core *core, const struct id *video_id, uint64_t at_us);
void custody_scanned(struct core *core, const struct storage_done *done); /* CUSTODY_SCAN */
void custody_video(struct core *core, const struct storage_done *done);   /* VIDEO_GET of ours */
/* custody_fetched: a fetch is over: whether it brought a copy. */
void custody_fetched(struct core *core, const struct id *video_id, bool for_custody, enum err err);
/* custody_touch: somebody begins to watch a copy that is not in custody. */
void custody_touch(struct core *core, const struct id *video_id);
/* custody_deleted: what is under way about this video is in vain. */
void custody_deleted(struct core *core, const struct id *video_id, const struct id *streamer_id);
void custody_put(struct core *core, const struct storage_done *done);    /* CUSTODY_PUT */
void custody_probed(struct core *core, const struct storage_done *done); /* PROBE */
void custody_message(struct core *core, const struct event *ev);         /* PROBE, PROOF */
/* custody_correct: a row of ours in the catalogue says what is not so. */
void custody_correct(struct core *core, const struct id *video_id);
void custody_trimmed(struct core *core, const struct storage_done *done);
/* custody_sweep_by: look at everything at this time at the latest. */
void custody_sweep_by(struct core *core, uint64_t at_us);
/* custody_say: our row about our copy of a video row: to storage, then announced. Its serial; 0:
 * there is no room now. */
uint64_t custody_say(struct core *core, const struct storage_row *video, uint8_t state);
void custody_tick(struct core *core);
uint64_t custody_deadline_us(const struct core *core);
void custody_release(struct core *core);
/* custody_may_fetch: whether replicas may be pulled on now (rate, live traffic); _spend: so much
 * came. */
bool custody_may_fetch(const struct core *core);
void custody_spend(struct core *core, uint32_t bytes);

/* surplus_begin: ask the keepers to prove their copies, and then give ours up; false: there is no
 * room now. */
bool surplus_begin(struct core *core, const struct storage_row *row, const struct id *keepers,
                   size_t keepers_n);
bool surplus_free(const struct core *core); /* whether there is room */
void surplus_put(struct core *core,
                 uint64_t serial); /* a row of custody_say is in storage, or not */
/* surplus_forget: the video is deleted. streamer_id NULL: whoever's. */
void surplus_forget(struct core *core, const struct id *video_id, const struct id *streamer_id);
void surplus_tick(struct core *core);
uint64_t surplus_deadline_us(const struct core *core);

void delete_request(struct core *core, const struct event *ev);
void delete_done(struct core *core, const struct storage_done *done);
/* delete_ended: a deletion was merged: what runs here under it ends, unless it is newer. */
void delete_ended(struct core *core, const struct id *video_id, const struct id *streamer_id,
                  uint64_t revision_us);
void delete_release(struct core *core);

/* thumbnail_delegated: the streamer of an upload or live says that we may make one. bytes: the
 * signed delegation, or empty; d: decoded, its signature holds; NULL: it does not. */
void thumbnail_delegated(struct core *core, struct ingest *in, struct slice bytes,
                         const struct delegation *d);
void thumbnail_delegation(struct core *core, const struct event *ev); /* of a live */
/* thumbnail_finished: an upload is whole; thumbnail_live_part: a part of a live was kept;
 * thumbnail_fetched: a copy is whole. */
void thumbnail_finished(struct core *core, struct ingest *in);
void thumbnail_live_part(struct core *core, struct ingest *in, const struct chunk *c,
                         uint16_t index);
void thumbnail_fetched(struct core *core, const struct ingest *in);
/* thumbnail_offered: the source of a copy shows one. */
void thumbnail_offered(struct core *core, struct ingest *in, const struct event *ev);
void thumbnail_parts(struct core *core, const struct storage_done *done);  /* PARTS_READ */
void thumbnail_stored(struct core *core, const struct storage_done *done); /* THUMBNAIL_PUT */
void thumbnail_made(struct core *core, const struct thumbnail_job *job);
/* thumbnail_list: lives of ours among the rows of a list show theirs. paged: what finds no room
 * comes on the next page; else older rows give up those that an edge made. */
void thumbnail_list(struct core *core, bool paged, const struct storage_done *done);
void thumbnail_pump(struct core *core);
uint64_t thumbnail_deadline_us(const struct core *core);
void thumbnail_release(struct core *core, const struct ingest *in);
void thumbnail_free(struct core *core);
void thumbnail_keep(struct core *core, uint64_t serial, const struct id *video_id,
                    const struct hash *stream, struct slice delegation, struct slice packet);
/* thumbnail_late: a whole copy's source had none. _info: an answer to no fetch. */
void thumbnail_late(struct core *core, const struct ingest *in);
void thumbnail_late_info(struct core *core, const struct event *ev);
void thumbnail_late_pump(struct core *core);
uint64_t thumbnail_late_deadline_us(const struct core *core);

/* core_edge_trust / core_edge_distrust: an edge's key in the trust view. */
void core_edge_trust(struct core *core, const struct id *edge_id, const struct pubkey *pk);
void core_edge_distrust(struct core *core, const struct id *edge_id);
/* core_trust_asked: which pages are looked at. */
void core_trust_asked(struct core *core, const struct asked *asked);

#endif
