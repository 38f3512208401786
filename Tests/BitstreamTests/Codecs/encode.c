// The part of encoding that knows no codec: the test picture, the plan, the reference decoders, the numbers.
#include "encode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const encoder_library *library(int codec) {
    switch (codec) {
    case CODEC_AV1: return &aom_library;
    case CODEC_X264: return &x264_library;
    case CODEC_OPENH264: return &openh264_library;
    default: return &vpx_library;
    }
}

int encoder_fail(encoder *e, const char *what) {
    snprintf(e->error, sizeof e->error, "%s", what);
    return -1;
}

const char *encoder_error(const encoder *e) { return e->error; }

int layer_size(const encoder *e, int spatial, int whole) {
    return whole >> (e->settings.spatial_layers - 1 - spatial);
}

int layer_rate(const encoder *e, int spatial) {
    static const int shares[MOST_SPATIAL][MOST_SPATIAL] = {{100}, {30, 70}, {12, 28, 60}};
    return e->settings.kilobits * shares[e->settings.spatial_layers - 1][spatial] / 100;
}

encoder *encoder_open(const encoder_settings *settings) {
    encoder *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    e->settings = *settings;
    e->library = library(settings->codec);
    e->capacity = (int64_t)settings->width * settings->height * 3;
    e->source = malloc((size_t)e->capacity);
    e->bytes = malloc((size_t)e->capacity);
    int isOpen = e->source && e->bytes && e->library->open(e) == 0;
    for (int s = 0; isOpen && s < settings->spatial_layers; s++) {
        e->references[s] = decoder_open(settings->codec);
        isOpen = e->references[s] != NULL;
    }
    if (isOpen) return e;
    encoder_close(e);
    return NULL;
}

void encoder_close(encoder *e) {
    if (!e) return;
    if (e->state) e->library->close(e);
    for (int s = 0; s < MOST_SPATIAL; s++) decoder_close(e->references[s]);
    free(e->source);
    free(e->bytes);
    free(e);
}

int encoder_append(encoder *e, int spatial, const uint8_t *data, int64_t size) {
    int64_t start = 0;
    for (int s = 0; s < spatial; s++) start += e->sizes[s];
    if (spatial >= e->settings.spatial_layers || start + size > e->capacity) return encoder_fail(e, "too much");
    memcpy(e->bytes + start, data, (size_t)size);
    e->sizes[spatial] = size;
    return 0;
}

static void describe(encoder *e, const picture_plan *plan, int s, int is_key, layer_frame *frame) {
    frame->spatial = s;
    frame->temporal = plan->temporal;
    frame->number = e->count++;
    frame->position = e->position;
    frame->is_key = is_key;
    frame->is_sync = is_key || plan->is_sync;
    frame->is_inter_layer = plan->lower[s] >= 0;
    frame->is_unreferenced = plan->is_unreferenced[s];
    frame->width = layer_size(e, s, e->settings.width);
    frame->height = layer_size(e, s, e->settings.height);
    for (int i = 0; i < plan->earlier_count[s]; i++) {
        frame->references[frame->reference_count++] = e->buffers[plan->earlier[s][i]];
    }
    if (plan->lower[s] >= 0) frame->references[frame->reference_count++] = frame->number - 1;
    if (is_key && s == 0) {
        for (int i = 0; i < BUFFERS; i++) e->buffers[i] = frame->number;
    } else if (plan->kept[s] >= 0) {
        e->buffers[plan->kept[s]] = frame->number;
    }
}

int32_t encoder_encode(encoder *e, int32_t number, int32_t wants_key, frame_sink sink, void *context) {
    int is_key = wants_key || e->count == 0;
    if (is_key) e->position = 0;
    picture_plan plan = plan_picture(e->position, &e->settings);
    e->ticks += 1;
    memset(e->sizes, 0, sizeof e->sizes);
    picture_draw(e->source, e->settings.width, e->settings.height, number, e->settings.source);
    if (e->library->encode(e, &plan, is_key) != 0) return -1;
    int64_t end = 0;
    for (int s = 0; s < e->settings.spatial_layers; s++) {
        if (e->sizes[s] == 0) return encoder_fail(e, "the encoder left a layer out");
        layer_frame frame = {.data = e->bytes + end, .size = e->sizes[s]};
        end += e->sizes[s];
        describe(e, &plan, s, is_key, &frame);
        shown_picture shown;
        // Without inter-layer prediction the layer is decoded by itself, as its viewers do.
        int isAlone = plan.lower[s] < 0;
        const uint8_t *start = isAlone ? frame.data : e->bytes;
        if (decoder_decode(e->references[s], start, e->bytes + end - start, &shown) != 0) {
            return encoder_fail(e, decoder_error(e->references[s]));
        }
        if (shown.frame != number || shown.source != e->settings.source || shown.width != frame.width) {
            return encoder_fail(e, "the reference decoder shows another picture");
        }
        frame.hash = shown.hash;
        sink(context, &frame);
    }
    e->position += 1;
    return 0;
}

void encoder_plan(const encoder_settings *settings, int32_t pictures, frame_sink sink, void *context) {
    encoder e = {.settings = *settings};
    for (e.position = 0; e.position < pictures; e.position++) {
        picture_plan plan = plan_picture(e.position, settings);
        for (int s = 0; s < settings->spatial_layers; s++) {
            layer_frame frame = {0};
            describe(&e, &plan, s, e.position == 0, &frame);
            sink(context, &frame);
        }
    }
}
