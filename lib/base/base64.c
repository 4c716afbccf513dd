#include "base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* A character's six bits with VALID beside them; 0: not in the alphabet. */
enum { VALID = 0x40, BITS = 0x3f };
#define V(bits) (VALID | (bits))
static const uint8_t values[256] = {
    ['A'] = V(0),  ['B'] = V(1),  ['C'] = V(2),  ['D'] = V(3),  ['E'] = V(4),  ['F'] = V(5),
    ['G'] = V(6),  ['H'] = V(7),  ['I'] = V(8),  ['J'] = V(9),  ['K'] = V(10), ['L'] = V(11),
    ['M'] = V(12), ['N'] = V(13), ['O'] = V(14), ['P'] = V(15), ['Q'] = V(16), ['R'] = V(17),
    ['S'] = V(18), ['T'] = V(19), ['U'] = V(20), ['V'] = V(21), ['W'] = V(22), ['X'] = V(23),
    ['Y'] = V(24), ['Z'] = V(25), ['a'] = V(26), ['b'] = V(27), ['c'] = V(28), ['d'] = V(29),
    ['e'] = V(30), ['f'] = V(31), ['g'] = V(32), ['h'] = V(33), ['i'] = V(34), ['j'] = V(35),
    ['k'] = V(36), ['l'] = V(37), ['m'] = V(38), ['n'] = V(39), ['o'] = V(40), ['p'] = V(41),
    ['q'] = V(42), ['r'] = V(43), ['s'] = V(44), ['t'] = V(45), ['u'] = V(46), ['v'] = V(47),
    ['w'] = V(48), ['x'] = V(49), ['y'] = V(50), ['z'] = V(51), ['0'] = V(52), ['1'] = V(53),
    ['2'] = V(54), ['3'] = V(55), ['4'] = V(56), ['5'] = V(57), ['6'] = V(58), ['7'] = V(59),
    ['8'] = V(60), ['9'] = V(61), ['+'] = V(62), ['/'] = V(63),
};

static void encode_three(const uint8_t in[3], char out[4])
{
    out[0] = alphabet[in[0] >> 2];
    out[1] = alphabet[(in[0] << 4 | in[1] >> 4) & BITS];
    out[2] = alphabet[(in[1] << 2 | in[2] >> 6) & BITS];
    out[3] = alphabet[in[2] & BITS];
}

void b64_encode(struct slice bytes, char *ret)
{
    while (bytes.len >= 3) {
        encode_three(bytes.ptr, ret);
        bytes = slice_from(bytes, 3);
        ret += 4;
    }
    if (bytes.len) {
        uint8_t last[3] = {bytes.ptr[0], bytes.len == 2 ? bytes.ptr[1] : 0, 0};
        encode_three(last, ret);
        if (bytes.len == 1)
            ret[2] = '=';
        ret[3] = '=';
        ret += 4;
    }
    *ret = '\0';
}

/* Decode four characters; false: one is not in the alphabet. */
static bool decode_four(const uint8_t in[4], uint8_t out[3])
{
    uint32_t a = values[in[0]], b = values[in[1]], c = values[in[2]], d = values[in[3]];
    uint32_t v = (a & BITS) << 18 | (b & BITS) << 12 | (c & BITS) << 6 | (d & BITS);
    out[0] = (uint8_t)(v >> 16);
    out[1] = (uint8_t)(v >> 8);
    out[2] = (uint8_t)v;
    return a & b & c & d & VALID;
}

/* The padded last four: pads of '=', and the bits under them must be zero. */
static bool decode_last(const uint8_t in[4], size_t pads, uint8_t *ret)
{
    uint8_t four[4] = {in[0], in[1], pads == 2 ? 'A' : in[2], 'A'};
    uint8_t three[3];
    if (!decode_four(four, three) || three[2] || (pads == 2 && three[1]))
        return false;
    memcpy(ret, three, 3 - pads);
    return true;
}

enum err b64_decode(struct slice text, uint8_t *ret, size_t max, size_t *ret_len)
{
    if (text.len % 4)
        return ERR_FORMAT;
    size_t pads = 0;
    while (pads < 2 && pads < text.len && text.ptr[text.len - 1 - pads] == '=')
        pads++;
    size_t len = text.len / 4 * 3 - pads;
    if (len > max)
        return ERR_LIMIT;
    for (size_t whole = len / 3; whole; whole--) {
        if (!decode_four(text.ptr, ret))
            return ERR_FORMAT;
        text = slice_from(text, 4);
        ret += 3;
    }
    if (pads && !decode_last(text.ptr, pads, ret))
        return ERR_FORMAT;
    *ret_len = len;
    return ERR_OK;
}

/* A character of the URL's alphabet as one of the standard's; 0: none. */
static uint8_t url_to_standard(uint8_t c)
{
    if (c == '-')
        return '+';
    if (c == '_')
        return '/';
    return c == '+' || c == '/' ? 0 : c;
}

enum err b64url_decode(struct slice text, uint8_t *ret, size_t max, size_t *ret_len)
{
    size_t rest = text.len % 4;
    if (rest == 1)
        return ERR_FORMAT;
    size_t len = text.len / 4 * 3 + (rest ? rest - 1 : 0);
    if (len > max)
        return ERR_LIMIT;
    while (text.len) {
        uint8_t four[4] = {0};
        size_t n = text.len < 4 ? text.len : 4;
        for (size_t i = 0; i < n; i++)
            four[i] = url_to_standard(text.ptr[i]);
        if (n == 4 ? !decode_four(four, ret) : !decode_last(four, 4 - n, ret))
            return ERR_FORMAT;
        text = slice_from(text, n);
        ret += n - 1;
    }
    *ret_len = len;
    return ERR_OK;
}
