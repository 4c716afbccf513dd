/*
 * Fragments are cut explicitly, always before a packet:
 *
 *   read --pending--> cut due? --yes--> flush the muxer: a fragment
 *     ^                  | no                |
 *     +---- write <------+<------------------+
 *
 *   I1  A fragment holds at least one packet, and less than fragment_bytes_max
 *       unless that packet alone is larger (which is an error).
 *   I2  The muxer's first flush gives the init segment alone (delay_moov: it has
 *       seen packets by then, so edit lists and codec headers are true); every
 *       later flush gives exactly one fragment.
 *   I3  Decoding times grow strictly in each stream, whatever the input says.
 */
#include "client/media.h"

#include "base/check.h"
#include "base/mem.h"

#include <libavcodec/avcodec.h>
#include <libavcodec/bsf.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TRACKS_MAX = 2,
    AVIO_BYTES = 64 * 1024,
    SAMPLE_OVERHEAD_BYTES = 256, /* what a sample may cost in moof, or as NAL units are rewritten */
    FRAGMENT_OVERHEAD_BYTES = 4096,
    READ_ERRORS_MAX = 100, /* damaged packets in a row before the input is given up */
};

struct track {
    int input_index;
    AVRational input_base;
    AVStream *out;
    AVBSFContext *filter; /* owned; NULL: none */
    bool video;
    bool seen;
    int64_t last_dts; /* in out's time base; AV_NOPTS_VALUE at first */
};

struct media {
    struct media_options options;
    AVFormatContext *in;
    AVFormatContext *out;
    AVPacket *pending; /* rescaled, waiting to be written */
    bool has_pending, has_video, at_end, init_done, rewound;
    struct track tracks[TRACKS_MAX];
    int tracks_n;
    int64_t shift_us; /* added to input times */
    int64_t end_us;   /* the latest end of a packet so far */
    uint64_t paced_from_us;
    bool pacing;
    /* the fragment that is being filled */
    unsigned packets_n;
    int64_t start_us, first_start_us;
    size_t estimate_bytes;
    bool video_seen, keyframe;
    /* what the muxer writes */
    uint8_t *bytes;
    size_t len, cap;
    char codecs[MEDIA_CODECS_BYTES];
    char why[MEDIA_WHY_BYTES];
};

__attribute__((format(printf, 3, 4))) static enum err fail(struct media *m, enum err err,
                                                           const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(m->why, sizeof(m->why), fmt, args);
    va_end(args);
    return err;
}

static enum err fail_av(struct media *m, enum err err, const char *what, int code)
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(code, text, sizeof(text));
    return fail(m, err, "%s: %s", what, text);
}

/* ------------------------------------------------------------------ opening */

static int is_interrupted(void *opaque)
{
    const struct media *m = opaque;
    return m->options.interrupted && m->options.interrupted();
}

/* What players of fragmented MP4 know; everything else travels as it is. */
static bool codec_allowed(enum AVCodecID id)
{
    switch (id) {
    case AV_CODEC_ID_H264:
    case AV_CODEC_ID_HEVC:
    case AV_CODEC_ID_AV1:
    case AV_CODEC_ID_VP9:
    case AV_CODEC_ID_MPEG4:
    case AV_CODEC_ID_AAC:
    case AV_CODEC_ID_MP3:
    case AV_CODEC_ID_AC3:
    case AV_CODEC_ID_EAC3:
    case AV_CODEC_ID_OPUS:
    case AV_CODEC_ID_FLAC:
    case AV_CODEC_ID_ALAC: return true;
    default: return false;
    }
}

/*
 * MP4 files say all that is needed in their head. Looking further would decode
 * the first pictures, which for a large film costs more memory than all the rest.
 */
static bool fully_described(const AVFormatContext *in)
{
    if (strncmp(in->iformat->name, "mov,mp4", strlen("mov,mp4")) != 0)
        return false;
    for (unsigned i = 0; i < in->nb_streams; i++) {
        const AVCodecParameters *par = in->streams[i]->codecpar;
        bool video = par->codec_type == AVMEDIA_TYPE_VIDEO && par->width > 0;
        bool audio = par->codec_type == AVMEDIA_TYPE_AUDIO && par->sample_rate > 0;
        bool h264_aac = par->codec_id == AV_CODEC_ID_H264 || par->codec_id == AV_CODEC_ID_AAC;
        if ((video || audio) && !(h264_aac && par->extradata_size > 0))
            return false;
    }
    return in->nb_streams > 0;
}

static enum err open_input(struct media *m, const char *input)
{
    const char *url = strcmp(input, "-") == 0 ? "pipe:0" : input;
    m->in = avformat_alloc_context();
    CHECK(m->in);
    m->in->interrupt_callback = (AVIOInterruptCB){is_interrupted, m};
    m->in->flags |= AVFMT_FLAG_DISCARD_CORRUPT;
    int rc = avformat_open_input(&m->in, url, NULL, NULL);
    if (rc == AVERROR_INVALIDDATA)
        return fail(m, ERR_FORMAT, "%.160s is no audio or video that libavformat knows", input);
    if (rc < 0)
        return fail_av(m, ERR_IO, "it cannot be opened", rc);
    rc = fully_described(m->in) ? 0 : avformat_find_stream_info(m->in, NULL);
    if (rc < 0)
        return fail_av(m, ERR_FORMAT, "its streams cannot be read", rc);
    return ERR_OK;
}

static int find_stream(const struct media *m, enum AVMediaType type)
{
    int index = av_find_best_stream(m->in, type, -1, -1, NULL, 0);
    if (index >= 0 && m->in->streams[index]->disposition & AV_DISPOSITION_ATTACHED_PIC)
        return -1;
    return index;
}

/* The part of the stream that a player must know about and codec parameters do not hold. */
static void copy_side_data(const AVStream *from, AVStream *to)
{
    for (int i = 0; i < from->nb_side_data; i++) {
        const AVPacketSideData *side = &from->side_data[i];
        if (side->type != AV_PKT_DATA_DISPLAYMATRIX)
            continue;
        uint8_t *copy = av_stream_new_side_data(to, side->type, side->size);
        CHECK(copy);
        memcpy(copy, side->data, side->size);
    }
}

/*
 * AAC from a transport stream has a header in front of every frame and none for
 * the whole, which MP4 has the other way round; with delay_moov the muxer does
 * not see to that itself.
 */
static enum err add_filter(struct media *m, struct track *t)
{
    const AVCodecParameters *par = t->out->codecpar;
    if (par->codec_id != AV_CODEC_ID_AAC || par->extradata_size > 0)
        return ERR_OK;
    const AVBitStreamFilter *filter = av_bsf_get_by_name("aac_adtstoasc");
    if (!filter || av_bsf_alloc(filter, &t->filter) < 0)
        return fail(m, ERR_IO, "libavcodec lacks aac_adtstoasc");
    CHECK(avcodec_parameters_copy(t->filter->par_in, par) >= 0);
    t->filter->time_base_in = t->input_base;
    int rc = av_bsf_init(t->filter);
    return rc < 0 ? fail_av(m, ERR_FORMAT, "its AAC stream is not usable", rc) : ERR_OK;
}

static enum err add_track(struct media *m, int index, bool video)
{
    AVStream *from = m->in->streams[index];
    enum AVCodecID id = from->codecpar->codec_id;
    if (!codec_allowed(id) || avformat_query_codec(m->out->oformat, id, FF_COMPLIANCE_NORMAL) != 1)
        return fail(m, ERR_FORMAT, "its %s codec %s does not go into fragmented MP4 here",
                    video ? "video" : "audio", avcodec_get_name(id));
    AVStream *to = avformat_new_stream(m->out, NULL);
    CHECK(to && avcodec_parameters_copy(to->codecpar, from->codecpar) >= 0);
    to->codecpar->codec_tag = 0;
    if (id == AV_CODEC_ID_HEVC)
        to->codecpar->codec_tag = MKTAG('h', 'v', 'c', '1');
    to->time_base = from->time_base;
    to->avg_frame_rate = from->avg_frame_rate;
    to->sample_aspect_ratio = from->sample_aspect_ratio;
    copy_side_data(from, to);
    m->tracks[m->tracks_n++] = (struct track){.input_index = index,
                                              .input_base = from->time_base,
                                              .out = to,
                                              .video = video,
                                              .last_dts = AV_NOPTS_VALUE};
    m->has_video = m->has_video || video;
    return add_filter(m, &m->tracks[m->tracks_n - 1]);
}

static enum err choose_streams(struct media *m)
{
    int video = find_stream(m, AVMEDIA_TYPE_VIDEO);
    int audio = find_stream(m, AVMEDIA_TYPE_AUDIO);
    if (video < 0 && audio < 0)
        return fail(m, ERR_FORMAT, "it has neither a video nor an audio stream");
    for (unsigned i = 0; i < m->in->nb_streams; i++)
        if ((int)i != video && (int)i != audio)
            m->in->streams[i]->discard = AVDISCARD_ALL;
    if (video >= 0 && add_track(m, video, true) != ERR_OK)
        return ERR_FORMAT;
    if (audio >= 0 && add_track(m, audio, false) != ERR_OK)
        return ERR_FORMAT;
    return ERR_OK;
}

/* The muxer delivers here; one flush is one init segment or fragment (I2). */
static int on_output(void *opaque, uint8_t *buf, int len)
{
    struct media *m = opaque;
    size_t n = (size_t)len;
    if (m->cap - m->len < n) {
        while (m->cap - m->len < n)
            m->cap = m->cap ? m->cap * 2 : AVIO_BYTES;
        m->bytes = mem_resize(m->bytes, m->cap);
    }
    memcpy(m->bytes + m->len, buf, n);
    m->len += n;
    return len;
}

static enum err open_output(struct media *m)
{
    if (avformat_alloc_output_context2(&m->out, NULL, "mp4", NULL) < 0)
        return fail(m, ERR_IO, "libavformat has no MP4 muxer");
    uint8_t *buf = av_malloc(AVIO_BYTES);
    CHECK(buf);
    m->out->pb = avio_alloc_context(buf, AVIO_BYTES, 1, m, NULL, on_output, NULL);
    CHECK(m->out->pb);
    m->out->pb->seekable = 0;
    m->out->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT;
    return choose_streams(m);
}

static enum err start_output(struct media *m)
{
    AVDictionary *flags = NULL;
    av_dict_set(&flags, "movflags", "frag_custom+delay_moov+default_base_moof+skip_trailer", 0);
    int rc = avformat_write_header(m->out, &flags);
    av_dict_free(&flags);
    if (rc < 0)
        return fail_av(m, ERR_FORMAT, "it does not go into fragmented MP4", rc);
    return ERR_OK;
}

static void name_codec(const AVCodecParameters *par, char *ret, size_t cap)
{
    const uint8_t *x = par->extradata;
    if (par->codec_id == AV_CODEC_ID_H264 && par->extradata_size >= 4 && x[0] == 1)
        snprintf(ret, cap, "avc1.%02x%02x%02x", x[1], x[2], x[3]);
    else if (par->codec_id == AV_CODEC_ID_H264 && par->profile >= 0 && par->level >= 0)
        snprintf(ret, cap, "avc1.%02x%02x%02x", (unsigned)par->profile & 0xff,
                 par->profile & FF_PROFILE_H264_CONSTRAINED ? 0x40u : 0u,
                 (unsigned)par->level & 0xff);
    else if (par->codec_id == AV_CODEC_ID_AAC && par->extradata_size > 0 && x[0] >> 3 < 31)
        snprintf(ret, cap, "mp4a.40.%u", (unsigned)x[0] >> 3); /* the audio object type */
    else if (par->codec_id == AV_CODEC_ID_AAC)
        snprintf(ret, cap, "mp4a.40.%d", par->profile >= 0 ? par->profile + 1 : 2);
    else if (par->codec_id == AV_CODEC_ID_AC3)
        snprintf(ret, cap, "ac-3");
    else if (par->codec_id == AV_CODEC_ID_EAC3)
        snprintf(ret, cap, "ec-3");
    else
        snprintf(ret, cap, "%.24s", avcodec_get_name(par->codec_id));
}

static void name_codecs(struct media *m)
{
    for (int i = 0; i < m->tracks_n; i++) {
        size_t used = strlen(m->codecs);
        if (i)
            m->codecs[used++] = ',';
        name_codec(m->tracks[i].out->codecpar, m->codecs + used, sizeof(m->codecs) - used);
    }
}

enum err media_open(const char *input, const struct media_options *options,
                    struct media **ret_media, char ret_why[static MEDIA_WHY_BYTES])
{
    av_log_set_level(AV_LOG_QUIET);
    struct media *m = mem_alloc(sizeof(*m));
    m->options = *options;
    m->pending = av_packet_alloc();
    CHECK(m->pending);
    enum err err = open_input(m, input);
    if (err == ERR_OK)
        err = open_output(m);
    if (err == ERR_OK)
        err = start_output(m);
    if (err != ERR_OK) {
        memcpy(ret_why, m->why, MEDIA_WHY_BYTES);
        media_close(m);
        return err;
    }
    if (m->in->start_time != AV_NOPTS_VALUE)
        m->shift_us = -m->in->start_time;
    name_codecs(m);
    *ret_media = m;
    return ERR_OK;
}

void media_close(struct media *m)
{
    if (!m)
        return;
    if (m->out) {
        if (m->out->pb) {
            av_freep(&m->out->pb->buffer);
            avio_context_free(&m->out->pb);
        }
        avformat_free_context(m->out);
    }
    for (int i = 0; i < m->tracks_n; i++)
        av_bsf_free(&m->tracks[i].filter);
    avformat_close_input(&m->in);
    av_packet_free(&m->pending);
    free(m->bytes);
    free(m);
}

const char *media_codecs(const struct media *m)
{
    return m->codecs;
}

const char *media_why(const struct media *m)
{
    return m->why;
}

/* ------------------------------------------------------------------ reading */

static struct track *track_of(struct media *m, int input_index)
{
    for (int i = 0; i < m->tracks_n; i++)
        if (m->tracks[i].input_index == input_index)
            return &m->tracks[i];
    return NULL;
}

static int64_t packet_us(const struct track *t, int64_t ts)
{
    return av_rescale_q(ts, t->out->time_base, AV_TIME_BASE_Q);
}

/* Into the output's time, growing strictly (I3). */
static void retime(struct media *m, struct track *t, AVPacket *p)
{
    int64_t shift = av_rescale_q(m->shift_us, AV_TIME_BASE_Q, t->input_base);
    if (p->dts != AV_NOPTS_VALUE)
        p->dts += shift;
    if (p->pts != AV_NOPTS_VALUE)
        p->pts += shift;
    av_packet_rescale_ts(p, t->input_base, t->out->time_base);
    int64_t next = t->last_dts == AV_NOPTS_VALUE ? 0 : t->last_dts + 1;
    if (p->dts == AV_NOPTS_VALUE)
        p->dts = t->last_dts == AV_NOPTS_VALUE && p->pts != AV_NOPTS_VALUE ? p->pts : next;
    if (t->last_dts != AV_NOPTS_VALUE && p->dts < next)
        p->dts = next;
    if (p->pts == AV_NOPTS_VALUE || p->pts < p->dts)
        p->pts = p->dts;
    t->last_dts = p->dts;
    t->seen = true;
    p->stream_index = t->out->index;
    p->pos = -1;
    int64_t end_us = packet_us(t, p->dts + (p->duration > 0 ? p->duration : 1));
    if (end_us > m->end_us)
        m->end_us = end_us;
}

/* Through the track's filter, one in, one out; false: the packet is damaged. */
static bool filtered(struct track *t, AVPacket *p)
{
    return !t->filter ||
           (av_bsf_send_packet(t->filter, p) >= 0 && av_bsf_receive_packet(t->filter, p) >= 0);
}

/* Back to the beginning; times go on from the end. */
static enum err rewind_input(struct media *m)
{
    int64_t start = m->in->start_time != AV_NOPTS_VALUE ? m->in->start_time : 0;
    int rc = avformat_seek_file(m->in, -1, INT64_MIN, start, start, 0);
    if (rc < 0)
        return fail_av(m, ERR_IO, "it cannot be read from the beginning again", rc);
    m->shift_us = m->end_us - start;
    m->rewound = true;
    return ERR_OK;
}

/* What an encoder puts before the beginning (AAC's priming) has no place between two rounds. */
static bool before_start(const struct media *m, const struct track *t, const AVPacket *p)
{
    int64_t start = m->in->start_time != AV_NOPTS_VALUE ? m->in->start_time : 0;
    return m->rewound && !t->video && p->pts != AV_NOPTS_VALUE &&
           av_rescale_q(p->pts + p->duration, t->input_base, AV_TIME_BASE_Q) <= start;
}

/* Fill pending. ERR_CLOSED: there is nothing more. */
static enum err read_packet(struct media *m)
{
    bool rewound = false;
    for (unsigned errors = 0; errors < READ_ERRORS_MAX;) {
        int rc = av_read_frame(m->in, m->pending);
        if (rc == AVERROR_EOF && m->options.loop && !rewound) {
            if (rewind_input(m) != ERR_OK)
                return ERR_IO;
            rewound = true;
            continue;
        }
        if (rc == AVERROR_EOF || rc == AVERROR_EXIT || is_interrupted(m))
            return ERR_CLOSED;
        if (rc == AVERROR_INVALIDDATA || rc == AVERROR(EAGAIN)) {
            errors++;
            continue;
        }
        if (rc < 0)
            return fail_av(m, ERR_IO, "reading the input failed", rc);
        struct track *t = track_of(m, m->pending->stream_index);
        bool wanted = t && m->pending->size > 0 && !before_start(m, t, m->pending);
        if (wanted && filtered(t, m->pending)) {
            retime(m, t, m->pending);
            m->has_pending = true;
            return ERR_OK;
        }
        errors += wanted;
        av_packet_unref(m->pending);
    }
    return fail(m, ERR_FORMAT, "the input is too damaged to go on");
}

/* ------------------------------------------------------------------ cutting */

static const struct track *pending_track(const struct media *m)
{
    return &m->tracks[m->pending->stream_index];
}

static int64_t pending_us(const struct media *m)
{
    return packet_us(pending_track(m), m->pending->dts);
}

static bool all_seen(const struct media *m)
{
    for (int i = 0; i < m->tracks_n; i++)
        if (!m->tracks[i].seen)
            return false;
    return true;
}

static size_t pending_bytes(const struct media *m)
{
    return (size_t)m->pending->size + SAMPLE_OVERHEAD_BYTES;
}

/* Whether the fragment ends before the pending packet. */
static bool cut_due(const struct media *m)
{
    if (m->packets_n == 0)
        return false; /* I1 */
    if (m->estimate_bytes + pending_bytes(m) > m->options.fragment_bytes_max)
        return true;
    int64_t age_us = pending_us(m) - m->start_us;
    if (!m->init_done && !all_seen(m) && age_us < MEDIA_FIRST_WAIT_US)
        return false;
    bool at_key =
        !m->has_video || (pending_track(m)->video && (m->pending->flags & AV_PKT_FLAG_KEY));
    if (m->options.live)
        return (m->has_video && at_key) || age_us >= (int64_t)m->options.fragment_us;
    return (at_key && age_us >= MEDIA_FILE_FRAGMENT_MIN_US) || age_us >= MEDIA_FILE_FRAGMENT_MAX_US;
}

static enum err write_pending(struct media *m)
{
    const struct track *t = pending_track(m);
    int64_t at_us = pending_us(m);
    if (m->packets_n == 0) {
        m->start_us = at_us;
        if (!m->init_done)
            m->first_start_us = at_us;
        m->estimate_bytes = FRAGMENT_OVERHEAD_BYTES;
        m->video_seen = false;
        m->keyframe = !m->has_video;
    }
    if (t->video && !m->video_seen) {
        m->video_seen = true;
        m->keyframe = m->pending->flags & AV_PKT_FLAG_KEY;
    }
    m->packets_n++;
    m->estimate_bytes += pending_bytes(m);
    int rc = av_write_frame(m->out, m->pending);
    av_packet_unref(m->pending);
    m->has_pending = false;
    return rc < 0 ? fail_av(m, ERR_FORMAT, "a packet does not go into MP4", rc) : ERR_OK;
}

/* Flush the muxer into ret: the init segment the first time, else the fragment (I2). */
static enum err flush(struct media *m, int64_t end_us, struct fragment *ret)
{
    int rc = av_write_frame(m->out, NULL);
    if (rc < 0)
        return fail_av(m, ERR_FORMAT, "writing MP4 failed", rc);
    avio_flush(m->out->pb);
    if (m->len == 0)
        return fail(m, ERR_FORMAT, "the MP4 muxer gave no bytes");
    if (m->len > m->options.fragment_bytes_max)
        return fail(m, ERR_LIMIT, "one frame is larger than %zu bytes",
                    m->options.fragment_bytes_max);
    int64_t since_first = m->start_us - m->first_start_us;
    int64_t length_us = end_us > m->start_us ? end_us - m->start_us : 0;
    *ret = (struct fragment){
        .init = !m->init_done,
        .keyframe = m->init_done && m->keyframe,
        .start_us = since_first > 0 ? (uint64_t)since_first : 0,
        .duration_us =
            m->init_done ? (uint32_t)(length_us < UINT32_MAX ? length_us : UINT32_MAX) : 0,
        .bytes = mem_resize(m->bytes, m->len),
        .len = m->len,
    };
    m->bytes = NULL;
    m->len = 0;
    m->cap = 0;
    if (m->init_done)
        m->packets_n = 0;
    m->init_done = true;
    return ERR_OK;
}

/* Whether the pending packet may go now. */
static bool is_due(struct media *m, uint64_t now_us, uint64_t *ret_wait_us)
{
    if (!m->options.paced)
        return true;
    int64_t at_us = pending_us(m);
    if (!m->pacing) {
        m->pacing = true;
        m->paced_from_us = now_us - (uint64_t)at_us;
    }
    uint64_t due_us = m->paced_from_us + (uint64_t)at_us;
    if ((int64_t)(due_us - now_us) <= 0)
        return true;
    *ret_wait_us = due_us;
    return false;
}

enum err media_next(struct media *m, uint64_t now_us, struct fragment *ret_fragment,
                    uint64_t *ret_wait_us)
{
    for (;;) {
        if (!m->has_pending && !m->at_end) {
            enum err err = read_packet(m);
            if (err != ERR_OK && err != ERR_CLOSED)
                return err;
            m->at_end = err == ERR_CLOSED;
        }
        if (m->at_end)
            return m->packets_n ? flush(m, m->end_us, ret_fragment) : ERR_CLOSED;
        if (!is_due(m, now_us, ret_wait_us))
            return ERR_BUSY;
        if (cut_due(m))
            return flush(m, pending_us(m), ret_fragment);
        enum err err = write_pending(m);
        if (err != ERR_OK)
            return err;
    }
}
