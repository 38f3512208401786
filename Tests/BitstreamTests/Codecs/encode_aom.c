// AV1 with spatial and temporal layers, by libaom.
#include <aom/aom_encoder.h>
#include <aom/aomcx.h>
#include <stdlib.h>
#include <string.h>

#include "encode.h"

typedef struct {
    aom_codec_ctx_t codec;
    aom_image_t image;
} aom_state;

#define SET(option, value) \
    if (aom_codec_control(c, option, value) != AOM_CODEC_OK) return -1

// As calls set it, for speed.
static int set_options(aom_codec_ctx_t *c) {
    SET(AOME_SET_CPUUSED, 10);
    SET(AV1E_SET_AQ_MODE, 3);
    SET(AV1E_SET_DELTAQ_MODE, 0);
    SET(AV1E_SET_COEFF_COST_UPD_FREQ, 3);
    SET(AV1E_SET_MODE_COST_UPD_FREQ, 3);
    SET(AV1E_SET_MV_COST_UPD_FREQ, 3);
    SET(AV1E_SET_ENABLE_CDEF, 1);
    SET(AV1E_SET_ENABLE_TPL_MODEL, 0);
    SET(AV1E_SET_ENABLE_ORDER_HINT, 0);
    SET(AV1E_SET_ENABLE_OBMC, 0);
    SET(AV1E_SET_ENABLE_WARPED_MOTION, 0);
    SET(AV1E_SET_ENABLE_GLOBAL_MOTION, 0);
    SET(AV1E_SET_ENABLE_REF_FRAME_MVS, 0);
    SET(AV1E_SET_ENABLE_PALETTE, 0);
    SET(AV1E_SET_ENABLE_CFL_INTRA, 0);
    SET(AV1E_SET_ENABLE_SMOOTH_INTRA, 0);
    SET(AV1E_SET_ENABLE_ANGLE_DELTA, 0);
    SET(AV1E_SET_ENABLE_FILTER_INTRA, 0);
    SET(AV1E_SET_INTRA_DEFAULT_TX_ONLY, 1);
    return 0;
}

static int set_layers(const encoder *e, aom_codec_ctx_t *c) {
    aom_svc_params_t parameters;
    memset(&parameters, 0, sizeof parameters);
    int spatial = e->settings.spatial_layers, temporal = e->settings.temporal_layers;
    parameters.number_spatial_layers = spatial;
    parameters.number_temporal_layers = temporal;
    for (int t = 0; t < temporal; t++) parameters.framerate_factor[t] = 1 << (temporal - 1 - t);
    for (int s = 0; s < spatial; s++) {
        parameters.scaling_factor_num[s] = 1;
        parameters.scaling_factor_den[s] = 1 << (spatial - 1 - s);
        for (int t = 0; t < temporal; t++) {
            int i = s * temporal + t;
            parameters.max_quantizers[i] = 56;
            parameters.min_quantizers[i] = 10;
            parameters.layer_target_bitrate[i] = layer_rate(e, s) * (t + 2) / (temporal + 1);
        }
    }
    return aom_codec_control(c, AV1E_SET_SVC_PARAMS, &parameters) == AOM_CODEC_OK ? 0 : -1;
}

static int open(encoder *e) {
    aom_state *state = calloc(1, sizeof *state);
    if (!state) return -1;
    aom_codec_enc_cfg_t configuration;
    aom_codec_iface_t *interface = aom_codec_av1_cx();
    if (aom_codec_enc_config_default(interface, &configuration, AOM_USAGE_REALTIME) != AOM_CODEC_OK) {
        free(state);
        return -1;
    }
    configuration.g_w = (unsigned)e->settings.width;
    configuration.g_h = (unsigned)e->settings.height;
    configuration.g_timebase = (struct aom_rational){1, 30};
    configuration.g_threads = 1;
    configuration.g_lag_in_frames = 0;
    configuration.g_error_resilient = 0;
    configuration.rc_end_usage = AOM_CBR;
    configuration.rc_target_bitrate = (unsigned)e->settings.kilobits;
    configuration.rc_min_quantizer = 10;
    configuration.rc_max_quantizer = 56;
    configuration.rc_dropframe_thresh = 0;
    configuration.kf_mode = AOM_KF_DISABLED;
    if (aom_codec_enc_init(&state->codec, interface, &configuration, 0) != AOM_CODEC_OK) {
        free(state);
        return -1;
    }
    e->state = state;
    aom_img_wrap(&state->image, AOM_IMG_FMT_I420, configuration.g_w, configuration.g_h, 1, e->source);
    return set_options(&state->codec) == 0 ? set_layers(e, &state->codec) : -1;
}

static void set_references(aom_codec_ctx_t *c, const picture_plan *plan, int s, int is_key) {
    // Last, golden and alternative, in this order.
    static const int names[] = {0, 3, 6};
    aom_svc_layer_id_t layer = {.spatial_layer_id = s, .temporal_layer_id = plan->temporal};
    aom_svc_ref_frame_config_t references;
    memset(&references, 0, sizeof references);
    int next = 0;
    for (int i = 0; i < plan->earlier_count[s]; i++) {
        references.ref_idx[names[next]] = plan->earlier[s][i];
        references.reference[names[next++]] = 1;
    }
    if (plan->lower[s] >= 0) {
        references.ref_idx[names[next]] = plan->lower[s];
        references.reference[names[next++]] = 1;
    }
    // The others must name a picture that is there.
    int anyone = plan->earlier_count[s] > 0 ? plan->earlier[s][0] : plan->lower[s] >= 0 ? plan->lower[s] : s;
    for (int i = 0; i < 7; i++) {
        if (!references.reference[i]) references.ref_idx[i] = anyone;
    }
    // libaom keeps a frame only in a buffer that has a name.
    if (plan->kept[s] >= 0) references.ref_idx[1] = plan->kept[s];
    if (is_key && s == 0) {
        for (int i = 0; i < BUFFERS; i++) references.refresh[i] = 1;
    } else if (plan->kept[s] >= 0) {
        references.refresh[plan->kept[s]] = 1;
    }
    aom_codec_control(c, AV1E_SET_SVC_LAYER_ID, &layer);
    aom_codec_control(c, AV1E_SET_SVC_REF_FRAME_CONFIG, &references);
    // Higher temporal layers can be left out: nothing of theirs may be learned from.
    aom_codec_control(c, AV1E_SET_ERROR_RESILIENT_MODE, plan->temporal > 0);
}

static int encode(encoder *e, const picture_plan *plan, int is_key) {
    aom_state *state = e->state;
    for (int s = 0; s < e->settings.spatial_layers; s++) {
        set_references(&state->codec, plan, s, is_key);
        aom_enc_frame_flags_t flags = is_key && s == 0 ? AOM_EFLAG_FORCE_KF : 0;
        if (aom_codec_encode(&state->codec, &state->image, e->ticks, 1, flags) != AOM_CODEC_OK) {
            const char *detail = aom_codec_error_detail(&state->codec);
            return encoder_fail(e, detail ? detail : aom_codec_error(&state->codec));
        }
        aom_codec_iter_t iterator = NULL;
        const aom_codec_cx_pkt_t *packet;
        while ((packet = aom_codec_get_cx_data(&state->codec, &iterator))) {
            if (packet->kind != AOM_CODEC_CX_FRAME_PKT) continue;
            if (encoder_append(e, s, packet->data.frame.buf, (int64_t)packet->data.frame.sz) != 0) return -1;
        }
    }
    return 0;
}

static void close(encoder *e) {
    aom_state *state = e->state;
    aom_codec_destroy(&state->codec);
    free(state);
}

const encoder_library aom_library = {open, encode, close};
