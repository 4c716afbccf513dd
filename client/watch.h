#ifndef CLIENT_WATCH_H
#define CLIENT_WATCH_H
/*
 * Watching: what `watch` and `verify ID` share. A view asks an edge what a video
 * is, verifies that, and then either pulls it (watch_stored.c) or joins it live
 * (watch_live.c). Nothing that did not verify is ever written.
 */
#include "base/clock.h"
#include "client/checker.h"
#include "client/choose.h"
#include "client/delegate.h"
#include "client/follow.h"
#include "client/progress.h"
#include "client/sink.h"
#include "client/zone.h"
#include "trust/proof.h"
#include "wire/watch.h"

enum {
    WATCH_PATIENCE_US = 60 * 1000 * 1000, /* nothing useful for so long ends a view */
    WATCH_BUSY_US = 500 * 1000,           /* "busy" and "not_ready" are asked again after */
    LIVE_REJOIN_US = 5 * 1000 * 1000,     /* a silent live is joined again */
    LIVE_SILENCE_US = 30 * 1000 * 1000,   /* and given up after */
    RECEIPT_WAIT_US = 2 * 1000 * 1000,    /* for a proof file */
    LIVE_END_WAIT_US = 2 * 1000 * 1000,   /* an unsigned end waits so long for the signed one */
    LIST_WAIT_US = 1000 * 1000,      /* for the first list of revocations, where none is kept */
    LIVE_NOTE_US = 15 * 1000 * 1000, /* a live that goes on without one says so after */
};

/* Of watch and verify. */
#define OPTION_REQUIRE_REVOCATIONS                                                                 \
    {                                                                                              \
        .name = "require-revocations", .env = "EDGECTL_REQUIRE_REVOCATIONS",                       \
        .help = "refuse without a list of who is revoked that is at most 60 s old",                \
        .kind = OPTION_FLAG                                                                        \
    }

/* What the user asked for. */
struct watch_order {
    struct id video_id;
    const char *output;         /* NULL: verify only */
    const char *proof_path;     /* NULL: none */
    const char *thumbnail_path; /* NULL: none is wanted */
    uint64_t duration_us;       /* live: stop after; 0: at its end */
    bool json, verify;
    bool require_list; /* --require-revocations */
};

struct view {
    struct watch_order order;
    const struct option *options;
    struct session *session;
    struct identity identity;
    struct zone_params zone;
    struct follow follow; /* keeps zone up to date */
    struct id edge_id;
    struct checker checker;
    char revoked[CHECKER_WHY_BYTES]; /* why what was found does not count; "": it does */
    bool noted;                      /* that there is no list of revocations to rely on */
    bool live;
    struct thumbnail thumbnail; /* as the edge shows it */
    uint8_t token[TOKEN_BYTES];
    size_t token_len;
    struct sink sink;
    struct proof_writer proof;
    bool reader_gone; /* whoever read standard output went away */
    struct progress progress;
    /* for the summary */
    uint64_t started_us, first_part_us; /* monotonic: edge asked; first part, 0: none yet */
    uint64_t parts, duplicates;
    uint64_t rejected;                    /* messages that did not verify */
    char rejected_why[CHECKER_WHY_BYTES]; /* the last one's reason */
    uint64_t gaps, skipped_chunks;        /* live */
    uint64_t age_n, age_sum_us, age_max_us;
};

/* watch_run: from the session to the summary. */
enum exit_status watch_run(const struct option *options, const struct watch_order *order);

/* What the two ways of watching use. */

/* view_reply: whether a message is an answer of our edge to us. */
bool view_reply(const struct view *v, const struct topic *topic);
/* view_token: keep a newer reply token, if there is one. */
void view_token(struct view *v, struct slice token);
/* view_thumbnail: check what an edge shows as thumbnail of what the checker has opened. */
void view_thumbnail(struct view *v, const struct watch_info *info);
/* view_reject: count a message that did not verify; its reason is the checker's. */
void view_reject(struct view *v);
/* view_took: count a verified part. */
void view_took(struct view *v);
/*
 * view_write: verified bytes go out. STATUS_OK; STATUS_FAILED: said. The reader
 * of standard output going away sets reader_gone, which is no failure.
 */
enum exit_status view_write(struct view *v, struct slice bytes);
/* view_prove: add a chunk's statement to the proof file, if one is wanted. */
enum exit_status view_prove(struct view *v, struct slice statement, const struct signature *sig);

/* view_await_list: before anything is asked: give a list of revocations time to come.
 * STATUS_NO_LIST: one is required, and none is fresh; STATUS_FAILED: interrupted; both said. */
enum exit_status view_await_list(struct view *v);
/* view_may_go_on: after each wait, before what it brought is taken. STATUS_NO_LIST: as above. */
enum exit_status view_may_go_on(struct view *v);
/* view_note: say, once, that there is no list to rely on, if that is so. */
void view_note(struct view *v);
/* revocations_missing: say that --require-revocations refuses. STATUS_NO_LIST. */
enum exit_status revocations_missing(const struct revocation_list *list);

/*
 * view_judge: what the list of revocations says, as it is now. STATUS_OK; STATUS_UNVERIFIED:
 * said, and nothing more may be played.
 */
enum exit_status view_judge(struct view *v);
/* view_verdict: the same, unsaid. ERR_NOT_READY: newer parameters of the zone have been asked
 * for. Otherwise as checker_judge. */
enum err view_verdict(struct view *v);

/* watch_stored, watch_live: from a verified claim to the end; say what is wrong. */
enum exit_status watch_stored(struct view *v);
enum exit_status watch_live(struct view *v);

#endif
