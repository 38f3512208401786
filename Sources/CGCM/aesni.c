// AES-NI and PCLMULQDQ: one block per register, eight at a time. See internal.h.
#include "internal.h"

#if defined(__x86_64__)

enum {
    /// Blocks that are encrypted side by side and hashed before one reduction.
    group = 8,
    group_bytes = 16 * group,
};

CGCM_INLINE CGCM_NARROW __m128i counted(__m128i base, uint32_t counter) {
    const __m128i order = _mm_set_epi8(12, 13, 14, 15, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    return _mm_shuffle_epi8(_mm_add_epi32(base, _mm_set_epi32((int)counter, 0, 0, 0)), order);
}

CGCM_INLINE CGCM_NARROW __m128i round_key(const cgcm_key *key, int round) {
    return _mm_load_si128((const __m128i *)key->round_keys[round]);
}

/// Encrypts a group of counter blocks, and with `last` one block more, whose keystream it replaces.
CGCM_INLINE CGCM_NARROW void encrypt(const cgcm_key *key, __m128i blocks[group], __m128i *last) {
    __m128i by = round_key(key, 0);
    CGCM_UNROLLED for (int i = 0; i < group; i++) blocks[i] = _mm_xor_si128(blocks[i], by);
    if (last) *last = _mm_xor_si128(*last, by);
    CGCM_UNROLLED for (int round = 1; round < cgcm_rounds; round++) {
        by = round_key(key, round);
        CGCM_UNROLLED for (int i = 0; i < group; i++) blocks[i] = _mm_aesenc_si128(blocks[i], by);
        if (last) *last = _mm_aesenc_si128(*last, by);
    }
    by = round_key(key, cgcm_rounds);
    CGCM_UNROLLED for (int i = 0; i < group; i++) blocks[i] = _mm_aesenclast_si128(blocks[i], by);
    if (last) *last = _mm_aesenclast_si128(*last, by);
}

CGCM_INLINE CGCM_NARROW cgcm_product nothing(void) {
    cgcm_product sum = {_mm_setzero_si128(), _mm_setzero_si128(), _mm_setzero_si128()};
    return sum;
}

CGCM_INLINE CGCM_NARROW __m128i power(const cgcm_key *key, size_t exponent) {
    return _mm_load_si128((const __m128i *)cgcm_power(key, exponent));
}

/// 1 to 15 bytes, zeros behind them, in two pieces that overlap: nothing is written that is read again at once.
CGCM_INLINE CGCM_NARROW __m128i partial(const uint8_t *bytes, size_t count) {
    uint64_t low = bytes[0], high = 0;
    if (count >= 8) {
        memcpy(&low, bytes, 8);
        memcpy(&high, bytes + count - 8, 8);
        high = count > 8 ? high >> 8 * (16 - count) : 0;
    } else if (count >= 4) {
        uint32_t first, last;
        memcpy(&first, bytes, 4);
        memcpy(&last, bytes + count - 4, 4);
        low = (uint64_t)last << 8 * (count - 4) | first;
    } else if (count >= 2) {
        low |= (uint64_t)bytes[1] << 8 | (uint64_t)bytes[count - 1] << 8 * (count - 1);
    }
    return _mm_set_epi64x((int64_t)high, (int64_t)low);
}

/// Writes the first 1 to 15 bytes of a block, and returns it with zeros behind them.
CGCM_INLINE CGCM_NARROW __m128i put_partial(uint8_t *bytes, size_t count, __m128i block) {
    static const uint8_t ones[32] = {
        255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    };
    uint64_t low = (uint64_t)_mm_cvtsi128_si64(block), high = (uint64_t)_mm_extract_epi64(block, 1);
    if (count >= 8) {
        memcpy(bytes, &low, 8);
        bytes += 8;
        low = high;
    }
    for (size_t i = 0; i < (count & 7); i++) bytes[i] = (uint8_t)(low >> 8 * i);
    return _mm_and_si128(block, _mm_loadu_si128((const __m128i *)(ones + 16 - count)));
}

/// Adds the products of `length` bytes, the last block's exponent being `end`: as many blocks as there are powers.
CGCM_INLINE CGCM_NARROW void add_bytes(
    cgcm_product *sum, const cgcm_key *key, const uint8_t *bytes, size_t length, size_t end, __m128i hash
) {
    size_t exponent = end + (length + 15) / 16;
    for (size_t at = 0; at < length; at += 16) {
        size_t left = length - at;
        __m128i block = left < 16 ? partial(bytes + at, left) : _mm_loadu_si128((const __m128i *)(bytes + at));
        cgcm_add(sum, _mm_xor_si128(cgcm_reversed(block), hash), power(key, --exponent));
        hash = _mm_setzero_si128();
    }
}

/// The hash after `length` bytes more, any number.
CGCM_NARROW static __m128i cgcm_hashed(const cgcm_key *key, const uint8_t *bytes, size_t length, __m128i hash) {
    const size_t most = 16 * cgcm_powers;
    while (length > 0) {
        size_t count = length < most ? length : most;
        cgcm_product sum = nothing();
        add_bytes(&sum, key, bytes, count, 1, hash);
        hash = cgcm_reduce(sum);
        bytes += count;
        length -= count;
    }
    return hash;
}

/// A whole group: returns the hash after it.
CGCM_INLINE CGCM_NARROW __m128i seal_group(
    const cgcm_key *key, __m128i base, uint32_t counter, uint8_t *bytes, __m128i hash
) {
    __m128i stream[group];
    CGCM_UNROLLED for (int i = 0; i < group; i++) stream[i] = counted(base, counter + (uint32_t)i);
    encrypt(key, stream, NULL);
    cgcm_product sum = nothing();
    CGCM_UNROLLED for (int i = 0; i < group; i++) {
        __m128i *at = (__m128i *)(bytes + 16 * i);
        __m128i text = _mm_xor_si128(_mm_loadu_si128(at), stream[i]);
        _mm_storeu_si128(at, text);
        text = cgcm_reversed(text);
        if (i == 0) text = _mm_xor_si128(text, hash);
        cgcm_add(&sum, text, power(key, (size_t)(group - i)));
    }
    return cgcm_reduce(sum);
}

CGCM_NARROW void cgcm_seal_aesni(
    const cgcm_key *key, const uint8_t *iv, const uint8_t *aad, size_t aad_length, uint8_t *bytes, size_t length,
    uint8_t *tag
) {
    const __m128i base = cgcm_counter(iv, 0);
    const __m128i lengths = cgcm_lengths(aad_length, length);
    const size_t aad_blocks = (aad_length + 15) / 16, blocks = (length + 15) / 16;
    __m128i hash = _mm_setzero_si128();
    cgcm_product sum = nothing();
    if (length < group_bytes && aad_blocks + blocks < cgcm_powers) {
        // All of it is added up before the only reduction.
        add_bytes(&sum, key, aad, aad_length, blocks + 2, hash);
    } else {
        hash = cgcm_hashed(key, aad, aad_length, hash);
    }
    uint32_t counter = 2;
    for (; length >= group_bytes; length -= group_bytes, bytes += group_bytes, counter += group)
        hash = seal_group(key, base, counter, bytes, hash);
    // Less than a group is left. Its blocks are encrypted all the same: side by side they take hardly longer than one.
    __m128i stream[group], mask = counted(base, 1);
    CGCM_UNROLLED for (int i = 0; i < group; i++) stream[i] = counted(base, counter + (uint32_t)i);
    encrypt(key, stream, &mask);
    size_t exponent = (length + 15) / 16 + 1;
    for (size_t i = 0; 16 * i < length; i++) {
        uint8_t *at = bytes + 16 * i;
        size_t left = length - 16 * i;
        __m128i text;
        if (left < 16) {
            text = put_partial(at, left, _mm_xor_si128(partial(at, left), stream[i]));
        } else {
            text = _mm_xor_si128(_mm_loadu_si128((const __m128i *)at), stream[i]);
            _mm_storeu_si128((__m128i *)at, text);
        }
        cgcm_add(&sum, _mm_xor_si128(cgcm_reversed(text), hash), power(key, exponent--));
        hash = _mm_setzero_si128();
    }
    cgcm_add(&sum, _mm_xor_si128(lengths, hash), power(key, 1));
    _mm_storeu_si128((__m128i *)tag, _mm_xor_si128(cgcm_reversed(cgcm_reduce(sum)), mask));
}

/// Decrypts 1 to `group_bytes` bytes.
CGCM_INLINE CGCM_NARROW void take_off(const __m128i stream[group], uint8_t *bytes, size_t length) {
    for (size_t i = 0; 16 * i < length; i++) {
        uint8_t *at = bytes + 16 * i;
        size_t left = length - 16 * i;
        if (left < 16) {
            put_partial(at, left, _mm_xor_si128(partial(at, left), stream[i]));
        } else {
            _mm_storeu_si128((__m128i *)at, _mm_xor_si128(_mm_loadu_si128((const __m128i *)at), stream[i]));
        }
    }
}

CGCM_NARROW int cgcm_open_aesni(
    const cgcm_key *key, const uint8_t *iv, const uint8_t *aad, size_t aad_length, uint8_t *bytes, size_t length,
    const uint8_t *tag
) {
    const __m128i base = cgcm_counter(iv, 0);
    const size_t aad_blocks = (aad_length + 15) / 16, blocks = (length + 15) / 16;
    // The first keystream is made beside the hash, which does not wait for it.
    __m128i stream[group], mask = counted(base, 1);
    CGCM_UNROLLED for (int i = 0; i < group; i++) stream[i] = counted(base, 2 + (uint32_t)i);
    encrypt(key, stream, &mask);
    __m128i hash = _mm_setzero_si128();
    cgcm_product sum = nothing();
    if (aad_blocks + blocks < cgcm_powers) {
        // All of it is added up before the only reduction.
        add_bytes(&sum, key, aad, aad_length, blocks + 2, hash);
        add_bytes(&sum, key, bytes, length, 2, hash);
    } else {
        hash = cgcm_hashed(key, bytes, length, cgcm_hashed(key, aad, aad_length, hash));
    }
    cgcm_add(&sum, _mm_xor_si128(cgcm_lengths(aad_length, length), hash), power(key, 1));
    if (!cgcm_equal(_mm_xor_si128(cgcm_reversed(cgcm_reduce(sum)), mask), tag)) return 0;
    for (uint32_t counter = 2 + group; length > group_bytes; counter += group) {
        take_off(stream, bytes, group_bytes);
        bytes += group_bytes;
        length -= group_bytes;
        CGCM_UNROLLED for (int i = 0; i < group; i++) stream[i] = counted(base, counter + (uint32_t)i);
        encrypt(key, stream, NULL);
    }
    take_off(stream, bytes, length);
    return 1;
}

#endif
