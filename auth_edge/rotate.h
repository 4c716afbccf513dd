#ifndef AUTH_EDGE_ROTATE_H
#define AUTH_EDGE_ROTATE_H
/*
 * New secrets for a zone that stays what it is. A serving auth_edge takes them
 * over by itself (store_changed); what was signed before stays good.
 *
 *   zone.key.new written --> database: link, epoch, key --> zone.key.new is zone.key
 *
 * The first two steps under the database's lock, the third too; whatever is cut
 * short, folder_open ends it or undoes it (folder.c, I3). Several at once are
 * one after another.
 */
#include "auth_edge/folder.h"

/*
 * rotate_key: a new signing key, one epoch on, with a link that the old key signs; id and box key
 * stay. The folder is reloaded.
 * ret_error  the sentence for the operator on failure.
 * ERR_LIMIT: ZONE_LINKS_MAX links are there. Other errors as of folder_open.
 */
enum err rotate_key(struct folder *folder, uint64_t now_us,
                    char ret_error[static FOLDER_ERROR_BYTES]);

/*
 * rotate_secret: a new zone.secret; who has the old one can enrol no more. The folder is reloaded.
 * ERR_CONFLICT: the secret comes from outside. Other errors as of folder_open.
 */
enum err rotate_secret(struct folder *folder, char ret_error[static FOLDER_ERROR_BYTES]);

#endif
