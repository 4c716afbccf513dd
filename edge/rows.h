#ifndef EDGE_ROWS_H
#define EDGE_ROWS_H
/*
 * Catalogue rows as they travel, verified into rows that may be merged
 * (docs/PROTOCOL.md §4.5). Pure; any thread.
 */
#include "edge/core/storage.h"
#include "edge/core/trust_view.h"

/*
 * row_from_update: a db/update.
 * ret borrows from m. ERR_NOT_READY: no zone yet, or it names a later key of it. ERR_SIGNATURE,
 * ERR_UNAUTHORIZED, ERR_FORMAT: what is signed does not hold, or does not belong together.
 */
enum err row_from_update(const struct db_update *m, const struct trust_view *view,
                         struct storage_row *ret);

/*
 * rows_from_bundle: what edges exchange: claims and deletions first, then holdings, each a row of
 * its own. Distinct credentials are verified once. Rows that do not verify are left out and added
 * to *skipped; *newer becomes true if one of them names a later key of the zone (it is never
 * cleared). Returns an array in the arena.
 */
struct storage_row *rows_from_bundle(const struct bundle *b, const struct trust_view *view,
                                     struct arena *arena, size_t *ret_n, size_t *skipped,
                                     bool *newer);

/*
 * row_from_deletion: a signed deletion, by the streamer whose credential comes along, or with an
 * empty credential by the zone. Errors as row_from_update.
 */
enum err row_from_deletion(struct slice deletion, struct slice credential,
                           const struct trust_view *view, struct storage_row *ret);

#endif
