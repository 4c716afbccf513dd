#ifndef EDGE_CORE_RECORDS_H
#define EDGE_CORE_RECORDS_H
/*
 * What the core's machines keep: one record for each thing that is under way,
 * how many of them there may be, and whose a storage operation is. Part of state.h, which alone
 * includes it.
 */
#include "base/map.h"
#include "edge/core/core.h"
#include "edge/core/thumbnail_job.h"
#include "flow/pull.h"

/* A run of verified live packets: what a joiner is sent. Ring-free: grows, is cleared at keyframes.
 */
struct gop {
    struct msg **packets; /* owned references, as they arrived */
    size_t n, cap;
    size_t bytes;
    bool broken; /* fell out of the cache: joiners wait for the next keyframe */
};

/* That this edge may make a thumbnail; len 0: it may not. */
struct thumbnail_leave {
    size_t len;
    uint8_t bytes[DELEGATION_OBJECT_BYTES_MAX]; /* signed object */
    uint64_t not_after_us;
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
    struct storage_row row;     /* the video row as claimed */
    uint64_t active_us;         /* last verified part */
    uint64_t not_after_us;      /* the streamer's credential: nothing is ingested from then on */
    uint64_t credential_serial; /* likewise; once it is revoked */

    struct thumbnail_leave delegation; /* fetch: of `thumbnail` */
    bool thumbnail_asked;              /* of thumbnail.c; not again */
    struct slice thumbnail;            /* live: the part that we made; fetch: that came along */

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
    bool skipping;     /* until a keyframe that fits */
    uint64_t info_us;  /* metadata last published */
    bool presence_due; /* its presence is to be stamped anew */

    /* fetch */
    bool for_custody; /* a replica; else somebody here watches it, and the copy is a cached one */
    struct pull pull;
    struct slice edges; /* comma-separated holders */
    struct id source;
    size_t sources_tried;
    bool informed; /* the source answered our init */
    uint64_t asked_us;
    uint64_t progress_us; /* a part came, or a source said that it is busy */
    uint64_t retry_us;    /* every source was asked: not again before */
    unsigned rounds;      /* of them, without a part */
    uint8_t token[TOKEN_BYTES];
    size_t token_len;
    struct manifest manifest;
    struct slice kept_receipt, kept_receipt_credential; /* that a source showed */
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
    bool wanting;        /* there is something to send: it is in the ring of core->view_turn */
    struct view *before, *after; /* there */
    bool reading;                /* PARTS_READ under way, from here: */
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

/* Another edge whose credential was seen and whose statuses are signed with it; or one that
 * showed a revoked one. */
struct peer {
    struct id id;
    struct pubkey pk;
    uint64_t serial, not_after_us; /* of the credential that named pk */
    bool online;                   /* as of the last look; presence_here decides */
    bool revoked;                  /* that credential: it counts for nothing; pk is zero */
    uint64_t heard_us;             /* last verified status */
    bool hinted;                   /* somebody said offline since, unsigned */
    uint64_t up_since_us;          /* UTC; as it says, unsigned: see horizon.c */
    uint64_t up_s;                 /* how long it was up then, as it says, unsigned */
    struct node_status status;     /* the last one */
    unsigned differs;              /* statuses in a row whose root was not ours, at our horizon */
    uint64_t repair_us;            /* not to be asked again before */
    unsigned fruitless;            /* repairs in a row that changed nothing: */
    struct catalogue_root asked_ours; /* the two roots when it was asked last */
    uint8_t asked_theirs[ROOT_DIGEST_BYTES];
};

/* What of the others is there, as horizon.c counted it. */
struct others {
    unsigned online;
    unsigned able, knowing;     /* show a root; and know of every deletion since our last contact */
    bool was_here;              /* shows none now, but was here all the time and may come to */
    uint64_t from_us, until_us; /* it is so, if no peer says anything; from_us 0: never counted */
    uint64_t contact_us;        /* core->contact_us and */
    uint64_t changes;           /* core->peers_changes that it is of */
};

/* The zone's list of revoked credentials, and how we stand with its auth_edge. */
struct revoked_list {
    uint8_t *bytes; /* owned: the signed list; NULL: none yet */
    size_t len;
    struct revocations list; /* borrows from bytes */
    uint64_t keep_us;        /* when it is to be kept at the latest */
    uint64_t heard_us;       /* auth_edge: monotonic, and */
    uint64_t heard_utc_us;
    bool away_said, self_said;
    bool ending;           /* lives and uploads are still to be ended */
    bool telling;          /* it is to be published, */
    uint64_t tell_us;      /* then */
    uint64_t tell_next_us; /* not before */
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
    bool bundle; /* in the form of our edges; else in the original's */
    struct id asker;
    uint64_t asking;        /* its number for what it asks */
    uint32_t page;          /* sent */
    uint32_t pages_allowed; /* of which so many, until the asker says more */
    uint64_t not_before_us; /* of the next page */
    uint64_t until_us;      /* that an asker who says nothing more is waited for */
    struct id after;        /* last video sent; bundle: and where in it the last page ended: */
    struct id after_streamer;
    bool inside;
    struct id after_edge;
    enum object_type after_type;
};

/* Our own asking for the catalogue; see sync.c. */
struct sync {
    bool asking;      /* a request is out */
    bool landing;     /* every page came: their rows are being merged */
    bool again;       /* we have a catalogue, but cannot agree with: */
    struct id with;   /* (again) whom alone to ask */
    struct asked out; /* whom, and our number for it */
    uint32_t page;    /* the page expected next; 0: this answer has a hole */
    uint32_t asked;   /* the page that was expected when we last asked */
    uint32_t round;   /* of choosing whom: another one each time */
    unsigned tries;
    uint64_t next_us;  /* when to ask, or to ask again */
    uint64_t begun_us; /* since when nobody can be asked; 0: not so */
    uint64_t failures; /* merges that failed, when it began */
};

enum slot_stage {
    SLOT_BEGIN,    /* ours: the root's digests are read, to be sent */
    SLOT_COMPARE,  /* digests came: ours of the same nodes are read */
    SLOT_CHILDREN, /* ours of what is below and differs are read, to be sent */
    SLOT_ENTRIES,  /* the entries of leaves that differ are read, to be sent */
    SLOT_LEAVES,   /* entries came: ours of the same leaves are read */
    SLOT_ROWS,     /* rows are read, to be sent */
};

/* An answer of db/sync that storage is working on, or that waits for its turn; or a round of ours
 * that begins. */
struct sync_slot {
    bool used, reading;
    bool hushed;     /* the broker went away while it was read */
    uint64_t serial; /* tokens name it */
    struct id peer;
    enum slot_stage stage;
    struct arena arena; /* owns what is below */
    struct sync_message message;
    unsigned sent;             /* messages of this answer */
    size_t next, n;            /* of nodes, leaves or rows: the first one not read, how many */
    struct digest_node *nodes; /* CHILDREN */
    uint16_t *leaves;          /* ENTRIES */
    struct row_digest *from;   /* ENTRIES: above these */
    struct sync_want *rows;    /* ROWS */
    size_t then_n;             /* ENTRIES: rows that are sent after it */
};

/* A row of ours to be announced. */
struct gossip_row {
    struct gossip_row *after;
    struct arena arena;
    struct storage_row row;
    bool removal;
    size_t bytes; /* about what it weighs as JSON */
};

/* A video that custody is to look at. */
struct custody_due {
    struct id video_id;
    uint64_t at_us;
};

/* A copy that we may give up: waiting for those who keep theirs to prove it. */
struct custody_drop {
    bool used;
    bool giving_up;  /* all have proved it: our row is on its way to storage */
    uint64_t serial; /* tokens name it */
    struct id video_id, streamer_id;
    struct hash stream;
    struct nonce nonce;
    uint64_t until_us;
    size_t parts_n;
    struct probe_part parts[PROBE_PARTS_MAX];
    struct hash hashes[PROBE_PARTS_MAX];
    size_t keepers_n;
    struct id keepers[REPLICAS_MAX];
    bool proved[REPLICAS_MAX];
};

/* A custody row of ours on its way to storage, announced when it is there. */
struct custody_put {
    uint64_t serial; /* tokens name it; 0: free */
    struct arena arena;
    struct storage_row row;
};

/* A probe that storage is answering. */
struct probe_answer {
    uint64_t serial; /* tokens name it; 0: free */
    struct id asker, video_id;
    struct hash stream;
    struct nonce nonce;
    size_t parts_n;
};

/* A deletion on its way to storage, and who waits for it. */
struct pending_delete {
    uint64_t serial; /* tokens name it; 0: free */
    struct arena arena;
    struct storage_row row;
    struct slice reply_id;
};

/* For whom we have proved a copy lately: we do not give it up meanwhile. */
struct vouched {
    struct id video_id;
    uint64_t until_us;
};

/* The presence of a live that is over, to be withdrawn. */
struct stale_live {
    struct holding holding;
    uint64_t serial; /* tokens name it */
    uint64_t due_us;
    bool under_way;
};

/* A thumbnail to be made. */
struct thumbnail_wish {
    bool live;
    struct id video_id, streamer_id;
    struct hash stream;
    struct thumbnail_leave delegation;
};

/* The one that is being made; see thumbnail.c. */
struct thumbnail_making {
    enum thumbnail_state {
        THUMBNAIL_IDLE,
        THUMBNAIL_READING,
        THUMBNAIL_CHILD,
        THUMBNAIL_STORING
    } state;
    uint64_t serial; /* tokens and the job name it */
    struct thumbnail_wish wish;
    bool reading;              /* PARTS_READ under way */
    uint64_t again_us;         /* not to be read on before */
    uint32_t first;            /* number of the init chunk */
    uint32_t chunk, part;      /* what is taken next */
    unsigned passed;           /* fragments without a keyframe */
    struct thumbnail_job *job; /* READING: owned, being filled */
};

enum {
    THUMBNAIL_LATES_MAX = 32,
    THUMBNAIL_LATE_ASKS = 3,       /* how often the source of one is asked */
    THUMBNAIL_LATE_CHECKS_MAX = 4, /* pictures verified as the answer to one asking */
};

/* A copy that came without a thumbnail, of which its source may have one by now. */
struct thumbnail_late {
    struct id video_id, source; /* source "": none */
    struct id streamer_id;
    struct hash stream;
    struct pubkey signer;
    uint64_t number;  /* older ones have smaller ones */
    uint64_t next_us; /* when it is asked, or given up */
    unsigned asked;
    unsigned checks; /* pictures that are still verified as its answer; 0: none is awaited */
};

struct thumbnail_lates {
    struct thumbnail_late slots[THUMBNAIL_LATES_MAX];
    uint64_t number;   /* of the newest */
    uint64_t first_us; /* when the first of them is due, or sooner */
};

/* Rows of a message waiting for their turn. */
struct row_backlog {
    struct arena arena; /* owns the rows */
    struct storage_row *rows;
    size_t n, next;
    bool asked; /* an answer to our asking for the whole catalogue */
    struct row_backlog *after;
};

enum {
    REPLAYS_MAX = 256,
    LISTS_MAX = 64,
    CUSTODY_DROPS_MAX = 4,
    CUSTODY_PUTS_MAX = 8,
    CUSTODY_LOOKS_MAX = 8, /* videos being read for custody at once */
    PROBE_ANSWERS_MAX = 8,
    PROBES_PER_S_MAX = 32,
    TOUCHES_MAX = 64, /* copies marked as used in a minute */
    DELETES_MAX = 64,
    VOUCHED_LIST_MAX = 256,
    ROWS_PER_STEP_MAX = 32,
    ROW_BACKLOG_MAX = 64,        /* messages with rows, and */
    ROW_BACKLOG_ROWS_MAX = 4096, /* rows, that wait to be merged */
    GOP_PACKETS_MAX = 4096,
    UNTRUSTED_TICK_US = 20 * 1000,
    THUMBNAIL_WISHES_MAX = 16,
    THUMBNAIL_WISHES_PER_STREAMER_MAX = THUMBNAIL_WISHES_MAX / 2,
    THUMBNAIL_PASSED_MAX = 16, /* fragments looked at for a keyframe */
    THUMBNAIL_AGAIN_US = 100 * 1000,
    LIVE_THUMBNAILS_MAX = 256, /* kept in memory while their lives run: 2.2 MB */
    UNTRUSTED_REFILL_US = 1000 * 1000,
    SWEEP_US = 500 * 1000, /* how often idle uploads, lives and views are looked for */
    PUMP_AGAIN_US = 1000,  /* what did not fit into a step goes on after that */
    EFFECTS_KEPT = 8,      /* of a step, for what must be said: answers and log lines give way */
    /* Beyond it nothing is begun that can wait or be sent again: the rest is bounded by its tables,
     * and STORE_OPS_MAX holds. */
    STORES_UNDER_WAY_MAX = STORE_OPS_MAX / 2,
};

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
    TOKEN_REPAIR, /* a sync slot */
    TOKEN_HORIZON,
    TOKEN_CUSTODY, /* scan, look (VIDEO_GET), put, trim, touch */
    TOKEN_PROBE,   /* a drop's own hashes; or the answer to somebody's probe: see custody.c */
    TOKEN_DELETE,
    TOKEN_THUMBNAIL,
};
#define TOKEN_OF(purpose, number) (((uint64_t)(purpose) << 56) | (uint64_t)(number))
#define TOKEN_PURPOSE(token) ((enum token_purpose)((token) >> 56))
#define TOKEN_NUMBER(token) ((token)&0x00ffffffffffffffull)

#endif
