#ifndef THUMBNAIL_JAIL_H
#define THUMBNAIL_JAIL_H
/* What this process may still do: the only includer of libseccomp. */
#include "base/err.h"

/*
 * jail_enter: from here on it can read standard input, write standard output, have memory that
 * cannot be executed, and end. Everything else is refused, for good. It dies with its parent.
 * ERR_IO: this system does not allow that: do not go on. One thread, before any input is read.
 */
enum err jail_enter(void);

#endif
