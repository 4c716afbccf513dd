#ifndef WIRE_BUNDLE_JSON_H
#define WIRE_BUNDLE_JSON_H
/* The rows of a bundle within a message that is being read. Private to lib/wire. */
#include "wire/bundle.h"
#include "wire/json.h"

/* bundle_here: whether the object at has any of a bundle's lists. */
bool bundle_here(const struct json *j);
/* bundle_read: its rows; entries that are none are counted in ret->skipped. */
void bundle_read(struct json *j, struct bundle *ret);

#endif
