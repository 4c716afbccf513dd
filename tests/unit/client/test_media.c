/*
 * Cutting real clips, which ffmpeg makes once: init first, one fragment each,
 * flags that are true, and a concatenation that players open.
 */
#include "base/check.h"
#include "client/media.h"
#include "client/source.h"
#include "tests/unit/client/zone_of_ours.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { CUT_MAX = 512, COMMAND_BYTES = 1024 };
#define CHUNK_MAX ((size_t)4 * 1024 * 1024)

static char folder[OURS_PATH_BYTES];

/* What came out of one input. */
struct cuts {
    struct fragment f[CUT_MAX]; /* bytes freed; len kept */
    size_t n;
    enum err end;
    char why[MEDIA_WHY_BYTES];
    char codecs[MEDIA_CODECS_BYTES];
    char out[OURS_PATH_BYTES + 16];
};

__attribute__((format(printf, 1, 2))) static void sh(const char *fmt, ...)
{
    char command[COMMAND_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(command, sizeof(command), fmt, args);
    va_end(args);
    if (shell(command) != 0)
        fail_msg("%s", command);
}

static int make_clips(void **state)
{
    (void)state;
    folder_make(folder);
    sh("cd %s && ffmpeg -nostdin -v error -y -f lavfi -i testsrc=size=320x180:rate=24 "
       "-f lavfi -i sine=440 -t 5 -c:v libx264 -preset ultrafast -bf 2 -x264-params b-adapt=0 "
       "-g 24 -pix_fmt yuv420p -c:a aac av.mp4",
       folder);
    sh("cd %s && ffmpeg -nostdin -v error -y -i av.mp4 -c copy av.ts && "
       "ffmpeg -nostdin -v error -y -i av.mp4 -c copy av.mkv && "
       "ffmpeg -nostdin -v error -y -i av.mp4 -vn -c copy a.m4a && "
       "ffmpeg -nostdin -v error -y -i av.mp4 -vn -c:a pcm_s16le a.wav",
       folder);
    sh("cd %s && ffmpeg -nostdin -v error -y -f lavfi -i testsrc=size=160x90:rate=12 -t 20 "
       "-c:v libx264 -preset ultrafast -g 1000 -sc_threshold 0 -pix_fmt yuv420p huge.mp4",
       folder);
    sh("cd %s && ffmpeg -nostdin -v error -y -f lavfi -i testsrc=size=64x64 -frames:v 1 p.png",
       folder);
    return 0;
}

static int remove_clips(void **state)
{
    (void)state;
    folder_remove(folder);
    return 0;
}

static const struct media_options as_file = {.fragment_bytes_max = CHUNK_MAX};
static const struct media_options as_live = {
    .live = true, .fragment_us = 200000, .fragment_bytes_max = CHUNK_MAX};

static void cut_path(const char *path, const struct media_options *options, struct cuts *ret)
{
    struct media *m;
    uint64_t wait_us;
    *ret = (struct cuts){0};
    ret->end = media_open(path, options, &m, ret->why);
    if (ret->end != ERR_OK)
        return;
    snprintf(ret->codecs, sizeof(ret->codecs), "%s", media_codecs(m));
    snprintf(ret->out, sizeof(ret->out), "%s/out.mp4", folder);
    FILE *out = fopen(ret->out, "w");
    while (ret->n < CUT_MAX && (ret->end = media_next(m, 0, &ret->f[ret->n], &wait_us)) == ERR_OK) {
        struct fragment *f = &ret->f[ret->n++];
        assert_memory_equal(f->bytes + 4, f->init ? "ftyp" : "moof", 4);
        assert_int_equal(fwrite(f->bytes, 1, f->len, out), f->len);
        free(f->bytes);
        f->bytes = NULL;
    }
    snprintf(ret->why, sizeof(ret->why), "%s", media_why(m));
    fclose(out);
    media_close(m);
}

static void cut(const char *name, const struct media_options *options, struct cuts *ret)
{
    char path[OURS_PATH_BYTES + 32];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    cut_path(path, options, ret);
}

/* What ffprobe and a decoder say of the concatenation. */
static void assert_plays(unsigned streams, unsigned packets)
{
    sh("cd %s && ffprobe -v error -count_packets -show_entries stream=nb_read_packets -of csv=p=0 "
       "out.mp4 >probe && test $(wc -l <probe) = %u && test $(head -n 1 probe) = %u && "
       "ffmpeg -nostdin -v error -xerror -i out.mp4 -f null - 2>errors && test ! -s errors",
       folder, streams, packets);
}

static void assert_ordered(const struct cuts *c)
{
    assert_int_equal(c->end, ERR_CLOSED);
    assert_true(c->n >= 2);
    assert_true(c->f[0].init);
    for (size_t i = 1; i < c->n; i++) {
        assert_false(c->f[i].init);
        assert_true(c->f[i].len > 0 && c->f[i].len <= CHUNK_MAX);
        if (i > 1)
            assert_true(c->f[i].start_us > c->f[i - 1].start_us);
    }
}

static void test_file(void **state)
{
    (void)state;
    struct cuts c;
    cut("av.mp4", &as_file, &c);
    assert_ordered(&c);
    assert_int_equal(c.n, 1 + 5); /* a keyframe every second */
    for (size_t i = 1; i < c.n; i++)
        assert_true(c.f[i].keyframe);
    assert_int_equal(c.f[1].start_us, 0);
    assert_in_range(c.f[1].duration_us, 990000, 1010000);
    assert_non_null(strstr(c.codecs, "avc1."));
    assert_non_null(strstr(c.codecs, ",mp4a.40.2"));
    assert_plays(2, 120);
}

/* With B-frames, edit lists must survive: video begins where it began. */
static void test_start_time(void **state)
{
    (void)state;
    struct cuts c;
    cut("av.mp4", &as_file, &c);
    sh("cd %s && for f in av.mp4 out.mp4; do ffprobe -v error -select_streams v:0 "
       "-show_entries frame=pts_time -read_intervals %%+#1 -of csv=p=0 $f | head -n 1; done | "
       "uniq | wc -l >n && test $(cat n) = 1",
       folder);
}

static void test_other_containers(void **state)
{
    (void)state;
    struct cuts c;
    cut("av.ts", &as_file, &c);
    assert_ordered(&c);
    assert_plays(2, 120);
    cut("av.mkv", &as_file, &c);
    assert_ordered(&c);
    assert_plays(2, 120);
}

static void test_audio_only(void **state)
{
    (void)state;
    struct cuts c;
    cut("a.m4a", &as_file, &c);
    assert_ordered(&c);
    for (size_t i = 1; i < c.n; i++) {
        assert_true(c.f[i].keyframe);
        if (i + 1 < c.n)
            assert_in_range(c.f[i].duration_us, 1000000, 1100000);
    }
    assert_string_equal(c.codecs, "mp4a.40.2");
    sh("cd %s && ffmpeg -nostdin -v error -xerror -i out.mp4 -f null -", folder);
}

static void test_huge_group_of_pictures(void **state)
{
    (void)state;
    struct cuts c;
    cut("huge.mp4", &as_file, &c);
    assert_ordered(&c);
    assert_int_equal(c.n, 1 + 3); /* 8 s, 8 s, the rest */
    assert_true(c.f[1].keyframe);
    assert_false(c.f[2].keyframe);
    assert_false(c.f[3].keyframe);
    assert_in_range(c.f[1].duration_us, 8000000, 8100000);
    assert_plays(1, 240);
}

static void test_live(void **state)
{
    (void)state;
    struct cuts c;
    cut("av.mp4", &as_live, &c);
    assert_ordered(&c);
    unsigned keyframes = 0;
    for (size_t i = 1; i < c.n; i++) {
        keyframes += c.f[i].keyframe;
        assert_true(c.f[i].duration_us <= 250000);
    }
    assert_int_equal(keyframes, 5);
    assert_plays(2, 120);
}

static void test_size_limit(void **state)
{
    (void)state;
    struct cuts c;
    struct media_options small = as_file;
    small.fragment_bytes_max = 16 * 1024;
    cut("huge.mp4", &small, &c);
    assert_ordered(&c);
    assert_true(c.n > 4);
    for (size_t i = 0; i < c.n; i++)
        assert_true(c.f[i].len <= small.fragment_bytes_max);
    assert_plays(1, 240);
    small.fragment_bytes_max = 900; /* not even one frame fits */
    cut("huge.mp4", &small, &c);
    assert_int_equal(c.end, ERR_LIMIT);
    assert_non_null(strstr(c.why, "900 bytes"));
}

static void test_same_again(void **state)
{
    (void)state;
    struct cuts c;
    cut("av.mp4", &as_file, &c);
    sh("cd %s && cp out.mp4 before.mp4", folder);
    cut("av.mp4", &as_file, &c);
    sh("cd %s && cmp out.mp4 before.mp4", folder);
}

/* A loop's times go on growing, and what comes out is one long film. */
static void test_loop(void **state)
{
    (void)state;
    struct media_options loop = as_live;
    loop.loop = true;
    char path[OURS_PATH_BYTES + 32], why[MEDIA_WHY_BYTES], out[OURS_PATH_BYTES + 16];
    snprintf(path, sizeof(path), "%s/av.mp4", folder);
    snprintf(out, sizeof(out), "%s/out.mp4", folder);
    struct media *m;
    assert_int_equal(media_open(path, &loop, &m, why), ERR_OK);
    FILE *file = fopen(out, "w");
    uint64_t last_us = 0, wait_us;
    while (last_us < 14 * 1000 * 1000) {
        struct fragment f;
        assert_int_equal(media_next(m, 0, &f, &wait_us), ERR_OK);
        /* The first frame of a round is decoded before it is shown: a little back is right. */
        assert_true(f.start_us + 100000 >= last_us && f.start_us < last_us + 300000);
        last_us = f.start_us;
        fwrite(f.bytes, 1, f.len, file);
        free(f.bytes);
    }
    fclose(file);
    media_close(m);
    sh("cd %s && ffmpeg -nostdin -v error -xerror -i out.mp4 -f null - 2>errors && test ! -s "
       "errors",
       folder);
}

static void test_paced(void **state)
{
    (void)state;
    struct media_options paced = as_live;
    paced.paced = true;
    char path[OURS_PATH_BYTES + 32], why[MEDIA_WHY_BYTES];
    snprintf(path, sizeof(path), "%s/av.mp4", folder);
    struct media *m;
    assert_int_equal(media_open(path, &paced, &m, why), ERR_OK);
    uint64_t now_us = 77777, wait_us, media_us = 0;
    enum err err;
    struct fragment f;
    while ((err = media_next(m, now_us, &f, &wait_us)) != ERR_CLOSED) {
        if (err == ERR_BUSY) {
            assert_true(wait_us > now_us && wait_us - now_us < 500000);
            now_us = wait_us;
            continue;
        }
        assert_int_equal(err, ERR_OK);
        media_us = f.start_us + f.duration_us;
        free(f.bytes);
    }
    media_close(m);
    assert_in_range(now_us - 77777, media_us - 500000, media_us + 100000);
}

static void test_not_media(void **state)
{
    (void)state;
    struct cuts c;
    cut("a.wav", &as_file, &c); /* PCM does not go into MP4 */
    assert_int_equal(c.end, ERR_FORMAT);
    cut("p.png", &as_file, &c); /* a picture is no film */
    assert_int_equal(c.end, ERR_FORMAT);
    cut_path("/proc/self/cmdline", &as_file, &c);
    assert_int_not_equal(c.end, ERR_OK);
    cut("missing.mp4", &as_file, &c);
    assert_int_equal(c.end, ERR_IO);
    assert_true(c.why[0] != '\0');
}

static bool always(void)
{
    return true;
}

static void test_interrupted(void **state)
{
    (void)state;
    struct cuts c;
    struct media_options options = as_live;
    options.interrupted = always;
    cut("av.mp4", &options, &c);
    assert_true(c.end == ERR_IO || c.end == ERR_CLOSED || c.end == ERR_FORMAT);
}

/* A file that is no media goes in pieces, as it is. */
static void test_source_as_it_is(void **state)
{
    (void)state;
    char path[OURS_PATH_BYTES + 32];
    struct source s;
    struct fragment f;
    snprintf(path, sizeof(path), "%s/raw", folder);
    sh("cd %s && head -c 1048577 /dev/zero >raw && : >empty", folder);
    assert_int_equal(source_open(&s, path), ERR_OK);
    assert_string_equal(source_media_type(&s), "application/octet-stream");
    assert_int_equal(source_next(&s, &f), ERR_OK);
    assert_int_equal(f.len, SOURCE_PIECE_BYTES);
    free(f.bytes);
    assert_int_equal(source_next(&s, &f), ERR_OK);
    assert_int_equal(f.len, 1);
    free(f.bytes);
    assert_int_equal(source_next(&s, &f), ERR_CLOSED);
    source_close(&s);
    snprintf(path, sizeof(path), "%s/empty", folder);
    assert_int_equal(source_open(&s, path), ERR_IO);
    source_close(&s);
    assert_int_equal(source_open(&s, folder), ERR_IO);
    source_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_start_time),
        cmocka_unit_test(test_other_containers),
        cmocka_unit_test(test_audio_only),
        cmocka_unit_test(test_huge_group_of_pictures),
        cmocka_unit_test(test_live),
        cmocka_unit_test(test_size_limit),
        cmocka_unit_test(test_same_again),
        cmocka_unit_test(test_loop),
        cmocka_unit_test(test_paced),
        cmocka_unit_test(test_not_media),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_source_as_it_is),
    };
    return cmocka_run_group_tests(tests, make_clips, remove_clips);
}
