#include "base/config.h"

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { ENV_NAME_BYTES_MAX = 64 };

static struct option *find(const struct option *options, struct slice name)
{
    for (const struct option *o = options; o->name; o++)
        if (slice_eq_str(name, o->name))
            return (struct option *)(uintptr_t)o;
    return NULL;
}

static void env_name(const struct option *o, char ret[static ENV_NAME_BYTES_MAX])
{
    const char *name = o->env ? o->env : o->name;
    size_t i = 0;
    for (; name[i] && i < ENV_NAME_BYTES_MAX - 1; i++) {
        char c = name[i];
        ret[i] = c == '-' ? '_' : (c >= 'a' && c <= 'z') ? (char)(c - 'a' + 'A') : c;
    }
    ret[i] = '\0';
}

static bool flag_is_true(struct slice v)
{
    return slice_eq_str(v, "1") || slice_eq_str(v, "true") || slice_eq_str(v, "yes");
}

static bool flag_is_false(struct slice v)
{
    return slice_eq_str(v, "0") || slice_eq_str(v, "false") || slice_eq_str(v, "no") || !v.len;
}

static bool uint_parse(const char *text, uint64_t *ret)
{
    if (text[0] < '0' || text[0] > '9')
        return false;
    char *end;
    errno = 0;
    uint64_t v = strtoull(text, &end, 10);
    if (errno || *end)
        return false;
    *ret = v;
    return true;
}

static void value_free(struct option *o)
{
    mem_free_secret(o->value);
    o->value = NULL;
}

/* Set one option from text; where says who asks ("--x", "X in .env"). */
static enum err set(struct option *o, struct slice text, const char *where, char *ret_error)
{
    if (text.len > OPTION_VALUE_BYTES_MAX) {
        snprintf(ret_error, CONFIG_ERROR_BYTES, "%s is longer than %d bytes; shorten it", where,
                 OPTION_VALUE_BYTES_MAX);
        return ERR_FORMAT;
    }
    char *value = mem_alloc(text.len + 1);
    memcpy(value, text.ptr, text.len);
    uint64_t number;
    bool ok = true;
    if (o->kind == OPTION_UINT)
        ok = uint_parse(value, &number) && number >= o->min && number <= o->max;
    else if (o->kind == OPTION_FLAG)
        ok = flag_is_true(text) || flag_is_false(text);
    if (!ok) {
        if (o->kind == OPTION_UINT)
            snprintf(ret_error, CONFIG_ERROR_BYTES,
                     "%s is '%.40s'; give a whole number from %llu to %llu", where, value,
                     (unsigned long long)o->min, (unsigned long long)o->max);
        else
            snprintf(ret_error, CONFIG_ERROR_BYTES, "%s is '%.40s'; give 1 or 0", where, value);
        free(value);
        return ERR_FORMAT;
    }
    value_free(o);
    o->value = value;
    return ERR_OK;
}

/* The value of NAME=value in the text of a .env file; later lines win. */
static bool env_file_get(const char *text, const char *name, struct slice *ret)
{
    bool found = false;
    size_t name_len = strlen(name);
    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\r\n");
        struct slice s = slice_of(line, len);
        if (slice_starts(s, "export "))
            s = slice_from(s, strlen("export "));
        if (s.len > name_len && slice_starts(s, name) && s.ptr[name_len] == '=') {
            s = slice_from(s, name_len + 1);
            if (s.len >= 2 && (s.ptr[0] == '"' || s.ptr[0] == '\'') && s.ptr[s.len - 1] == s.ptr[0])
                s = slice_of(s.ptr + 1, s.len - 2);
            *ret = s;
            found = true;
        }
        line += len;
        line += strspn(line, "\r\n");
    }
    return found;
}

static enum err load_surroundings(struct option *options, const char *env_file, char *ret_error)
{
    for (struct option *o = options; o->name; o++) {
        char name[ENV_NAME_BYTES_MAX];
        char where[ENV_NAME_BYTES_MAX + 16];
        struct slice text;
        env_name(o, name);
        const char *env = getenv(name);
        if (env) {
            text = slice_str(env);
            snprintf(where, sizeof(where), "%s", name);
        } else if (env_file && env_file_get(env_file, name, &text)) {
            snprintf(where, sizeof(where), "%s in .env", name);
        } else if (o->fallback) {
            text = slice_str(o->fallback);
            snprintf(where, sizeof(where), "default of --%s", o->name);
        } else {
            continue;
        }
        if (set(o, text, where, ret_error) != ERR_OK)
            return ERR_FORMAT;
    }
    return ERR_OK;
}

/* The option that a flag names, as "--name", "--name=value" or "-n"; the value if it is inside. */
static struct option *flag_option(struct option *options, char *flag, char **ret_value)
{
    *ret_value = NULL;
    if (flag[1] != '-') {
        for (struct option *o = options; o->name; o++)
            if (o->letter && flag[1] == o->letter && flag[2] == '\0')
                return o;
        return NULL;
    }
    size_t name_len = strcspn(flag + 2, "=");
    if (flag[2 + name_len] == '=')
        *ret_value = flag + 2 + name_len + 1;
    return find(options, slice_of(flag + 2, name_len));
}

/* A secret on the command line is there for all to read until this. */
static void wipe_argument(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
}

/* One flag at argv[*i]; consumes its value. */
static enum err load_flag(struct option *options, int argc, char **argv, int *i, char *ret_error)
{
    char *value;
    struct option *o = flag_option(options, argv[*i], &value);
    char where[ENV_NAME_BYTES_MAX];
    snprintf(where, sizeof(where), "%.*s", (int)strcspn(argv[*i], "="), argv[*i]);
    if (!o) {
        snprintf(ret_error, CONFIG_ERROR_BYTES, "there is no option %s; --help lists them", where);
        return ERR_FORMAT;
    }
    if (o->secret) {
        char name[ENV_NAME_BYTES_MAX];
        env_name(o, name);
        wipe_argument(value ? value : *i + 1 < argc ? argv[*i + 1] : NULL);
        snprintf(ret_error, CONFIG_ERROR_BYTES,
                 "%s is no option, for all can read a command line; set %s in the environment or "
                 "in .env",
                 where, name);
        return ERR_FORMAT;
    }
    if (!value && o->kind == OPTION_FLAG)
        return set(o, slice_str("1"), where, ret_error);
    if (!value && *i + 1 >= argc) {
        snprintf(ret_error, CONFIG_ERROR_BYTES, "%s needs a value: %s", where, o->help);
        return ERR_FORMAT;
    }
    if (!value)
        value = argv[++*i];
    enum err err = set(o, slice_str(value), where, ret_error);
    if (o->wiped)
        wipe_argument(value);
    return err;
}

enum err config_load(struct option *options, int argc, char **argv, const char **ret_positional,
                     int *ret_positional_n, char ret_error[static CONFIG_ERROR_BYTES])
{
    CLEANUP(mem_free_secret_ptr) char *env_file = NULL;
    size_t len;
    enum err err = file_read(".env", CONFIG_ENV_FILE_BYTES_MAX, &env_file, &len);
    if (err != ERR_OK && err != ERR_UNKNOWN) {
        snprintf(ret_error, CONFIG_ERROR_BYTES, ".env cannot be read (%s); mend or remove it",
                 err == ERR_LIMIT ? "too large" : strerror(errno));
        return ERR_FORMAT;
    }
    if (load_surroundings(options, env_file, ret_error) != ERR_OK)
        return ERR_FORMAT;
    int positional_n = 0;
    bool flags = true;
    for (int i = 0; i < argc; i++) {
        if (flags && strcmp(argv[i], "--") == 0)
            flags = false;
        else if (!flags || argv[i][0] != '-' || argv[i][1] == '\0')
            ret_positional[positional_n++] = argv[i];
        else if (load_flag(options, argc, argv, &i, ret_error) != ERR_OK)
            return ERR_FORMAT;
    }
    *ret_positional_n = positional_n;
    return ERR_OK;
}

void config_release(struct option *options)
{
    for (struct option *o = options; o->name; o++)
        value_free(o);
}

void config_forget(struct option *options)
{
    for (struct option *o = options; o->name; o++)
        if (o->secret || o->wiped)
            value_free(o);
}

const char *config_text(const struct option *options, const char *name)
{
    const struct option *o = find(options, slice_str(name));
    CHECK(o);
    return o->value;
}

uint64_t config_uint(const struct option *options, const char *name)
{
    const char *text = config_text(options, name);
    uint64_t v = 0;
    CHECK(text && uint_parse(text, &v));
    return v;
}

bool config_flag(const struct option *options, const char *name)
{
    const char *text = config_text(options, name);
    return text && flag_is_true(slice_str(text));
}

bool config_asked(int argc, char **argv, const char *flag)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], flag) == 0)
            return true;
    return false;
}

void config_print_help(const struct option *options)
{
    bool secrets = false;
    for (const struct option *o = options; o->name; o++) {
        secrets = secrets || o->secret;
        if (o->secret)
            continue;
        if (o->letter)
            printf("  -%c, ", o->letter);
        else
            printf("      ");
        printf("--%-22s %s", o->name, o->help);
        if (o->fallback)
            printf(" (default %s)", o->fallback);
        printf("\n");
    }
    if (secrets)
        printf("\nOnly in the environment or in .env:\n");
    for (const struct option *o = options; o->name; o++) {
        char name[ENV_NAME_BYTES_MAX];
        env_name(o, name);
        if (o->secret)
            printf("      %-24s %s\n", name, o->help);
    }
}
