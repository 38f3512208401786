// Real encoders and decoders behind one small interface, for tests that switch real bitstreams. The tests compile this
// folder into a library of their own; nothing else links it.
#ifndef SFU_TEST_CODECS_H
#define SFU_TEST_CODECS_H

#include <stddef.h>
#include <stdint.h>

enum { CODEC_VP8, CODEC_VP9, CODEC_AV1, CODEC_X264, CODEC_OPENH264 };
enum { MOST_SPATIAL = 3, MOST_REFERENCES = 4, BUFFERS = 8 };

// One layer frame. What it says of the structure is what packetisers need to know.
typedef struct {
    int32_t spatial, temporal;
    // Counts the layer frames of this encoder from 0.
    int32_t number;
    // Pictures since the last key picture.
    int32_t position;
    // Of a picture from which a decoder can start.
    int32_t is_key;
    // It refers to lower temporal layers only.
    int32_t is_sync;
    // It refers to the next lower spatial layer of its picture.
    int32_t is_inter_layer;
    // No frame of its own spatial layer refers to it.
    int32_t is_unreferenced;
    int32_t reference_count;
    // Their numbers, the picture's own lower layer included.
    int32_t references[MOST_REFERENCES];
    int32_t width, height;
    // Of the picture that a decoder shows which gets this layer and everything below it.
    uint64_t hash;
    const uint8_t *data;
    int64_t size;
} layer_frame;

typedef struct {
    int32_t width, height;
    uint64_t hash;
    // What the bars say; -1: unreadable.
    int32_t frame, source;
} shown_picture;

typedef struct {
    int32_t codec, width, height;
    int32_t spatial_layers, temporal_layers;
    // Inter-layer prediction on key pictures only.
    int32_t is_key_mode;
    int32_t kilobits, source;
    // H.264: the profile, 66 or 77.
    int32_t profile;
} encoder_settings;

typedef void (*frame_sink)(void *context, const layer_frame *frame);

typedef struct encoder encoder;
typedef struct decoder decoder;

// NULL: the library refuses.
encoder *encoder_open(const encoder_settings *settings);
// Encodes picture `frame` of the clip. 0: done, every layer went to the sink.
int32_t encoder_encode(encoder *e, int32_t frame, int32_t wants_key, frame_sink sink, void *context);
const char *encoder_error(const encoder *e);
void encoder_close(encoder *e);
// Tells of the frames of this many pictures from a key picture on, as they will hang together. No bytes, no hashes.
void encoder_plan(const encoder_settings *settings, int32_t pictures, frame_sink sink, void *context);

decoder *decoder_open(int32_t codec);
// Decodes one picture, all its layer frames one behind the other. 0: without the least complaint.
int32_t decoder_decode(decoder *d, const uint8_t *data, int64_t size, shown_picture *shown);
const char *decoder_error(const decoder *d);
void decoder_close(decoder *d);

#endif
