#ifndef BASE_UTF8_H
#define BASE_UTF8_H
/* Text from outside, before it is kept, signed or shown. */
#include "base/slice.h"

/*
 * utf8_text: whether s is text: UTF-8 (RFC 3629: no overlong forms, no
 * surrogates, nothing above U+10FFFF) without a NUL, so that a C string holds
 * all of it. The empty slice is text. Pure; any thread.
 */
bool utf8_text(struct slice s);

#endif
