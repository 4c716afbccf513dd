/*
 * Control characters have no place in a title or a name: they steer the terminal
 * that shows it, and JSON makes six bytes of one, so that a page of rows would
 * have no useful bound.
 */
#include "wire/text.h"

#include "base/utf8.h"

size_t text_control(struct slice s)
{
    if (s.len == 0)
        return 0;
    uint8_t c = s.ptr[0];
    if (c < 0x20)
        return c != '\t' && c != '\n' && c != '\r';
    if (c == 0x7f)
        return 1;
    /* U+0080…9F */
    return c == 0xc2 && s.len > 1 && s.ptr[1] >= 0x80 && s.ptr[1] < 0xa0 ? 2 : 0;
}

bool wire_text_ok(struct slice text)
{
    if (!utf8_text(text))
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text_control(slice_from(text, i)))
            return false;
    return true;
}
