/*
 * Why: keys and pins are few, small and precious; every way to them is here.
 *   I1  A key file that others may read is refused, never used or mended.
 *   I2  Whatever is written is whole or not there (file_write), mode 0600.
 *   I3  A key is made once: who makes it holds the lock, and has looked again.
 *   I4  The lock is a file that its owner alone may open, and nobody waits for it without end.
 */
#include "client/identity.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "client/say.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { KEY_TEXT_BYTES = 2 * KEY_BYTES, OPEN_TO_OTHERS = 077 };

enum err identity_open(struct identity *ret)
{
    const char *home = getenv("EDGECTL_HOME");
    const char *user_home = getenv("HOME");
    struct identity identity = {.lock_wait_us = IDENTITY_LOCK_WAIT_US};
    int n;
    if (home && home[0])
        n = snprintf(identity.home, sizeof(identity.home), "%s", home);
    else if (user_home && user_home[0])
        n = snprintf(identity.home, sizeof(identity.home), "%s/.config/edge-cluster", user_home);
    else
        return ERR_UNKNOWN;
    if (n < 0 || (size_t)n >= sizeof(identity.home))
        return ERR_LIMIT;
    *ret = identity;
    return ERR_OK;
}

void identity_path(const struct identity *identity, const char *name,
                   char ret[static IDENTITY_PATH_BYTES_MAX])
{
    int n = snprintf(ret, IDENTITY_PATH_BYTES_MAX, "%s/%s", identity->home, name);
    CHECK(n > 0 && n < IDENTITY_PATH_BYTES_MAX);
}

static struct slice trimmed(const char *text, size_t len)
{
    while (len && (text[len - 1] == '\n' || text[len - 1] == '\r' || text[len - 1] == ' '))
        len--;
    return slice_of(text, len);
}

static enum err make_key(const char *path, struct signkey *ret)
{
    struct signkey key;
    char text[KEY_TEXT_BYTES + 1];
    signkey_random(&key);
    hex_encode(slice_of(key.seed, KEY_BYTES), text);
    enum err err = file_write(path, slice_str(text));
    crypto_wipe(text, sizeof(text));
    if (err == ERR_OK)
        *ret = key;
    crypto_wipe(&key, sizeof(key));
    return err;
}

static enum err read_key(const struct identity *identity, struct signkey *ret)
{
    char path[IDENTITY_PATH_BYTES_MAX];
    CLEANUP(mem_free_ptr) char *text = NULL;
    size_t len;
    identity_path(identity, "key", path);
    enum err err = file_read(path, 2 * KEY_TEXT_BYTES, &text, &len);
    if (err != ERR_OK)
        return err == ERR_LIMIT ? ERR_FORMAT : err;
    struct stat st;
    uint8_t seed[KEY_BYTES];
    if (stat(path, &st) != 0)
        err = ERR_IO;
    else if (st.st_mode & OPEN_TO_OTHERS)
        err = ERR_UNAUTHORIZED; /* I1 */
    else
        err = hex_decode(trimmed(text, len), seed, KEY_BYTES);
    if (err == ERR_OK)
        signkey_from_seed(seed, ret);
    crypto_wipe(text, len);
    crypto_wipe(seed, sizeof(seed));
    return err;
}

enum err identity_key(const struct identity *identity, bool make, struct signkey *ret)
{
    char path[IDENTITY_PATH_BYTES_MAX];
    int lock;
    enum err err = read_key(identity, ret);
    if (err != ERR_UNKNOWN || !make)
        return err;
    err = identity_lock(identity, &lock);
    if (err != ERR_OK)
        return err;
    err = read_key(identity, ret); /* I3 */
    identity_path(identity, "key", path);
    if (err == ERR_UNKNOWN)
        err = make_key(path, ret);
    close(lock);
    return err;
}

enum err identity_read(const struct identity *identity, const char *name,
                       uint8_t ret[static OBJECT_BYTES_MAX], size_t *ret_len)
{
    char path[IDENTITY_PATH_BYTES_MAX];
    CLEANUP(mem_free_ptr) char *text = NULL;
    size_t len;
    identity_path(identity, name, path);
    enum err err = file_read(path, 2 * OBJECT_BYTES_MAX, &text, &len);
    if (err != ERR_OK)
        return err;
    return b64_decode(trimmed(text, len), ret, OBJECT_BYTES_MAX, ret_len);
}

enum err identity_write(const struct identity *identity, const char *name, struct slice bytes)
{
    char path[IDENTITY_PATH_BYTES_MAX];
    size_t len = b64_text_len(bytes.len);
    CLEANUP(mem_free_ptr) char *text = mem_alloc(len + 2);
    b64_encode(bytes, text);
    text[len] = '\n';
    identity_path(identity, name, path);
    enum err err = file_make_dir(identity->home);
    return err == ERR_OK ? file_write(path, slice_of(text, len + 1)) : err;
}

/* I4 */
static enum err wait_for_lock(const struct identity *identity, int fd)
{
    const struct timespec again = {.tv_nsec = IDENTITY_LOCK_AGAIN_US * 1000};
    uint64_t end_us = clock_mono_us() + identity->lock_wait_us;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return ERR_IO;
        if (clock_mono_us() >= end_us)
            return ERR_BUSY;
        if (nanosleep(&again, NULL) != 0)
            return ERR_CLOSED; /* no signal is caught but those that end us */
    }
    return ERR_OK;
}

enum err identity_lock(const struct identity *identity, int *ret_fd)
{
    char path[IDENTITY_PATH_BYTES_MAX];
    enum err err = file_make_dir(identity->home);
    if (err != ERR_OK)
        return err;
    identity_path(identity, "lock", path);
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return ERR_IO;
    err = wait_for_lock(identity, fd);
    if (err == ERR_OK) {
        *ret_fd = fd;
        return ERR_OK;
    }
    int saved = errno;
    close(fd);
    errno = saved;
    return err;
}

bool identity_say_locked(const struct identity *identity, enum err err)
{
    if (err == ERR_CLOSED)
        say("interrupted");
    else if (err == ERR_BUSY)
        say("another edgectl has held %s/lock for more than %" PRIu64
            " s; see whether one is stopped, end it, and try again",
            identity->home, identity->lock_wait_us / 1000000);
    return err == ERR_CLOSED || err == ERR_BUSY;
}

enum err streamer_load(const struct identity *identity, const struct zone_params *zone,
                       uint64_t utc_us, struct streamer *ret)
{
    enum err err = identity_key(identity, false, &ret->key);
    if (err == ERR_OK)
        err = identity_read(identity, "credential", ret->bytes, &ret->len);
    if (err == ERR_OK)
        err = credential_open(slice_of(ret->bytes, ret->len), zone, &ret->credential);
    if (err != ERR_OK)
        return err;
    if (ret->credential.kind != CREDENTIAL_STREAMER ||
        !pubkey_eq(&ret->credential.pk, &ret->key.pk))
        return ERR_SIGNATURE;
    return credential_valid_at(&ret->credential, utc_us) ? ERR_OK : ERR_TIMEOUT;
}
