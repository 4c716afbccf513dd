#ifndef WIRE_TEXT_H
#define WIRE_TEXT_H
/* What text of a message may hold (docs/PROTOCOL.md §1). Pure; any thread. */
#include "base/slice.h"

enum { JSON_DEPTH_MAX = 8 };

/*
 * wire_text_ok: what a text field may hold: UTF-8 without control characters but
 * tab, LF and CR. Decoders give ERR_FORMAT for others; encoders write '?' for
 * each character that is refused, so ask before something is signed.
 */
bool wire_text_ok(struct slice text);

/*
 * text_control: bytes of the refused control character that s begins with; 0
 * when it begins with none.
 */
size_t text_control(struct slice s);

#endif
