// Shared by the variants: how blocks, powers and products are laid out, and the one reduction. Not seen by Swift.
//
// GCM's bits are reflected. Blocks are held with their bytes reversed, and powers of the hash key multiplied by x, so that
// a carry-less product of two 128-bit halves needs no shift (Intel, "Carry-Less Multiplication Instruction and its Usage for
// Computing the GCM Mode"). The products of many blocks with falling powers are added up and reduced once.
#ifndef CGCM_INTERNAL_H
#define CGCM_INTERNAL_H

#include "CGCM.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#define CGCM_INLINE static inline __attribute__((always_inline))
#define CGCM_UNROLLED _Pragma("GCC unroll 16")
#define CGCM_NARROW __attribute__((target("aes,pclmul,ssse3,sse4.1")))
#define CGCM_WIDE \
    __attribute__((target("aes,pclmul,avx2,avx512f,avx512bw,avx512vl,vaes,vpclmulqdq")))

/// Lengths have been checked.
void cgcm_seal_aesni(
    const cgcm_key *key, const uint8_t *iv, const uint8_t *aad, size_t aad_length, uint8_t *bytes, size_t length,
    uint8_t *tag
);
void cgcm_seal_vaes512(
    const cgcm_key *key, const uint8_t *iv, const uint8_t *aad, size_t aad_length, uint8_t *bytes, size_t length,
    uint8_t *tag
);

/// Lengths have been checked. 1, or 0 and nothing was written.
int cgcm_open_aesni(
    const cgcm_key *key, const uint8_t *iv, const uint8_t *aad, size_t aad_length, uint8_t *bytes, size_t length,
    const uint8_t *tag
);
int cgcm_open_vaes512(
    const cgcm_key *key, const uint8_t *iv, const uint8_t *aad, size_t aad_length, uint8_t *bytes, size_t length,
    const uint8_t *tag
);

/// Where H^exponent is; those behind it have smaller ones.
CGCM_INLINE const uint8_t *cgcm_power(const cgcm_key *key, size_t exponent) {
    return (const uint8_t *)key + 16 * (cgcm_powers - exponent);
}

CGCM_INLINE CGCM_NARROW __m128i cgcm_reversed(__m128i block) {
    return _mm_shuffle_epi8(block, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

/// The counter block of an IV with a counter in native order in its last word, which `cgcm_counted` turns. Read in the pieces
/// that a caller has just written it in: a wide load would wait until they are in the cache.
CGCM_INLINE CGCM_NARROW __m128i cgcm_counter(const uint8_t *iv, uint32_t counter) {
    uint64_t first;
    uint32_t last;
    memcpy(&first, iv, sizeof first);
    memcpy(&last, iv + sizeof first, sizeof last);
    return _mm_set_epi64x((int64_t)((uint64_t)counter << 32 | last), (int64_t)first);
}

/// Both lengths in bits, as the last block that is hashed (SP 800-38D §7.1, step 5).
CGCM_INLINE CGCM_NARROW __m128i cgcm_lengths(size_t aad_length, size_t length) {
    return _mm_set_epi64x((int64_t)aad_length * 8, (int64_t)length * 8);
}

/// Sums of products, not reduced: the low and the high halves, and the mixed ones, which belong between them.
typedef struct cgcm_product {
    __m128i low, middle, high;
} cgcm_product;

CGCM_INLINE CGCM_NARROW void cgcm_add(cgcm_product *sum, __m128i block, __m128i power) {
    sum->low = _mm_xor_si128(sum->low, _mm_clmulepi64_si128(block, power, 0x00));
    sum->high = _mm_xor_si128(sum->high, _mm_clmulepi64_si128(block, power, 0x11));
    __m128i middle = _mm_xor_si128(_mm_clmulepi64_si128(block, power, 0x01), _mm_clmulepi64_si128(block, power, 0x10));
    sum->middle = _mm_xor_si128(sum->middle, middle);
}

/// Modulo x^128 + x^7 + x^2 + x + 1, half a block at a time.
CGCM_INLINE CGCM_NARROW __m128i cgcm_reduce(cgcm_product sum) {
    const __m128i polynomial = _mm_set_epi64x((int64_t)0xc200000000000000, 0);
    __m128i low = _mm_xor_si128(sum.low, _mm_slli_si128(sum.middle, 8));
    __m128i high = _mm_xor_si128(sum.high, _mm_srli_si128(sum.middle, 8));
    CGCM_UNROLLED for (int half = 0; half < 2; half++) {
        __m128i folded = _mm_clmulepi64_si128(low, polynomial, 0x10);
        low = _mm_xor_si128(_mm_shuffle_epi32(low, 0x4e), folded);
    }
    return _mm_xor_si128(low, high);
}

/// Whether all 16 bytes are the same, in the same time wherever they differ.
CGCM_INLINE CGCM_NARROW int cgcm_equal(__m128i block, const uint8_t *bytes) {
    return _mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_loadu_si128((const __m128i *)bytes))) == 0xffff;
}

#endif
#endif
