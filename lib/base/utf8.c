#include "base/utf8.h"

/*
 * What may follow a first byte (RFC 3629 §4): how many bytes, and the range of
 * the second one, which is where overlong forms, surrogates and code points
 * above U+10FFFF show. The others are 0x80..0xbf.
 */
struct sequence {
    uint8_t first_min, first_max;
    uint8_t more;
    uint8_t second_min, second_max;
};

static const struct sequence sequences[] = {
    {0x01, 0x7f, 0, 0x80, 0xbf}, {0xc2, 0xdf, 1, 0x80, 0xbf}, {0xe0, 0xe0, 2, 0xa0, 0xbf},
    {0xe1, 0xec, 2, 0x80, 0xbf}, {0xed, 0xed, 2, 0x80, 0x9f}, {0xee, 0xef, 2, 0x80, 0xbf},
    {0xf0, 0xf0, 3, 0x90, 0xbf}, {0xf1, 0xf3, 3, 0x80, 0xbf}, {0xf4, 0xf4, 3, 0x80, 0x8f},
};

enum { SEQUENCES_N = sizeof(sequences) / sizeof(sequences[0]) };

static const struct sequence *sequence_of(uint8_t first)
{
    for (size_t i = 0; i < SEQUENCES_N; i++)
        if (first >= sequences[i].first_min && first <= sequences[i].first_max)
            return &sequences[i];
    return NULL;
}

/* The length of the sequence that s starts with; 0: none. */
static size_t sequence_len(struct slice s)
{
    const struct sequence *seq = sequence_of(s.ptr[0]);
    if (!seq || seq->more >= s.len)
        return 0;
    if (seq->more && (s.ptr[1] < seq->second_min || s.ptr[1] > seq->second_max))
        return 0;
    for (size_t i = 2; i <= seq->more; i++)
        if ((s.ptr[i] & 0xc0) != 0x80)
            return 0;
    return 1 + (size_t)seq->more;
}

bool utf8_text(struct slice s)
{
    while (s.len) {
        size_t n = sequence_len(s);
        if (n == 0)
            return false;
        s = slice_from(s, n);
    }
    return true;
}
