#include "auth_edge/answer.h"

#include "base/check.h"
#include "wire/json.h"
#include "wire/text.h"

#include <string.h>

enum { HTTP_OK = 200, HTTP_UNAUTHORIZED = 401, HTTP_FORBIDDEN = 403 };

/* The gateway before Supabase, about the apikey header: "Invalid API key", "No API key found". */
static bool blames_our_key(struct slice body)
{
    CLEANUP(arena_release) struct arena arena = {0};
    struct json j CLEANUP(json_close) = json_open_object(body, &arena);
    struct slice message = json_peek_text(&j, "message");
    return message.len && strstr((const char *)message.ptr, "API key");
}

/* At most NAME_BYTES_MAX bytes, not ending within a character. */
static size_t cut_len(struct slice text)
{
    if (text.len <= NAME_BYTES_MAX)
        return text.len;
    size_t len = NAME_BYTES_MAX;
    while (len && (text.ptr[len] & 0xC0) == 0x80)
        len--;
    return len;
}

static struct slice before_at(struct slice email)
{
    const uint8_t *at = email.len ? memchr(email.ptr, '@', email.len) : NULL;
    return slice_of(email.ptr, at ? (size_t)(at - email.ptr) : 0);
}

/* Nothing that a name holds can make an answer worth less: what is unfit is left out. */
static struct slice name_of(struct json *j)
{
    static const char *const names[] = {"full_name", "name", "user_name"};
    struct slice name = {0}, email = before_at(json_peek_text(j, "email"));
    if (json_has(j, "user_metadata"))
        json_enter(j, "user_metadata");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !name.len; i++)
        name = json_peek_text(j, names[i]);
    if (name.len && wire_text_ok(name))
        return name;
    return wire_text_ok(email) ? email : (struct slice){0};
}

static enum answer user_read(struct slice body, const struct id *subject,
                             struct answer_name *ret_name)
{
    CLEANUP(arena_release) struct arena arena = {0};
    struct json j CLEANUP(json_close) = json_open_object(body, &arena);
    struct slice id = json_peek_text(&j, "id");
    if (j.err == ERR_LIMIT)
        return ANSWER_UNFIT;
    if (j.err != ERR_OK || !slice_eq(id, id_slice(subject)))
        return ANSWER_UNKNOWN;
    struct slice name = name_of(&j);
    ret_name->len = cut_len(name);
    if (ret_name->len)
        memcpy(ret_name->s, name.ptr, ret_name->len);
    return ANSWER_VALID;
}

enum answer answer_read(long status, struct slice body, const struct id *subject,
                        struct answer_name *ret_name)
{
    if (status == HTTP_OK)
        return user_read(body, subject, ret_name);
    if (status == HTTP_UNAUTHORIZED && blames_our_key(body))
        return ANSWER_OUR_KEY;
    if (status == HTTP_UNAUTHORIZED || status == HTTP_FORBIDDEN)
        return ANSWER_REFUSED;
    return ANSWER_UNKNOWN;
}
