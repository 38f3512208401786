// Decoders that tell of every complaint. Knows no RTP.
#include <aom/aom_decoder.h>
#include <aom/aomdx.h>
#include <libavcodec/avcodec.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vpx/vp8dx.h>
#include <vpx/vpx_decoder.h>

#include "picture.h"

struct decoder {
    int codec;
    vpx_codec_ctx_t vpx;
    aom_codec_ctx_t aom;
    AVCodecContext *av;
    AVPacket *packet;
    AVFrame *frame;
    char error[256];
};

// libavcodec conceals and only says so: each line of it counts as an error of the decoder that runs on this thread.
static _Thread_local decoder *speaking;

static void hear(void *object, int level, const char *format, va_list arguments) {
    (void)object;
    if (level > AV_LOG_WARNING || !speaking) return;
    vsnprintf(speaking->error, sizeof speaking->error, format, arguments);
}

static int open_h264(decoder *d) {
    av_log_set_callback(hear);
    const AVCodec *codec = avcodec_find_decoder_by_name("h264");
    if (!codec) return 0;
    d->av = avcodec_alloc_context3(codec);
    d->packet = av_packet_alloc();
    d->frame = av_frame_alloc();
    if (!d->av || !d->packet || !d->frame) return 0;
    d->av->thread_count = 1;
    d->av->flags |= AV_CODEC_FLAG_LOW_DELAY;
    d->av->err_recognition = AV_EF_EXPLODE | AV_EF_BITSTREAM | AV_EF_BUFFER | AV_EF_CAREFUL;
    return avcodec_open2(d->av, codec, NULL) == 0;
}

decoder *decoder_open(int32_t codec) {
    decoder *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    d->codec = codec;
    int isOpen = 0;
    switch (codec) {
    case CODEC_VP8: isOpen = vpx_codec_dec_init(&d->vpx, vpx_codec_vp8_dx(), NULL, 0) == VPX_CODEC_OK; break;
    case CODEC_VP9: isOpen = vpx_codec_dec_init(&d->vpx, vpx_codec_vp9_dx(), NULL, 0) == VPX_CODEC_OK; break;
    case CODEC_AV1: isOpen = aom_codec_dec_init(&d->aom, aom_codec_av1_dx(), NULL, 0) == AOM_CODEC_OK; break;
    default: isOpen = open_h264(d);
    }
    if (isOpen) return d;
    decoder_close(d);
    return NULL;
}

void decoder_close(decoder *d) {
    if (!d) return;
    if (d->codec == CODEC_VP8 || d->codec == CODEC_VP9) vpx_codec_destroy(&d->vpx);
    if (d->codec == CODEC_AV1) aom_codec_destroy(&d->aom);
    avcodec_free_context(&d->av);
    av_packet_free(&d->packet);
    av_frame_free(&d->frame);
    free(d);
}

const char *decoder_error(const decoder *d) { return d->error; }

static int fail(decoder *d, const char *what, const char *detail) {
    snprintf(d->error, sizeof d->error, "%s%s%s", what, detail ? ": " : "", detail ? detail : "");
    return -1;
}

static int decode_vpx(decoder *d, const uint8_t *data, int64_t size, shown_picture *shown) {
    if (vpx_codec_decode(&d->vpx, data, (unsigned)size, NULL, 0) != VPX_CODEC_OK) {
        const char *detail = vpx_codec_error_detail(&d->vpx);
        return fail(d, vpx_codec_error(&d->vpx), detail);
    }
    int corrupted = 0;
    vpx_codec_control(&d->vpx, VP8D_GET_FRAME_CORRUPTED, &corrupted);
    if (corrupted) return fail(d, "the picture is corrupted", NULL);
    vpx_codec_iter_t iterator = NULL;
    vpx_image_t *image = vpx_codec_get_frame(&d->vpx, &iterator);
    if (!image) return fail(d, "no picture", NULL);
    planar p = {.width = (int)image->d_w, .height = (int)image->d_h};
    for (int i = 0; i < 3; i++) {
        p.planes[i] = image->planes[i];
        p.strides[i] = image->stride[i];
    }
    picture_read(&p, shown);
    if (vpx_codec_get_frame(&d->vpx, &iterator)) return fail(d, "two pictures", NULL);
    return 0;
}

static int decode_aom(decoder *d, const uint8_t *data, int64_t size, shown_picture *shown) {
    if (aom_codec_decode(&d->aom, data, (size_t)size, NULL) != AOM_CODEC_OK) {
        return fail(d, aom_codec_error(&d->aom), aom_codec_error_detail(&d->aom));
    }
    int corrupted = 0;
    aom_codec_control(&d->aom, AOMD_GET_FRAME_CORRUPTED, &corrupted);
    if (corrupted) return fail(d, "the picture is corrupted", NULL);
    aom_codec_iter_t iterator = NULL;
    aom_image_t *image = aom_codec_get_frame(&d->aom, &iterator);
    if (!image) return fail(d, "no picture", NULL);
    planar p = {.width = (int)image->d_w, .height = (int)image->d_h};
    for (int i = 0; i < 3; i++) {
        p.planes[i] = image->planes[i];
        p.strides[i] = image->stride[i];
    }
    picture_read(&p, shown);
    if (aom_codec_get_frame(&d->aom, &iterator)) return fail(d, "two pictures", NULL);
    return 0;
}

static int decode_h264(decoder *d, const uint8_t *data, int64_t size, shown_picture *shown) {
    if (av_new_packet(d->packet, (int)size) < 0) return fail(d, "no memory", NULL);
    memcpy(d->packet->data, data, (size_t)size);
    d->error[0] = 0;
    speaking = d;
    int sent = avcodec_send_packet(d->av, d->packet);
    int received = sent == 0 ? avcodec_receive_frame(d->av, d->frame) : sent;
    speaking = NULL;
    av_packet_unref(d->packet);
    if (d->error[0]) return -1;
    if (sent != 0) return fail(d, "the decoder refuses", NULL);
    if (received != 0) return fail(d, "no picture", NULL);
    if (d->frame->decode_error_flags || d->frame->flags & AV_FRAME_FLAG_CORRUPT) {
        return fail(d, "the picture is corrupted", NULL);
    }
    planar p = {.width = d->frame->width, .height = d->frame->height};
    for (int i = 0; i < 3; i++) {
        p.planes[i] = d->frame->data[i];
        p.strides[i] = d->frame->linesize[i];
    }
    picture_read(&p, shown);
    av_frame_unref(d->frame);
    return 0;
}

int32_t decoder_decode(decoder *d, const uint8_t *data, int64_t size, shown_picture *shown) {
    switch (d->codec) {
    case CODEC_VP8:
    case CODEC_VP9: return decode_vpx(d, data, size, shown);
    case CODEC_AV1: return decode_aom(d, data, size, shown);
    default: return decode_h264(d, data, size, shown);
    }
}
