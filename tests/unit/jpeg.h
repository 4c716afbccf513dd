#ifndef TESTS_JPEG_H
#define TESTS_JPEG_H
/* The frame of a JPEG around data that is no picture: nothing that is tested decodes it. */
#include "base/slice.h"

enum { JPEG_FRAME_BYTES = 2 + 19 + 10 + 2 }; /* with no data */

/* jpeg_make: a JPEG of len bytes, JPEG_FRAME_BYTES at least; returns it, borrowed from ret. */
static inline struct slice jpeg_make(uint8_t *ret, unsigned width, unsigned height, size_t len)
{
    static const uint8_t frame[] = {0xff, 0xd8, 0xff, 0xc0, 0, 17,   8, 0,  0,    0, 0,
                                    3,    1,    0x22, 0,    2, 0x11, 1, 3,  0x11, 1, 0xff,
                                    0xda, 0,    8,    1,    1, 0,    0, 63, 0};
    memset(ret, 0x5a, len);
    memcpy(ret, frame, sizeof(frame));
    ret[7] = (uint8_t)(height >> 8);
    ret[8] = (uint8_t)height;
    ret[9] = (uint8_t)(width >> 8);
    ret[10] = (uint8_t)width;
    ret[len - 2] = 0xff;
    ret[len - 1] = 0xd9;
    return slice_of(ret, len);
}

#endif
