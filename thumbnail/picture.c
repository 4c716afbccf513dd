/*
 *   media --mov demuxer--> first keyframe --decoder--> frame --scale--> 4:2:0 --mjpeg--> JPEG
 *
 * Invariants
 *   I1  nothing is opened but the bytes at hand: no protocol, no file that they name.
 *   I2  one thread, one packet decoded: what a bomb can cost is one frame of PICTURE_PIXELS_MAX.
 */
#include "thumbnail/picture.h"

#include "base/check.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>

enum { IO_BYTES = 32768 };

static const enum AVCodecID decodable[] = {AV_CODEC_ID_H264, AV_CODEC_ID_HEVC, AV_CODEC_ID_VP8,
                                           AV_CODEC_ID_VP9,  AV_CODEC_ID_AV1,  AV_CODEC_ID_MPEG4,
                                           AV_CODEC_ID_MJPEG};

/* Coarser and coarser, until it fits. */
static const int qualities[] = {3, 5, 8, 12, 18, 25, 31};

struct input {
    struct slice media;
    size_t at;
};

static int input_read(void *opaque, uint8_t *buf, int size)
{
    struct input *in = opaque;
    size_t left = in->media.len - in->at;
    size_t n = (size_t)size < left ? (size_t)size : left;
    if (n == 0)
        return AVERROR_EOF;
    memcpy(buf, in->media.ptr + in->at, n);
    in->at += n;
    return (int)n;
}

static int64_t input_seek(void *opaque, int64_t offset, int whence)
{
    struct input *in = opaque;
    int64_t len = (int64_t)in->media.len;
    if (whence == AVSEEK_SIZE)
        return len;
    if (whence == SEEK_CUR)
        offset += (int64_t)in->at;
    else if (whence == SEEK_END)
        offset += len;
    if (offset < 0 || offset > len)
        return AVERROR(EINVAL);
    in->at = (size_t)offset;
    return offset;
}

/* I1 */
static int open_nothing(AVFormatContext *format, AVIOContext **pb, const char *url, int flags,
                        AVDictionary **options)
{
    (void)format, (void)pb, (void)url, (void)flags, (void)options;
    return AVERROR(EPERM);
}

static AVFormatContext *demuxer_open(struct input *in, AVIOContext **ret_io)
{
    uint8_t *buffer = av_malloc(IO_BYTES);
    CHECK(buffer);
    *ret_io = avio_alloc_context(buffer, IO_BYTES, 0, in, input_read, NULL, input_seek);
    AVFormatContext *format = avformat_alloc_context();
    CHECK(*ret_io && format);
    format->pb = *ret_io;
    format->io_open = open_nothing;
    format->flags |= AVFMT_FLAG_CUSTOM_IO;
    /* On failure it has freed the context. */
    if (avformat_open_input(&format, NULL, av_find_input_format("mov"), NULL) != 0)
        return NULL;
    return format;
}

static void demuxer_close(AVFormatContext *format, AVIOContext *io)
{
    avformat_close_input(&format);
    av_freep(&io->buffer);
    avio_context_free(&io);
}

static bool is_decodable(enum AVCodecID id)
{
    for (size_t i = 0; i < sizeof(decodable) / sizeof(decodable[0]); i++)
        if (decodable[i] == id)
            return true;
    return false;
}

static const AVStream *video_of(const AVFormatContext *format)
{
    for (unsigned i = 0; i < format->nb_streams; i++) {
        const AVStream *s = format->streams[i];
        if (s->codecpar->codec_type == AVMEDIA_TYPE_VIDEO &&
            !(s->disposition & AV_DISPOSITION_ATTACHED_PIC) && is_decodable(s->codecpar->codec_id))
            return s;
    }
    return NULL;
}

/* The first keyframe of the stream; false: there is none. */
static bool keyframe_read(AVFormatContext *format, int index, AVPacket *packet)
{
    for (int n = 0; n < PICTURE_PACKETS_MAX && av_read_frame(format, packet) >= 0; n++) {
        if (packet->stream_index == index && (packet->flags & AV_PKT_FLAG_KEY))
            return true;
        av_packet_unref(packet);
    }
    return false;
}

static AVCodecContext *decoder_open(const AVStream *stream)
{
    const AVCodec *codec = avcodec_find_decoder(stream->codecpar->codec_id);
    AVCodecContext *decoder = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!decoder)
        return NULL;
    decoder->thread_count = 1; /* I2 */
    decoder->max_pixels = PICTURE_PIXELS_MAX;
    if (avcodec_parameters_to_context(decoder, stream->codecpar) >= 0 &&
        avcodec_open2(decoder, codec, NULL) >= 0)
        return decoder;
    avcodec_free_context(&decoder);
    return NULL;
}

static enum err frame_decode(AVFormatContext *format, AVFrame *frame)
{
    const AVStream *stream = video_of(format);
    if (!stream)
        return ERR_FORMAT;
    AVPacket *packet = av_packet_alloc();
    AVCodecContext *decoder = decoder_open(stream);
    CHECK(packet);
    bool got = decoder && keyframe_read(format, stream->index, packet) &&
               avcodec_send_packet(decoder, packet) >= 0 &&
               avcodec_send_packet(decoder, NULL) >= 0 && /* it may wait for more: there is none */
               avcodec_receive_frame(decoder, frame) >= 0;
    avcodec_free_context(&decoder);
    av_packet_free(&packet);
    if (!got || frame->width <= 0 || frame->height <= 0)
        return ERR_FORMAT;
    return (int64_t)frame->width * frame->height <= PICTURE_PIXELS_MAX ? ERR_OK : ERR_LIMIT;
}

static int even(double side)
{
    int n = (int)(side / 2 + 0.5) * 2;
    return n < PICTURE_SIDE_MIN ? PICTURE_SIDE_MIN : n;
}

/* Into the box, in the shape in which it is shown. */
static void fit(const AVFrame *frame, AVFrame *ret)
{
    AVRational sar = frame->sample_aspect_ratio;
    double width = frame->width;
    double height = frame->height;
    if (sar.num > 0 && sar.den > 0)
        width = width * sar.num / sar.den;
    double scale = PICTURE_WIDTH_MAX / width;
    if (height * scale > PICTURE_HEIGHT_MAX)
        scale = PICTURE_HEIGHT_MAX / height;
    if (scale > 1)
        scale = 1;
    ret->width = even(width * scale);
    ret->height = even(height * scale);
}

static enum err frame_scale(const AVFrame *frame, AVFrame *small)
{
    small->format = AV_PIX_FMT_YUVJ420P;
    fit(frame, small);
    struct SwsContext *scaler = sws_getContext(
        frame->width, frame->height, (enum AVPixelFormat)frame->format, small->width, small->height,
        (enum AVPixelFormat)small->format, SWS_AREA, NULL, NULL, NULL);
    if (!scaler)
        return ERR_FORMAT;
    CHECK(av_frame_get_buffer(small, 0) == 0);
    int rows = sws_scale(scaler, (const uint8_t *const *)frame->data, frame->linesize, 0,
                         frame->height, small->data, small->linesize);
    sws_freeContext(scaler);
    return rows == small->height ? ERR_OK : ERR_FORMAT;
}

/* ERR_LIMIT: larger than max at this quality. */
static enum err frame_encode(AVFrame *frame, int quality, size_t max, uint8_t *ret, size_t *ret_len)
{
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_MJPEG);
    CHECK(codec);
    AVCodecContext *encoder = avcodec_alloc_context3(codec);
    AVPacket *packet = av_packet_alloc();
    CHECK(encoder && packet);
    encoder->width = frame->width;
    encoder->height = frame->height;
    encoder->pix_fmt = (enum AVPixelFormat)frame->format;
    encoder->time_base = (AVRational){1, 1};
    encoder->thread_count = 1;
    encoder->flags |= AV_CODEC_FLAG_QSCALE | AV_CODEC_FLAG_BITEXACT; /* without a comment */
    encoder->global_quality = frame->quality = quality * FF_QP2LAMBDA;
    enum err err = ERR_FORMAT;
    frame->pts = 0;
    if (avcodec_open2(encoder, codec, NULL) >= 0 && avcodec_send_frame(encoder, frame) >= 0 &&
        avcodec_receive_packet(encoder, packet) >= 0) {
        err = (size_t)packet->size <= max ? ERR_OK : ERR_LIMIT;
        if (err == ERR_OK) {
            memcpy(ret, packet->data, (size_t)packet->size);
            *ret_len = (size_t)packet->size;
        }
    }
    avcodec_free_context(&encoder);
    av_packet_free(&packet);
    return err;
}

static enum err frame_write(AVFrame *frame, size_t max, uint8_t *ret, size_t *ret_len)
{
    enum err err = ERR_LIMIT;
    for (size_t i = 0; err == ERR_LIMIT && i < sizeof(qualities) / sizeof(qualities[0]); i++)
        err = frame_encode(frame, qualities[i], max, ret, ret_len);
    return err;
}

enum err picture_of(struct slice media, size_t max, uint8_t *ret, size_t *ret_len)
{
    struct input in = {.media = media};
    AVIOContext *io;
    AVFrame *frame = av_frame_alloc();
    AVFrame *small = av_frame_alloc();
    CHECK(frame && small);
    av_log_set_level(AV_LOG_QUIET);
    AVFormatContext *format = demuxer_open(&in, &io);
    enum err err = format ? frame_decode(format, frame) : ERR_FORMAT;
    if (err == ERR_OK)
        err = frame_scale(frame, small);
    if (err == ERR_OK)
        err = frame_write(small, max, ret, ret_len);
    demuxer_close(format, io);
    av_frame_free(&frame);
    av_frame_free(&small);
    return err;
}
