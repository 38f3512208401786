// VP8 with temporal layers, VP9 with spatial and temporal layers, by libvpx.
#include <stdlib.h>
#include <string.h>
#include <vpx/vp8cx.h>
#include <vpx/vpx_encoder.h>

#include "encode.h"

typedef struct {
    vpx_codec_ctx_t codec;
    vpx_image_t image;
    encoder *owner;
    int hasFailed;
} vpx_state;

static int is_vp9(const encoder *e) { return e->settings.codec == CODEC_VP9; }

// VP9 hands out each spatial layer as it is ready.
static void take(vpx_codec_cx_pkt_t *packet, void *context) {
    vpx_state *state = context;
    if (packet->kind != VPX_CODEC_CX_FRAME_PKT) return;
    vpx_svc_layer_id_t layer;
    memset(&layer, 0, sizeof layer);
    vpx_codec_control(&state->codec, VP9E_GET_SVC_LAYER_ID, &layer);
    int spatial = layer.spatial_layer_id;
    if (encoder_append(state->owner, spatial, packet->data.frame.buf, (int64_t)packet->data.frame.sz) != 0) {
        state->hasFailed = 1;
    }
}

static void configure_layers(encoder *e, vpx_codec_enc_cfg_t *configuration, vpx_svc_extra_cfg_t *extra) {
    int spatial = e->settings.spatial_layers, temporal = e->settings.temporal_layers;
    configuration->g_error_resilient = VPX_ERROR_RESILIENT_DEFAULT;
    configuration->ss_number_layers = (unsigned)spatial;
    configuration->ts_number_layers = (unsigned)temporal;
    configuration->temporal_layering_mode = VP9E_TEMPORAL_LAYERING_MODE_BYPASS;
    for (int t = 0; t < temporal; t++) configuration->ts_rate_decimator[t] = 1u << (temporal - 1 - t);
    for (int s = 0; s < spatial; s++) {
        configuration->ss_target_bitrate[s] = (unsigned)layer_rate(e, s);
        for (int t = 0; t < temporal; t++) {
            int i = s * temporal + t;
            configuration->layer_target_bitrate[i] = (unsigned)(layer_rate(e, s) * (t + 2) / (temporal + 1));
            extra->max_quantizers[i] = 56;
            extra->min_quantizers[i] = 4;
        }
        extra->scaling_factor_num[s] = 1;
        extra->scaling_factor_den[s] = 1 << (spatial - 1 - s);
        extra->speed_per_layer[s] = 9;
    }
    extra->temporal_layering_mode = VP9E_TEMPORAL_LAYERING_MODE_BYPASS;
}

static int open_vp9(vpx_state *state, vpx_svc_extra_cfg_t *extra) {
    vpx_codec_priv_output_cx_pkt_cb_pair_t callback = {take, state};
    vpx_codec_ctx_t *c = &state->codec;
    return vpx_codec_control(c, VP8E_SET_CPUUSED, 9) == VPX_CODEC_OK
            && vpx_codec_control(c, VP9E_SET_SVC, 1) == VPX_CODEC_OK
            && vpx_codec_control(c, VP9E_SET_SVC_PARAMETERS, extra) == VPX_CODEC_OK
            && vpx_codec_control(c, VP9E_SET_AQ_MODE, 0) == VPX_CODEC_OK
            && vpx_codec_control(c, VP9E_REGISTER_CX_CALLBACK, &callback) == VPX_CODEC_OK
        ? 0
        : -1;
}

static int open(encoder *e) {
    vpx_state *state = calloc(1, sizeof *state);
    if (!state) return -1;
    vpx_codec_iface_t *interface = is_vp9(e) ? vpx_codec_vp9_cx() : vpx_codec_vp8_cx();
    vpx_codec_enc_cfg_t configuration;
    vpx_svc_extra_cfg_t extra;
    memset(&extra, 0, sizeof extra);
    if (vpx_codec_enc_config_default(interface, &configuration, 0) != VPX_CODEC_OK) {
        free(state);
        return -1;
    }
    configuration.g_w = (unsigned)e->settings.width;
    configuration.g_h = (unsigned)e->settings.height;
    configuration.g_timebase = (vpx_rational_t){1, 30};
    configuration.g_threads = 1;
    configuration.g_lag_in_frames = 0;
    configuration.rc_end_usage = VPX_CBR;
    configuration.rc_target_bitrate = (unsigned)e->settings.kilobits;
    configuration.rc_min_quantizer = 4;
    configuration.rc_max_quantizer = 56;
    configuration.rc_dropframe_thresh = 0;
    configuration.kf_mode = VPX_KF_DISABLED;
    // Layers can be left out: no buffer may be kept for another reason than the plan's.
    if (e->settings.temporal_layers > 1) configuration.g_error_resilient = VPX_ERROR_RESILIENT_DEFAULT;
    if (is_vp9(e)) configure_layers(e, &configuration, &extra);
    if (vpx_codec_enc_init(&state->codec, interface, &configuration, 0) != VPX_CODEC_OK) {
        free(state);
        return -1;
    }
    state->owner = e;
    e->state = state;
    vpx_img_wrap(&state->image, VPX_IMG_FMT_I420, configuration.g_w, configuration.g_h, 1, e->source);
    if (is_vp9(e)) return open_vp9(state, &extra);
    return vpx_codec_control(&state->codec, VP8E_SET_CPUUSED, -16) == VPX_CODEC_OK ? 0 : -1;
}

// VP8 names its three buffers: last, golden and alternative.
static vpx_enc_frame_flags_t vp8_flags(const picture_plan *plan) {
    vpx_enc_frame_flags_t flags = 0;
    static const struct {
        int buffer;
        vpx_enc_frame_flags_t noReference, noUpdate;
    } names[] = {
        {0, VP8_EFLAG_NO_REF_LAST, VP8_EFLAG_NO_UPD_LAST},
        {T1_BUFFER, VP8_EFLAG_NO_REF_GF, VP8_EFLAG_NO_UPD_GF},
        {T2_BUFFER, VP8_EFLAG_NO_REF_ARF, VP8_EFLAG_NO_UPD_ARF},
    };
    for (int i = 0; i < 3; i++) {
        int isUsed = 0;
        for (int k = 0; k < plan->earlier_count[0]; k++) isUsed |= plan->earlier[0][k] == names[i].buffer;
        if (!isUsed) flags |= names[i].noReference;
        if (plan->kept[0] != names[i].buffer) flags |= names[i].noUpdate;
    }
    // What later frames of lower layers would start from must not be learned from frames that may be missing.
    if (plan->temporal > 0) flags |= VP8_EFLAG_NO_UPD_ENTROPY;
    return flags;
}

static void set_references(vpx_state *state, const encoder *e, const picture_plan *plan) {
    vpx_svc_layer_id_t layer;
    vpx_svc_ref_frame_config_t references;
    memset(&layer, 0, sizeof layer);
    memset(&references, 0, sizeof references);
    layer.temporal_layer_id = plan->temporal;
    for (int s = 0; s < e->settings.spatial_layers; s++) {
        layer.temporal_layer_id_per_spatial[s] = plan->temporal;
        // libvpx predicts from the layer below by golden.
        int *indices[] = {references.lst_fb_idx, references.gld_fb_idx, references.alt_fb_idx};
        int *uses[] = {references.reference_last, references.reference_golden, references.reference_alt_ref};
        int next = 0;
        for (int i = 0; i < plan->earlier_count[s]; i++) {
            indices[next][s] = plan->earlier[s][i];
            uses[next][s] = 1;
            next += plan->lower[s] >= 0 ? 2 : 1;
        }
        if (plan->lower[s] >= 0) {
            references.gld_fb_idx[s] = plan->lower[s];
            references.reference_golden[s] = 1;
        }
        if (plan->kept[s] >= 0) references.update_buffer_slot[s] = 1 << plan->kept[s];
        references.duration[s] = 1;
    }
    vpx_codec_control(&state->codec, VP9E_SET_SVC_LAYER_ID, &layer);
    vpx_codec_control(&state->codec, VP9E_SET_SVC_REF_FRAME_CONFIG, &references);
}

static int encode(encoder *e, const picture_plan *plan, int is_key) {
    vpx_state *state = e->state;
    vpx_enc_frame_flags_t flags = is_key ? VPX_EFLAG_FORCE_KF : 0;
    if (is_vp9(e)) {
        set_references(state, e, plan);
    } else if (!is_key) {
        flags = vp8_flags(plan);
    }
    if (vpx_codec_encode(&state->codec, &state->image, e->ticks, 1, flags, VPX_DL_REALTIME) != VPX_CODEC_OK) {
        const char *detail = vpx_codec_error_detail(&state->codec);
        return encoder_fail(e, detail ? detail : vpx_codec_error(&state->codec));
    }
    vpx_codec_iter_t iterator = NULL;
    const vpx_codec_cx_pkt_t *packet;
    while ((packet = vpx_codec_get_cx_data(&state->codec, &iterator))) {
        if (is_vp9(e) || packet->kind != VPX_CODEC_CX_FRAME_PKT) continue;
        if (encoder_append(e, 0, packet->data.frame.buf, (int64_t)packet->data.frame.sz) != 0) return -1;
    }
    return state->hasFailed ? -1 : 0;
}

static void close(encoder *e) {
    vpx_state *state = e->state;
    vpx_codec_destroy(&state->codec);
    free(state);
}

const encoder_library vpx_library = {open, encode, close};
