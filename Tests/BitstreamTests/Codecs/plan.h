// The reference structure that every layered encoder here follows: which buffers a layer frame refers to and updates.
#ifndef SFU_TEST_PLAN_H
#define SFU_TEST_PLAN_H

#include "codecs.h"

typedef struct {
    int temporal;
    int is_sync;
    // Buffers by spatial layer: of earlier pictures, and of the layer below (−1: none).
    int earlier_count[MOST_SPATIAL], earlier[MOST_SPATIAL][2];
    int lower[MOST_SPATIAL];
    // The buffer that the frame is kept in, −1: none.
    int kept[MOST_SPATIAL];
    int is_unreferenced[MOST_SPATIAL];
} picture_plan;

// Buffers: T0 of a spatial layer in its own number, T1 in 3 + it, T2 in 6 + it.
enum { T1_BUFFER = 3, T2_BUFFER = 6 };

// `position` counts pictures since the last key picture.
picture_plan plan_picture(int position, const encoder_settings *settings);

#endif
