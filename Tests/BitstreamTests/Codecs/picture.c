// Draws and reads the test pictures. Knows no codec.
#include "picture.h"

#include <string.h>

// 16 fields: 11 bits of the frame, 2 of the source, 3 of a check sum.
enum { COLUMNS = 4, ROWS = 4, FRAME_BITS = 11 };

static unsigned checked(unsigned frame, unsigned source) {
    unsigned value = (frame & ((1 << FRAME_BITS) - 1)) | (source & 3) << FRAME_BITS;
    unsigned sum = value ^ value >> 3 ^ value >> 6 ^ value >> 9 ^ value >> 12;
    return value | ((sum ^ 5) & 7) << 13;
}

void picture_draw(uint8_t *bytes, int width, int height, int frame, int source) {
    unsigned bits = checked((unsigned)frame, (unsigned)source);
    uint32_t noise = (uint32_t)frame * 2654435761u + (uint32_t)source + 1;
    for (int y = 0; y < height; y++) {
        int row = y * ROWS / height;
        for (int x = 0; x < width; x++) {
            int field = row * COLUMNS + x * COLUMNS / width;
            int texture = ((x * 3 + y * 5 + frame * 7) & 63) / 2 + ((x ^ (y + frame)) & 16);
            if ((x & 7) == 0) noise = noise * 1664525 + 1013904223;
            bytes[y * width + x] = (uint8_t)((bits >> field & 1 ? 176 : 40) + texture + (noise >> 29));
        }
    }
    uint8_t *u = bytes + width * height;
    int w = width / 2, h = height / 2;
    for (int y = 0; y < h; y++) {
        for (int x = 0; x < w; x++) {
            u[y * w + x] = (uint8_t)(64 + (x + frame * 2) % 128);
            u[w * h + y * w + x] = (uint8_t)(64 + (y * 2 + frame + source * 40) % 128);
        }
    }
}

static uint64_t mix(uint64_t hash, const uint8_t *bytes, int count) {
    int i = 0;
    for (; i + 8 <= count; i += 8) {
        uint64_t word;
        memcpy(&word, bytes + i, 8);
        hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 29;
    }
    for (; i < count; i++) hash = (hash ^ bytes[i]) * 0x100000001B3u;
    return hash;
}

static unsigned read_bars(const planar *p) {
    unsigned bits = 0;
    for (int row = 0; row < ROWS; row++) {
        for (int column = 0; column < COLUMNS; column++) {
            int left = (column * 4 + 1) * p->width / (COLUMNS * 4), right = left + p->width / (COLUMNS * 2);
            int top = (row * 4 + 1) * p->height / (ROWS * 4), bottom = top + p->height / (ROWS * 2);
            uint64_t sum = 0, count = 0;
            for (int y = top; y < bottom; y++) {
                for (int x = left; x < right; x++, count++) sum += p->planes[0][y * p->strides[0] + x];
            }
            if (count > 0 && sum / count > 130) bits |= 1u << (row * COLUMNS + column);
        }
    }
    return bits;
}

void picture_read(const planar *p, shown_picture *shown) {
    uint64_t hash = 0xCBF29CE484222325u ^ ((uint64_t)p->width << 32 | (uint64_t)p->height);
    for (int plane = 0; plane < 3; plane++) {
        int w = plane == 0 ? p->width : (p->width + 1) / 2, h = plane == 0 ? p->height : (p->height + 1) / 2;
        for (int y = 0; y < h; y++) hash = mix(hash, p->planes[plane] + y * p->strides[plane], w);
    }
    unsigned bits = read_bars(p);
    unsigned frame = bits & ((1 << FRAME_BITS) - 1), source = bits >> FRAME_BITS & 3;
    int isWhole = checked(frame, source) == bits;
    *shown = (shown_picture){
        .width = p->width,
        .height = p->height,
        .hash = hash,
        .frame = isWhole ? (int32_t)frame : -1,
        .source = isWhole ? (int32_t)source : -1,
    };
}
