#include "wire/json.h"

#include "base/utf8.h"
#include "trust/part.h"
#include "wire/text.h"
#include "wire/topic.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>

/*
 * Why: cJSON is made for friendly input. It follows 1,000 levels, ends a string
 * at "\u0000" without a word, accepts raw control characters and what is no
 * UTF-8, and 1.7.15 reads past the end of a text that stops after a comma. So
 * the text is looked through before cJSON sees it.
 *
 *   I1  cJSON is given only text whose last byte closes the bracket that its first byte opens.
 *   I2  no string in a parsed tree has lost bytes: strlen() is its length.
 *   I3  after the first failure err never changes, and getters give nothing.
 *   I4  json_peek and json_open find the same member where a key comes twice: the first.
 */

enum {
    NUMBER_TEXT_BYTES = 24, /* the longest canonical number: -9007199254740991 and NUL */
    PEEK_SCALAR_BYTES_MAX = 32,
};

static const double WHOLE_MAX = 9007199254740991.0; /* 2^53 - 1 */

/* Other spellings of one field (docs/PROTOCOL.md §1). */
static const char *const spellings[][3] = {
    {"video_id", "video_ID", NULL},
    {"client_id", "client_ID", NULL},
    {"video_nom", "video_title", "title"},
};

/* --- looking through text ---------------------------------------------------- */

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t skip_space(struct slice t, size_t i)
{
    while (i < t.len && is_space(t.ptr[i]))
        i++;
    return i;
}

/* Where the string whose opening quote is at i ends; 0: nowhere, or it holds a NUL or a raw
 * control character. */
static size_t string_end(struct slice t, size_t i)
{
    for (i++; i < t.len; i++) {
        uint8_t c = t.ptr[i];
        if (c == '"')
            return i + 1;
        if (c < 0x20)
            return 0;
        if (c != '\\')
            continue;
        if (t.len - i >= 6 && memcmp(t.ptr + i, "\\u0000", 6) == 0)
            return 0;
        i++;
    }
    return 0;
}

/* Where the object or array that opens at i ends. ERR_LIMIT: too deep. */
static enum err nested_end(struct slice t, size_t i, size_t *ret_end)
{
    unsigned depth = 0;
    while (i < t.len) {
        uint8_t c = t.ptr[i];
        if (c == '"') {
            i = string_end(t, i);
            if (!i)
                return ERR_FORMAT;
            continue;
        }
        i++;
        if (c == '{' || c == '[') {
            if (++depth > JSON_DEPTH_MAX)
                return ERR_LIMIT;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            *ret_end = i;
            return ERR_OK;
        }
    }
    return ERR_FORMAT;
}

/* I1; ret_text is the text without what surrounds it. */
static enum err look_through(struct slice text, struct slice *ret_text)
{
    if (text.len > PACKET_BYTES_MAX)
        return ERR_LIMIT;
    size_t start = skip_space(text, 0);
    if (start == text.len || (text.ptr[start] != '{' && text.ptr[start] != '['))
        return ERR_FORMAT;
    size_t end;
    enum err err = nested_end(text, start, &end);
    if (err != ERR_OK)
        return err;
    if (skip_space(text, end) != text.len || !utf8_text(text))
        return ERR_FORMAT;
    *ret_text = slice_of(text.ptr + start, end - start);
    return ERR_OK;
}

/* --- opening ------------------------------------------------------------------ */

struct json json_open(struct slice text, struct arena *arena)
{
    struct json j = {.arena = arena};
    struct slice inner;
    j.err = look_through(text, &inner);
    if (j.err != ERR_OK)
        return j;
    const char *start = (const char *)inner.ptr;
    const char *end = NULL;
    j.root = cJSON_ParseWithLengthOpts(start, inner.len, &end, false);
    j.at = j.root;
    json_require(&j, j.root && end == start + inner.len);
    return j;
}

struct json json_open_object(struct slice text, struct arena *arena)
{
    struct json j = json_open(text, arena);
    json_require(&j, cJSON_IsObject(j.root));
    return j;
}

void json_close(struct json *j)
{
    cJSON_Delete(j->root);
    j->root = NULL;
    j->at = NULL;
}

void json_fail(struct json *j, enum err err)
{
    if (j->err == ERR_OK)
        j->err = err;
}

void json_require(struct json *j, bool ok)
{
    if (!ok)
        json_fail(j, ERR_FORMAT);
}

/* --- members -------------------------------------------------------------------- */

static const cJSON *find_exact(const struct json *j, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(j->at, key);
    return cJSON_IsNull(item) ? NULL : item;
}

static const cJSON *find_other(const struct json *j, const char *key)
{
    for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
        const char *const *s = spellings[i];
        bool here =
            strcmp(s[0], key) == 0 || strcmp(s[1], key) == 0 || (s[2] && strcmp(s[2], key) == 0);
        for (size_t k = 0; here && k < 3 && s[k]; k++) {
            const cJSON *item = find_exact(j, s[k]);
            if (item)
                return item;
        }
    }
    return NULL;
}

static const cJSON *find(const struct json *j, const char *key)
{
    if (j->err != ERR_OK)
        return NULL;
    const cJSON *item = find_exact(j, key);
    return item ? item : find_other(j, key);
}

bool json_has(const struct json *j, const char *key)
{
    return find(j, key) != NULL;
}

bool json_is_number(const struct json *j, const char *key)
{
    return cJSON_IsNumber(find(j, key));
}

/* --- texts ---------------------------------------------------------------------- */

static struct slice text_take(struct json *j, struct slice text, size_t max)
{
    if (text.len > max)
        json_fail(j, ERR_LIMIT);
    json_require(j, wire_text_ok(text));
    return j->err == ERR_OK ? arena_copy(j->arena, text) : (struct slice){0};
}

struct slice json_peek_text(struct json *j, const char *key)
{
    const cJSON *item = find(j, key);
    if (!item)
        return (struct slice){0};
    json_require(j, cJSON_IsString(item));
    return slice_str(cJSON_GetStringValue(item));
}

struct slice json_text(struct json *j, const char *key, size_t max)
{
    return text_take(j, json_peek_text(j, key), max);
}

/* v is at least -(2^53 - 1); what is above 2^53 - 1 has no fraction left. */
static bool is_whole(double v)
{
    return v > WHOLE_MAX || v == (double)(int64_t)v;
}

/* The text that stands for a value where it is signed; false: it has none. */
static bool canonical(const cJSON *item, char number[static NUMBER_TEXT_BYTES], struct slice *ret)
{
    if (cJSON_IsString(item)) {
        *ret = slice_str(item->valuestring);
    } else if (cJSON_IsBool(item)) {
        *ret = slice_str(cJSON_IsTrue(item) ? "true" : "false");
    } else if (cJSON_IsNull(item)) {
        *ret = slice_str("null");
    } else if (cJSON_IsNumber(item)) {
        double v = item->valuedouble;
        if (!(v >= -WHOLE_MAX && v <= WHOLE_MAX) || !is_whole(v))
            return false;
        int len = snprintf(number, NUMBER_TEXT_BYTES, "%lld", (long long)v);
        *ret = slice_of(number, (size_t)len);
    } else {
        return false;
    }
    return true;
}

struct slice json_loose_text(struct json *j, const char *key, size_t max)
{
    const cJSON *item = find(j, key);
    if (!item)
        return (struct slice){0};
    char number[NUMBER_TEXT_BYTES];
    struct slice text = {0};
    json_require(j, canonical(item, number, &text));
    return text_take(j, text, max);
}

static bool is_string(const cJSON *item, const char *s)
{
    return cJSON_IsString(item) && strcmp(item->valuestring, s) == 0;
}

bool json_names(const struct json *j, const char *key, const char *s)
{
    const cJSON *item = find(j, key);
    if (!cJSON_IsArray(item))
        return is_string(item, s);
    const cJSON *one = item->child;
    while (one && !is_string(one, s))
        one = one->next;
    return one != NULL;
}

struct id json_id_or_none(struct json *j, const char *key)
{
    struct id id = {0};
    struct slice text = json_peek_text(j, key);
    if (json_has(j, key))
        json_require(j, id_parse(text, &id) == ERR_OK);
    return id;
}

struct id json_id(struct json *j, const char *key)
{
    json_require(j, json_has(j, key));
    return json_id_or_none(j, key);
}

/* --- numbers -------------------------------------------------------------------- */

/* Decimal digits alone; false: anything else. What is above 2^53 - 1 stays above. */
static bool digits(struct slice text, double *ret)
{
    double v = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        v = v * 10 + (text.ptr[i] - '0');
    }
    *ret = v;
    return text.len > 0;
}

/* A number as it may come: 7, "7", true. false: none of these, negative, or a fraction. */
static bool number_of(const cJSON *item, double *ret)
{
    if (cJSON_IsBool(item)) {
        *ret = cJSON_IsTrue(item) ? 1 : 0;
        return true;
    }
    if (cJSON_IsString(item))
        return digits(slice_str(item->valuestring), ret);
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || !is_whole(item->valuedouble))
        return false;
    *ret = item->valuedouble;
    return true;
}

uint64_t json_uint(struct json *j, const char *key, uint64_t max)
{
    const cJSON *item = find(j, key);
    double v = 0;
    json_require(j, !item || number_of(item, &v));
    if (v > (double)max)
        json_fail(j, ERR_LIMIT);
    return j->err == ERR_OK ? (uint64_t)v : 0;
}

uint32_t json_u32(struct json *j, const char *key)
{
    return (uint32_t)json_uint(j, key, UINT32_MAX);
}

uint64_t json_u53(struct json *j, const char *key)
{
    return json_uint(j, key, (uint64_t)WHOLE_MAX);
}

static bool flag_of(const cJSON *item, bool *ret)
{
    const char *s = cJSON_IsString(item) ? item->valuestring : NULL;
    double v = 0;
    if (s && strcmp(s, "true") == 0)
        v = 1;
    else if (!(s && (*s == '\0' || strcmp(s, "false") == 0)) && !number_of(item, &v))
        return false;
    *ret = v > 0;
    return true;
}

bool json_flag(struct json *j, const char *key)
{
    const cJSON *item = find(j, key);
    bool flag = false;
    json_require(j, !item || flag_of(item, &flag));
    return flag;
}

double json_real(struct json *j, const char *key)
{
    const cJSON *item = find(j, key);
    if (!item)
        return 0;
    bool ok = cJSON_IsNumber(item) && isfinite(item->valuedouble);
    json_require(j, ok);
    return ok ? item->valuedouble : 0;
}

/* --- bytes ---------------------------------------------------------------------- */

static struct slice blob_take(struct json *j, struct slice text, size_t max)
{
    if (text.len > b64_text_len(max))
        json_fail(j, ERR_LIMIT);
    if (text.len == 0 || j->err != ERR_OK)
        return (struct slice){0};
    uint8_t *bytes = arena_alloc(j->arena, text.len / 4 * 3);
    size_t len = 0;
    enum err err = b64_decode(text, bytes, text.len / 4 * 3, &len);
    if (err == ERR_OK && len > max)
        err = ERR_LIMIT;
    if (err != ERR_OK)
        json_fail(j, err);
    return err == ERR_OK ? slice_of(bytes, len) : (struct slice){0};
}

struct slice json_blob(struct json *j, const char *key, size_t max)
{
    return blob_take(j, json_peek_text(j, key), max);
}

struct slice *json_blobs(struct json *j, const char *key, size_t max_n, size_t max, size_t *ret_n)
{
    *ret_n = 0;
    const cJSON *array = find(j, key);
    json_require(j, !array || cJSON_IsArray(array));
    int n = j->err == ERR_OK && array ? cJSON_GetArraySize(array) : 0;
    if ((size_t)n > max_n)
        json_fail(j, ERR_LIMIT);
    if (n == 0 || j->err != ERR_OK)
        return NULL;
    struct slice *blobs = arena_alloc(j->arena, (size_t)n * sizeof(*blobs));
    for (const cJSON *item = array->child; item && j->err == ERR_OK; item = item->next) {
        json_require(j, cJSON_IsString(item));
        blobs[(*ret_n)++] = blob_take(j, slice_str(cJSON_GetStringValue(item)), max);
    }
    return blobs;
}

void json_bytes(struct json *j, const char *key, void *ret, size_t n)
{
    struct slice bytes = json_blob(j, key, n);
    if (bytes.len > 0 && bytes.len == n)
        memcpy(ret, bytes.ptr, n);
    else
        json_fail(j, ERR_FORMAT);
}

struct slice json_token(struct json *j)
{
    const cJSON *item = find(j, "token");
    if (!cJSON_IsString(item))
        return (struct slice){0};
    uint8_t *bytes = arena_alloc(j->arena, TOKEN_BYTES);
    size_t len = 0;
    enum err err = b64_decode(slice_str(item->valuestring), bytes, TOKEN_BYTES, &len);
    return err == ERR_OK && len == TOKEN_BYTES ? slice_of(bytes, len) : (struct slice){0};
}

struct slice json_reply_id(struct json *j)
{
    struct slice id = json_text(j, "client_id", REPLY_ID_BYTES_MAX);
    json_require(j, id.len > 0);
    return id;
}

/* --- nesting -------------------------------------------------------------------- */

const struct cJSON *json_enter(struct json *j, const char *key)
{
    const struct cJSON *before = j->at;
    const cJSON *item = find(j, key);
    json_require(j, cJSON_IsObject(item));
    if (j->err == ERR_OK)
        j->at = item;
    return before;
}

bool json_is_array(const struct json *j)
{
    return cJSON_IsArray(j->at);
}

const struct cJSON *json_array(struct json *j, const char *key, size_t max, size_t *ret_n)
{
    *ret_n = 0;
    const cJSON *array = key ? find(j, key) : j->at;
    if (!array || j->err != ERR_OK)
        return NULL;
    json_require(j, cJSON_IsArray(array));
    size_t n = 0;
    for (const cJSON *item = array->child; item; item = item->next, n++)
        json_require(j, cJSON_IsObject(item));
    if (n > max)
        json_fail(j, ERR_LIMIT);
    if (j->err != ERR_OK)
        return NULL;
    *ret_n = n;
    return array->child;
}

const struct cJSON *json_next(const struct cJSON *item)
{
    return item->next;
}

/* --- what is signed --------------------------------------------------------------- */

size_t json_fields(struct json *j, struct field ret_fields[static REQUEST_FIELDS_MAX])
{
    size_t n = 0;
    bool auth = false;
    const cJSON *item = j->err == ERR_OK ? j->at->child : NULL;
    for (; item && j->err == ERR_OK; item = item->next) {
        if (strcmp(item->string, "auth") == 0) {
            json_require(j, !auth);
            auth = true;
            continue;
        }
        char number[NUMBER_TEXT_BYTES];
        struct slice value;
        if (n == REQUEST_FIELDS_MAX || !canonical(item, number, &value)) {
            json_fail(j, ERR_FORMAT);
            break;
        }
        if (cJSON_IsNumber(item))
            value = arena_copy(j->arena, value);
        ret_fields[n++] = (struct field){.key = slice_str(item->string), .value = value};
    }
    return j->err == ERR_OK ? n : 0;
}

/* --- peeking ---------------------------------------------------------------------- */

static bool value_end(struct slice t, size_t i, size_t *ret_end)
{
    size_t end = i;
    if (i == t.len)
        return false;
    if (t.ptr[i] == '{' || t.ptr[i] == '[')
        return nested_end(t, i, ret_end) == ERR_OK;
    if (t.ptr[i] == '"')
        end = string_end(t, i);
    else
        while (end < t.len && !is_space(t.ptr[end]) && t.ptr[end] != ',' && t.ptr[end] != '}')
            end++;
    *ret_end = end;
    return end > i;
}

/* The key of the member at i, and where its value begins; false: there is none. */
static bool peek_key(struct slice t, size_t i, struct slice *ret_key, size_t *ret_value)
{
    size_t key = skip_space(t, i);
    if (key == t.len || t.ptr[key] != '"')
        return false;
    size_t end = string_end(t, key);
    if (!end)
        return false;
    size_t colon = skip_space(t, end);
    if (colon == t.len || t.ptr[colon] != ':')
        return false;
    *ret_key = slice_of(t.ptr + key + 1, end - key - 2);
    *ret_value = skip_space(t, colon + 1);
    return *ret_value < t.len;
}

static void peek_note(struct json_peek *peeks, size_t n, struct slice key, struct slice value)
{
    for (size_t i = 0; i < n; i++)
        if (peeks[i].value.len == 0 && slice_eq_str(key, peeks[i].key))
            peeks[i].value = value;
}

enum err json_peek(struct slice text, struct json_peek *peeks, size_t n)
{
    size_t i = skip_space(text, 0);
    if (text.len > PACKET_BYTES_MAX)
        return ERR_LIMIT;
    if (i == text.len || text.ptr[i] != '{')
        return ERR_FORMAT;
    do {
        struct slice key;
        size_t value, end;
        if (!peek_key(text, i + 1, &key, &value))
            return ERR_FORMAT;
        bool first = peeks[0].value.len == 0 && slice_eq_str(key, peeks[0].key);
        if (first && text.ptr[value] == '"') {
            peeks[0].value = slice_of(text.ptr + value, 1);
            return ERR_OK;
        }
        if (!value_end(text, value, &end))
            return ERR_FORMAT;
        peek_note(peeks, n, key, slice_of(text.ptr + value, end - value));
        i = skip_space(text, end);
    } while (i < text.len && text.ptr[i] == ',');
    return i < text.len && text.ptr[i] == '}' ? ERR_OK : ERR_FORMAT;
}

enum err json_peek_flag(struct slice value, bool *ret)
{
    bool flag = false;
    if (value.len > 0 && !slice_eq_str(value, "null")) {
        char text[PEEK_SCALAR_BYTES_MAX + 1] = {0};
        if (value.len > PEEK_SCALAR_BYTES_MAX)
            return ERR_FORMAT;
        memcpy(text, value.ptr, value.len);
        cJSON *item = cJSON_Parse(text);
        bool ok = item && flag_of(item, &flag);
        cJSON_Delete(item);
        if (!ok)
            return ERR_FORMAT;
    }
    *ret = flag;
    return ERR_OK;
}

bool json_peek_is(struct slice value, const char *s)
{
    size_t len = strlen(s);
    return value.len == len + 2 && value.ptr[0] == '"' && memcmp(value.ptr + 1, s, len) == 0;
}
