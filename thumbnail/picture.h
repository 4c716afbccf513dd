#ifndef THUMBNAIL_PICTURE_H
#define THUMBNAIL_PICTURE_H
/*
 * One small JPEG from the beginning of a video. The only includer of libavformat, libavcodec and
 * libswscale in this program. The media is a stranger's: everything here runs inside the jail.
 */
#include "base/err.h"
#include "base/slice.h"

enum {
    PICTURE_WIDTH_MAX = 320,
    PICTURE_HEIGHT_MAX = 180,
    PICTURE_SIDE_MIN = 2,
    PICTURE_PIXELS_MAX = 7680 * 4320, /* of the video: a frame of 50 MB */
    PICTURE_PACKETS_MAX = 256,        /* looked at for the first keyframe */
};

/*
 * picture_of: the first keyframe, fitted into the box, never enlarged.
 * media    an init segment and a fragment, which may be cut off; borrowed.
 * ret      room for max bytes. ret_len: what the JPEG has.
 * ERR_FORMAT: no video that can be decoded. ERR_LIMIT: above PICTURE_PIXELS_MAX, or no JPEG of at
 * most max bytes. Costs a decoded frame of memory and some ms for each megapixel.
 */
enum err picture_of(struct slice media, size_t max, uint8_t *ret, size_t *ret_len);

#endif
