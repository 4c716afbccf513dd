#include "base/id.h"

static bool id_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

enum err id_parse(struct slice text, struct id *ret_id)
{
    if (text.len == 0 || text.len > ID_BYTES_MAX)
        return ERR_FORMAT;
    for (size_t i = 0; i < text.len; i++)
        if (!id_char(text.ptr[i]))
            return ERR_FORMAT;
    memset(ret_id, 0, sizeof(*ret_id));
    memcpy(ret_id->s, text.ptr, text.len);
    return ERR_OK;
}
