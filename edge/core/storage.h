#ifndef EDGE_CORE_STORAGE_H
#define EDGE_CORE_STORAGE_H
/*
 * What the core asks of storage, and what storage answers: typed operations
 * and completions, data only. edge/store implements them on SQLite.
 *
 * Every operation is answered by exactly one completion with its token.
 * Writes are applied in the order in which they were submitted, each as a
 * savepoint, and answered only after the commit (synchronous=FULL) that holds
 * them. Reads may overtake writes, and see only what was committed.
 *
 * Ownership: an operation and all it points to (its arena, its message
 * references) belong to storage once submitted; a completion and all it points
 * to belong to whoever takes it. storage_op_free / storage_done_free release both.
 */
#include "base/arena.h"
#include "base/err.h"
#include "base/id.h"
#include "base/msg.h"
#include "edge/core/digest.h"
#include "trust/part.h"
#include "wire/sync.h"

enum {
    STORE_READ_BYTES_MAX = 256 * 1024, /* parts in one PARTS_READ */
    STORE_READ_PARTS_MAX = 64,
    STORE_GROUP_BYTES_MAX = 4 * 1024 * 1024, /* of parts in one transaction */
    STORE_OPS_MAX = 8192,                    /* submitted and not yet taken back */
    STORE_SLICE_ROWS_MAX = 64,               /* rows removed by one HORIZON, BOOTSTRAP or ORPHANS */
    RESTAMP_AHEAD_US = 5 * 60 * 1000 * 1000, /* later than any honest clock stamps */
    STORE_SCAN_MAX = 128,                    /* videos of one CUSTODY_SCAN */
    STORE_TRIM_KEEP_MAX = 4096,              /* videos that a CACHE_TRIM must not touch */
};

enum storage_kind {
    /* writes */
    STORAGE_CLAIM,      /* begin or resume an upload or live of a streamer at this edge */
    STORAGE_COPY_BEGIN, /* begin or resume fetching a copy of a video of the catalogue */
    STORAGE_PART_PUT,
    STORAGE_FINISH,      /* check the manifest against what is held; make it a video */
    STORAGE_ROW_MERGE,   /* a verified catalogue row from another edge, or our own */
    STORAGE_META_PUT,    /* a small named value of this node */
    STORAGE_DELETE,      /* a verified deletion from its streamer or the zone; see ROW_MERGE too */
    STORAGE_CUSTODY_PUT, /* our own custody row, only if it is true */
    STORAGE_COPY_TOUCH,  /* somebody watches a copy: it was used now */
    STORAGE_CACHE_TRIM,  /* drop the least recently used copies that are not in custody */
    STORAGE_HORIZON,     /* forget what is dead, in slices */
    STORAGE_BOOTSTRAP,   /* forget the catalogue but deletions and what was uploaded here since */
    STORAGE_ORPHANS,     /* drop copies that no claim names any more, in slices */
    STORAGE_THUMBNAIL_PUT, /* a thumbnail that an edge made, with the copy that it is of */
    STORAGE_DIGESTS,       /* of nodes of the tree of sums, as of the last commit */
    /* reads */
    STORAGE_VIDEO_GET,
    STORAGE_PARTS_READ,
    STORAGE_LIST,
    STORAGE_DB_PAGE,
    STORAGE_BUNDLE_PAGE,  /* the catalogue in order, as edges exchange it */
    STORAGE_LEAVES,       /* the entries of leaves */
    STORAGE_ROWS_GET,     /* rows by leaf and digest */
    STORAGE_CUSTODY_SCAN, /* who holds what, video by video: of what is listed, and of what is
                             whole here though nobody says so */
    STORAGE_PROBE,        /* H(nonce ‖ packet) of parts */
};

/*
 * A catalogue row, decoded and verified. Strings are the operation's arena's.
 * has_video: the video row (statement and credential filled). has_deletion: its
 * deletion, which is of the same kind: statement is the signed deletion, credential
 * the streamer's or empty (the zone signed it), video.video_id, video.streamer_id and
 * video.revision_us are the deletion's. Never both.
 */
struct storage_row {
    bool only_resume; /* CLAIM: ERR_CONFLICT unless this very stream is known here */
    bool has_video, has_deletion;
    bool recent_only;   /* ROW_MERGE: refused if it is a claim that we do not know and that is not
                           later than the horizon: its deletion may have been forgotten */
    struct video video; /* decoded statement */
    struct hash stream;
    struct hash statement_hash; /* object_hash of the statement: breaks revision ties */
    struct slice statement, credential, manifest; /* signed objects; manifest may be empty */
    struct slice thumbnail;                       /* text */
    struct slice streamer_name;                   /* from the credential */
    bool has_holding;
    bool restamp; /* our own holding, stamped by us just now: it also takes the place of one of ours
                     that is stamped more than RESTAMP_AHEAD_US after it (our clock was wrong).
                     Never set on what came from outside */
    struct holding holding; /* decoded */
    struct holding_row holding_row;
};

struct storage_op {
    enum storage_kind kind;
    uint64_t token; /* the core's */
    struct arena arena;
    union {
        struct storage_row row; /* CLAIM (video; live: with presence holding), ROW_MERGE, DELETE
                                   (has_deletion), CUSTODY_PUT (has_holding, ours) */
        struct {
            struct id video_id;
            struct hash stream;
            uint64_t used_us; /* UTC: as COPY_TOUCH */
        } copy_begin;
        struct {
            struct id video_id;
            struct hash stream;
            struct msg *packet; /* owned reference; payload is the binary part */
            struct chunk chunk;
            struct slice statement; /* borrowed from packet */
            struct signature sig;
            struct hash statement_hash;
            uint16_t index;
        } part_put;
        struct {
            struct hash stream;
            struct manifest manifest; /* decoded and verified */
            struct storage_row row;   /* final revision with manifest; has_holding: our custody,
                                         else the copy is a cached one */
            /* Signed objects: ours for an upload; for a fetched copy what its source showed, or
             * empty. Ours takes the place of another's, else the first one stays. */
            struct slice receipt, receipt_credential;
            bool receipt_ours;
        } finish;
        struct {
            char key[32];
            struct slice value;
        } meta_put;
        struct {
            struct id video_id;
        } video_get;
        struct {
            struct id video_id;
            uint32_t chunk, part;
            uint32_t bytes_max;
        } parts_read;
        struct list_request list; /* strings in the arena */
        struct {
            struct id after; /* video id; "" at first: keyset order by id */
            bool first;
        } db_page;
        struct {
            struct id video_id;
            uint64_t used_us; /* UTC */
        } copy_touch;
        struct {
            struct id video_id;
            struct hash stream;
            struct slice delegation, packet; /* signed object, part; arena */
        } thumbnail_put;
        struct {
            uint64_t bytes_max; /* what all cached copies may take together, unfinished ones too */
            size_t keep_n;
            const struct id *keep; /* arena; not to be touched: watched or being fetched */
        } cache_trim;
        struct {
            uint64_t horizon_us; /* rows dead at it go, and it is the root's from then on; it may be
                                    earlier than the one in force (a clock was wrong) */
        } horizon;
        struct {
            uint64_t kept_hlc; /* groups with own state-1 custody above it stay */
        } bootstrap;
        struct {
            size_t n;                        /* at most SYNC_NODES_MAX */
            const struct digest_node *nodes; /* arena; depth below DIGEST_DEPTH */
        } digests;
        struct {
            bool first;
            struct id after_video, after_streamer; /* the done's last_…; not first */
            bool inside; /* holdings of that claim are left: those after this one come first */
            struct id after_edge;
            enum object_type after_type;
        } bundle_page;
        struct {
            size_t n;                      /* at most SYNC_LEAVES_MAX */
            const uint16_t *leaves;        /* arena */
            const struct row_digest *from; /* arena; entries above it; zero: all */
        } leaves;
        struct {
            size_t n;                     /* at most SYNC_WANT_MAX */
            const struct sync_want *rows; /* arena */
        } rows_get;
        struct {
            struct id after; /* "" at first */
            struct id only;  /* "" or: this video alone */
        } custody_scan;
        struct {
            struct id video_id;
            struct hash stream;
            struct nonce nonce;
            bool pick;     /* choose PROBE_PARTS_MAX parts (or all) of our own copy by seed */
            uint64_t seed; /* pick */
            size_t n;      /* not pick */
            struct probe_part parts[PROBE_PARTS_MAX];
        } probe;
    } u;
};

/* What a video of the catalogue looks like to whoever places copies. */
struct storage_custody {
    struct id video_id, streamer_id;
    struct hash stream;
    uint64_t bytes;     /* of media, from the manifest */
    struct slice edges; /* comma-separated: custody of this stream; arena */
    bool custody_here;  /* our own row says so */
    uint64_t own_hlc;   /* of our own custody row, whatever it says; 0: there is none */
    bool whole_here;    /* every byte is here, in custody or cached */
};

/* Where an upload or a fetch goes on. */
struct storage_position {
    uint32_t next, next_part;
    struct hash prev;     /* statement hash of chunk next - 1; zero for next 1 */
    struct hash current;  /* statement hash of chunk next, if next_part > 0 */
    uint32_t init_number; /* last init chunk held; 0 none */
    bool finished;        /* the copy is whole, with a manifest */
    struct slice receipt, receipt_credential; /* if finished, and there is one */
    bool receipt_ours;                        /* given here, for an upload */
};

struct storage_part {
    struct msg *packet; /* owned reference; payload is the binary part */
    uint32_t chunk;
    uint16_t index, parts_n;
};

/* The catalogue in 16 bytes; equal ones are compared only at equal horizons. */
struct catalogue_root {
    uint64_t horizon_us; /* 0: not summed up yet */
    uint8_t b[ROOT_DIGEST_BYTES];
};

struct storage_done {
    enum storage_kind kind;
    uint64_t token;
    struct arena arena;
    uint64_t videos;            /* rows listed, as of this completion */
    struct catalogue_root root; /* as of the last commit */
    /*
     * ERR_OK, or
     * CLAIM       ERR_CONFLICT: the id belongs to another streamer, or is a finished video
     * COPY_BEGIN  ERR_UNKNOWN: no such video row; ERR_CONFLICT: it has another stream, or a
     *             newer one of its streamer is being uploaded here
     * PART_PUT    ERR_CONFLICT: not the next part of this copy (an earlier one failed), or
     *             another stream
     * FINISH      ERR_NOT_READY: chunks are missing; ERR_SIGNATURE: the manifest names others;
     *             ERR_CONFLICT: another stream, or an older revision
     * DELETE      ERR_UNKNOWN: neither claim nor upload of this streamer under this id;
     *             ERR_CONFLICT: what is held is newer. The same deletion again: ERR_OK
     * CUSTODY_PUT ERR_NOT_READY: state 1 without a whole copy of this stream; ERR_CONFLICT:
     *             no claim names this stream (any more)
     * COPY_TOUCH  ERR_UNKNOWN: no copy
     * THUMBNAIL_PUT ERR_UNKNOWN: no whole copy of this stream
     * DIGESTS     ERR_BUSY: the sums are not made yet: the database failed at it
     * VIDEO_GET, PARTS_READ  ERR_UNKNOWN: no such video or no bytes of it here
     * PROBE       ERR_UNKNOWN: no whole copy of this stream here for which our custody row
     *             (state 1) stands, or a part that it has not
     * any write   ERR_STORAGE_FULL: nothing of it was kept; ERR_IO: the database failed, the
     *             process must stop (error text was logged by the store's owner through
     *             store_error)
     */
    enum err err;
    union {
        struct storage_position position; /* CLAIM, COPY_BEGIN */
        struct {
            struct hash stream;
            uint32_t chunk;
            uint16_t index, parts_n;
            uint32_t packet_bytes; /* also on failure */
            bool more;             /* further parts of this stream follow from the same commit */
        } part_put;
        struct {
            bool changed;         /* the merge took the row (or its holding) */
            bool refused;         /* a holding without a claim, or a row dead at the horizon */
            bool deletion;        /* what was taken is a deletion: lives and uploads under it end */
            uint64_t revision_us; /* of the deletion that was taken: what is newer stays */
            struct id video_id, streamer_id;
            bool complete;     /* the video is listed with bytes: custody may have to look at it */
            bool own;          /* the row's holding is ours, and: */
            bool own_true;     /* what is held of that kind now agrees with the copies here. False:
                                  custody 1 without a whole copy of that stream; or this merge brought
                                  a custody 0 for a whole copy that was in custody until then.
                                  Presence: always true; whether the live runs is the core's to know */
            bool own_presence; /* own: it is a presence */
            struct holding own_holding; /* own: what the row says */
        } row_merge;                    /* ROW_MERGE, DELETE, CUSTODY_PUT */
        struct {
            uint64_t bytes;   /* cached copies after it; still too many: call again, unless */
            uint32_t dropped; /* none was: those that are left are to be kept */
        } cache_trim;
        struct {
            bool more;     /* call again: a slice was removed */
            uint32_t rows; /* removed */
        } slice;           /* HORIZON, BOOTSTRAP, ORPHANS */
        struct {
            size_t n;
            struct sync_node *nodes; /* arena; in the order asked */
        } digests;
        struct {
            size_t claims_n, holdings_n;
            struct bundle_claim *claims; /* arena */
            struct holding_row *holdings;
            bool more;
            struct id last_video, last_streamer; /* BUNDLE_PAGE: go on after it */
            bool inside;                         /* BUNDLE_PAGE: and after this holding of it */
            struct id last_edge;                 /* inside; "": none of them came yet */
            enum object_type last_type;          /* inside */
            size_t looked_n; /* ROWS_GET: how many of those asked for were looked at: go on there */
        } bundle; /* BUNDLE_PAGE, ROWS_GET: about CATALOGUE_PAGE_BYTES_MAX; ROWS_GET with more: ask
                     for the rest; rows that are gone are left out */
        struct {
            size_t n;
            struct sync_leaf *leaves; /* arena; in the order asked, at most SYNC_ENTRIES_MAX entries
                                         together; leaves that found no room are left out */
        } leaves;
        struct {
            size_t n;
            struct storage_custody *videos; /* arena; ascending id */
            bool more;
        } custody_scan;
        struct {
            size_t n;
            struct probe_part parts[PROBE_PARTS_MAX];
            struct hash hashes[PROBE_PARTS_MAX];
        } probe;
        struct {
            struct catalogue_row row; /* with trust fields and edges; holdings_n 0 */
            struct slice streamer_name;
            struct slice media_type, codecs;
            struct slice receipt, receipt_credential; /* of a whole copy here; or empty */
            struct hash stream;
            bool whole;                              /* this edge holds every byte */
            bool custody;                            /* and has said so */
            bool live;                               /* a live at one of `edges` */
            uint32_t chunks;                         /* of a whole copy */
            struct slice delegation, thumbnail_part; /* of a whole copy; empty: none */
            uint64_t bytes;
        } video;
        struct {
            size_t n;
            struct storage_part parts[STORE_READ_PARTS_MAX];
            bool end; /* nothing comes after the last of these, and the copy is whole */
        } parts_read;
        struct {
            size_t n;
            struct catalogue_row
                *rows;    /* arena; newest first. Where the streamer gave no thumbnail,
                             one that an edge made, as long as the page has room */
            bool *made;   /* not paged; arena; of each row: its thumbnail is one of those */
            size_t bytes; /* what they weigh as JSON, at the most */
            bool more;
            struct id next; /* if more: the last one looked at, whether it was wanted or not */
        } list;
        struct {
            size_t n;
            struct catalogue_row *rows; /* arena; ascending id, with trust fields and holdings */
            bool more;
            size_t streamers_n;
            struct storage_streamer *streamers; /* arena; of these rows */
        } db_page;
    } u;
};

struct storage_streamer {
    struct id id;
    struct slice name;
    uint64_t created_us;
};

/* storage_op_new: zeroed, with an empty arena. */
struct storage_op *storage_op_new(enum storage_kind kind, uint64_t token);
void storage_op_free(struct storage_op *op);
void storage_done_free(struct storage_done *done);

#endif
