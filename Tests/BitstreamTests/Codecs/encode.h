// What the encoders share.
#ifndef SFU_TEST_ENCODE_H
#define SFU_TEST_ENCODE_H

#include "picture.h"
#include "plan.h"

typedef struct encoder_library encoder_library;

struct encoder {
    encoder_settings settings;
    const encoder_library *library;
    void *state;
    uint8_t *source;
    // Pictures since the last key picture; the number that each buffer holds.
    int position;
    int buffers[BUFFERS];
    int count;
    int64_t ticks;
    // Decodes what a viewer of each spatial layer gets who misses nothing.
    decoder *references[MOST_SPATIAL];
    // The picture at hand: layer frames one behind the other.
    uint8_t *bytes;
    int64_t capacity, sizes[MOST_SPATIAL];
    char error[256];
};

struct encoder_library {
    int (*open)(encoder *e);
    // Calls `encoder_append` for each spatial layer, lowest first. 0: done.
    int (*encode)(encoder *e, const picture_plan *plan, int is_key);
    void (*close)(encoder *e);
};

extern const encoder_library vpx_library, aom_library, x264_library, openh264_library;

// The next layer frame of the picture at hand.
int encoder_append(encoder *e, int spatial, const uint8_t *data, int64_t size);
int encoder_fail(encoder *e, const char *what);
int layer_size(const encoder *e, int spatial, int whole);
// Kilobits per second of the layer, layers below not included.
int layer_rate(const encoder *e, int spatial);

#endif
