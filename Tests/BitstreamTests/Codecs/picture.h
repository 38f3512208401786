// Test pictures: bars that say which frame of which source this is, over a texture that moves.
#ifndef SFU_TEST_PICTURE_H
#define SFU_TEST_PICTURE_H

#include "codecs.h"

typedef struct {
    const uint8_t *planes[3];
    int strides[3];
    int width, height;
} planar;

// I420; the planes are one behind the other.
void picture_draw(uint8_t *bytes, int width, int height, int frame, int source);
void picture_read(const planar *picture, shown_picture *shown);

#endif
