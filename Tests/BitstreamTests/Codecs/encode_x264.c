// H.264 in one temporal layer, by x264.
#include "encode.h"

#include <stdlib.h>
#include <x264.h>

typedef struct {
    x264_t *codec;
    x264_picture_t picture;
} x264_state;

static int open(encoder *e) {
    x264_param_t p;
    if (x264_param_default_preset(&p, "ultrafast", "zerolatency") != 0) return -1;
    p.i_log_level = X264_LOG_NONE;
    p.i_threads = 1;
    p.i_width = e->settings.width;
    p.i_height = e->settings.height;
    p.i_csp = X264_CSP_I420;
    p.i_fps_num = 30;
    p.i_fps_den = 1;
    p.i_keyint_max = X264_KEYINT_MAX_INFINITE;
    p.i_scenecut_threshold = 0;
    p.b_repeat_headers = 1;
    p.b_annexb = 1;
    p.rc.i_rc_method = X264_RC_ABR;
    p.rc.i_bitrate = e->settings.kilobits;
    p.rc.i_vbv_max_bitrate = e->settings.kilobits;
    p.rc.i_vbv_buffer_size = e->settings.kilobits;
    if (e->settings.profile == 77) p.b_cabac = 1;
    if (x264_param_apply_profile(&p, e->settings.profile == 77 ? "main" : "baseline") != 0) return -1;
    x264_state *state = calloc(1, sizeof *state);
    if (!state) return -1;
    e->state = state;
    state->codec = x264_encoder_open(&p);
    if (!state->codec) return -1;
    x264_picture_init(&state->picture);
    int area = e->settings.width * e->settings.height;
    state->picture.img.i_csp = X264_CSP_I420;
    state->picture.img.i_plane = 3;
    state->picture.img.plane[0] = e->source;
    state->picture.img.plane[1] = e->source + area;
    state->picture.img.plane[2] = e->source + area + area / 4;
    state->picture.img.i_stride[0] = e->settings.width;
    state->picture.img.i_stride[1] = state->picture.img.i_stride[2] = e->settings.width / 2;
    return 0;
}

static int encode(encoder *e, const picture_plan *plan, int is_key) {
    (void)plan;
    x264_state *state = e->state;
    state->picture.i_pts = e->ticks;
    state->picture.i_type = is_key ? X264_TYPE_IDR : X264_TYPE_P;
    x264_nal_t *units;
    int count;
    x264_picture_t out;
    int size = x264_encoder_encode(state->codec, &units, &count, &state->picture, &out);
    if (size <= 0) return encoder_fail(e, "x264 gave nothing");
    return encoder_append(e, 0, units[0].p_payload, size);
}

static void close(encoder *e) {
    x264_state *state = e->state;
    if (state->codec) x264_encoder_close(state->codec);
    free(state);
}

const encoder_library x264_library = {open, encode, close};
