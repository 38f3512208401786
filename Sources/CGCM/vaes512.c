// VAES, VPCLMULQDQ and AVX-512: four blocks per register, ends of texts by masks. See internal.h.
#include "internal.h"

#if defined(__x86_64__)

enum {
    /// Blocks of a register, and registers of a group, which one reduction ends.
    lanes = 4,
    register_bytes = 16 * lanes,
    group = cgcm_powers / lanes,
    group_bytes = register_bytes * group,
};

typedef struct wide_product {
    __m512i low, middle, high;
} wide_product;

CGCM_INLINE CGCM_WIDE __m512i reversed(__m512i blocks) {
    const __m128i order = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_shuffle_epi8(blocks, _mm512_broadcast_i32x4(order));
}

/// Counter blocks with their last word turned to big endian.
CGCM_INLINE CGCM_WIDE __m512i counted(__m512i blocks) {
    const __m128i order = _mm_set_epi8(12, 13, 14, 15, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    return _mm512_shuffle_epi8(blocks, _mm512_broadcast_i32x4(order));
}

/// Four counters from `first` on, after the counter block of the IV.
CGCM_INLINE CGCM_WIDE __m512i counters(__m512i base, uint32_t first) {
    const __m512i steps = _mm512_set_epi32(3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0);
    __m512i start = _mm512_maskz_set1_epi32(0x8888, (int)first);
    return counted(_mm512_add_epi32(base, _mm512_add_epi32(steps, start)));
}

CGCM_INLINE CGCM_WIDE __mmask64 first_bytes(size_t count) { return count ? ~(__mmask64)0 >> (64 - count) : 0; }

CGCM_INLINE CGCM_WIDE void add(wide_product *sum, __m512i blocks, const uint8_t *powers) {
    __m512i by = _mm512_loadu_si512(powers);
    sum->low = _mm512_xor_si512(sum->low, _mm512_clmulepi64_epi128(blocks, by, 0x00));
    sum->high = _mm512_xor_si512(sum->high, _mm512_clmulepi64_epi128(blocks, by, 0x11));
    sum->middle = _mm512_ternarylogic_epi32(
        sum->middle, _mm512_clmulepi64_epi128(blocks, by, 0x01), _mm512_clmulepi64_epi128(blocks, by, 0x10), 0x96);
}

/// The sum of all lanes.
CGCM_INLINE CGCM_WIDE __m128i folded(__m512i value) {
    __m256i half = _mm256_xor_si256(_mm512_castsi512_si256(value), _mm512_extracti64x4_epi64(value, 1));
    return _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

CGCM_INLINE CGCM_WIDE __m128i reduced(const wide_product *sum) {
    cgcm_product narrow = {folded(sum->low), folded(sum->middle), folded(sum->high)};
    return cgcm_reduce(narrow);
}

CGCM_INLINE CGCM_WIDE wide_product nothing(void) {
    wide_product sum = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
    return sum;
}

CGCM_INLINE CGCM_WIDE __m512i round_key(const cgcm_key *key, int round) {
    return _mm512_broadcast_i32x4(_mm_load_si128((const __m128i *)key->round_keys[round]));
}

/// How many of `length` bytes are in one register.
CGCM_INLINE CGCM_WIDE __mmask64 present_bytes(size_t length) {
    return first_bytes(length < register_bytes ? length : register_bytes);
}

/// Adds the products of `length` bytes, the first block's exponent being `exponent`, after `hash`.
CGCM_INLINE CGCM_WIDE void add_bytes(
    wide_product *sum, const cgcm_key *key, const uint8_t *bytes, size_t length, size_t exponent, __m128i hash
) {
    for (size_t at = 0; at < length; at += register_bytes) {
        __m512i blocks = reversed(_mm512_maskz_loadu_epi8(present_bytes(length - at), bytes + at));
        // Lanes behind the end are zero, and so are their products, whatever they are multiplied by.
        add(sum, _mm512_xor_si512(blocks, _mm512_zextsi128_si512(hash)), cgcm_power(key, exponent - at / 16));
        hash = _mm_setzero_si128();
    }
}

/// The hash after `length` bytes more, any number.
CGCM_WIDE static __m128i cgcm_hashed(const cgcm_key *key, const uint8_t *bytes, size_t length, __m128i hash) {
    while (length > 0) {
        size_t count = length < group_bytes ? length : group_bytes;
        wide_product sum = nothing();
        add_bytes(&sum, key, bytes, count, (count + 15) / 16, hash);
        hash = reduced(&sum);
        bytes += count;
        length -= count;
    }
    return hash;
}

/// Encrypts `count` registers of counter blocks, and with `last` one block more, whose keystream it replaces.
CGCM_INLINE CGCM_WIDE void encrypt(const cgcm_key *key, __m512i *blocks, int count, __m128i *last) {
    __m512i by = round_key(key, 0);
    CGCM_UNROLLED for (int i = 0; i < count; i++) blocks[i] = _mm512_xor_si512(blocks[i], by);
    if (last) *last = _mm_xor_si128(*last, _mm512_castsi512_si128(by));
    CGCM_UNROLLED for (int round = 1; round < cgcm_rounds; round++) {
        by = round_key(key, round);
        CGCM_UNROLLED for (int i = 0; i < count; i++) blocks[i] = _mm512_aesenc_epi128(blocks[i], by);
        if (last) *last = _mm_aesenc_si128(*last, _mm512_castsi512_si128(by));
    }
    by = round_key(key, cgcm_rounds);
    CGCM_UNROLLED for (int i = 0; i < count; i++) blocks[i] = _mm512_aesenclast_epi128(blocks[i], by);
    if (last) *last = _mm_aesenclast_si128(*last, _mm512_castsi512_si128(by));
}

/// A whole group: returns the hash after it.
CGCM_INLINE CGCM_WIDE __m128i seal_group(
    const cgcm_key *key, __m512i base, uint32_t counter, uint8_t *bytes, __mmask64 last, __m128i hash
) {
    __m512i stream[group];
    CGCM_UNROLLED for (int i = 0; i < group; i++) stream[i] = counters(base, counter + (uint32_t)(lanes * i));
    encrypt(key, stream, group, NULL);
    wide_product sum = nothing();
    CGCM_UNROLLED for (int i = 0; i < group; i++) {
        uint8_t *at = bytes + register_bytes * i;
        __mmask64 mask = i == group - 1 ? last : ~(__mmask64)0;
        __m512i text = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, at), stream[i]);
        _mm512_mask_storeu_epi8(at, mask, text);
        text = reversed(_mm512_maskz_mov_epi8(mask, text));
        if (i == 0) text = _mm512_xor_si512(text, _mm512_zextsi128_si512(hash));
        add(&sum, text, cgcm_power(key, (size_t)(cgcm_powers - lanes * i)));
    }
    return reduced(&sum);
}

/// What is left, in `count` registers: its text, the block of lengths, the tag. `sum` has products of what came before that are
/// not reduced yet, or nothing; `hash` is what is.
CGCM_INLINE CGCM_WIDE void seal_rest(
    const cgcm_key *key, __m512i base, uint32_t counter, uint8_t *bytes, size_t length, int count, wide_product sum,
    __m128i hash, __m128i lengths, uint8_t *tag
) {
    __m512i stream[group];
    __m128i mask = _mm512_castsi512_si128(counters(base, 1));
    CGCM_UNROLLED for (int i = 0; i < count; i++) stream[i] = counters(base, counter + (uint32_t)(lanes * i));
    encrypt(key, stream, count, &mask);
    size_t exponent = (length + 15) / 16 + 1;
    CGCM_UNROLLED for (int i = 0; i < count; i++) {
        uint8_t *at = bytes + register_bytes * i;
        __mmask64 present = i == count - 1 ? first_bytes(length - (size_t)(register_bytes * i)) : ~(__mmask64)0;
        __m512i text = _mm512_xor_si512(_mm512_maskz_loadu_epi8(present, at), stream[i]);
        _mm512_mask_storeu_epi8(at, present, text);
        text = reversed(_mm512_maskz_mov_epi8(present, text));
        if (i == 0) text = _mm512_xor_si512(text, _mm512_zextsi128_si512(hash));
        // Lanes behind the end are zero, and so are their products, whatever they are multiplied by.
        add(&sum, text, cgcm_power(key, exponent - (size_t)(lanes * i)));
    }
    if (count == 0) lengths = _mm_xor_si128(lengths, hash);
    cgcm_product all = {folded(sum.low), folded(sum.middle), folded(sum.high)};
    cgcm_add(&all, lengths, _mm_load_si128((const __m128i *)cgcm_power(key, 1)));
    _mm_storeu_si128((__m128i *)tag, _mm_xor_si128(cgcm_reversed(cgcm_reduce(all)), mask));
}

CGCM_WIDE void cgcm_seal_vaes512(
    const cgcm_key *key, const uint8_t *iv, const uint8_t *aad, size_t aad_length, uint8_t *bytes, size_t length,
    uint8_t *tag
) {
    const __m512i base = _mm512_broadcast_i32x4(cgcm_counter(iv, 0));
    const __m128i lengths = cgcm_lengths(aad_length, length);
    const size_t aad_blocks = (aad_length + 15) / 16, blocks = (length + 15) / 16;
    __m128i hash = _mm_setzero_si128();
    wide_product sum = nothing();
    if (aad_blocks <= lanes && aad_blocks + blocks < cgcm_powers) {
        // All of it is added up before the only reduction.
        __m512i header = reversed(_mm512_maskz_loadu_epi8(first_bytes(aad_length), aad));
        add(&sum, header, cgcm_power(key, aad_blocks + blocks + 1));
    } else {
        hash = cgcm_hashed(key, aad, aad_length, hash);
    }
    uint32_t counter = 2;
    for (; length >= group_bytes; length -= group_bytes, bytes += group_bytes, counter += cgcm_powers)
        hash = seal_group(key, base, counter, bytes, ~(__mmask64)0, hash);
    // The block of lengths comes behind the rest, so that has one block less than a group.
    if (length > group_bytes - 16) {
        hash = seal_group(key, base, counter, bytes, first_bytes(length - (group_bytes - register_bytes)), hash);
        length = 0;
    }
    switch ((length + register_bytes - 1) / register_bytes) {
    case 0:
        seal_rest(key, base, counter, bytes, length, 0, sum, hash, lengths, tag);
        break;
    case 1:
        seal_rest(key, base, counter, bytes, length, 1, sum, hash, lengths, tag);
        break;
    case 2:
        seal_rest(key, base, counter, bytes, length, 2, sum, hash, lengths, tag);
        break;
    case 3:
        seal_rest(key, base, counter, bytes, length, 3, sum, hash, lengths, tag);
        break;
    default:
        seal_rest(key, base, counter, bytes, length, group, sum, hash, lengths, tag);
        break;
    }
}

CGCM_WIDE int cgcm_open_vaes512(
    const cgcm_key *key, const uint8_t *iv, const uint8_t *aad, size_t aad_length, uint8_t *bytes, size_t length,
    const uint8_t *tag
) {
    const __m512i base = _mm512_broadcast_i32x4(cgcm_counter(iv, 0));
    const size_t aad_blocks = (aad_length + 15) / 16, blocks = (length + 15) / 16;
    // The first keystream is made beside the hash, which does not wait for it.
    __m512i stream[group];
    __m128i mask = _mm512_castsi512_si128(counters(base, 1));
    CGCM_UNROLLED for (int i = 0; i < group; i++) stream[i] = counters(base, 2 + (uint32_t)(lanes * i));
    encrypt(key, stream, group, &mask);
    __m128i hash = _mm_setzero_si128();
    wide_product sum = nothing();
    if (aad_blocks + blocks < cgcm_powers) {
        // All of it is added up before the only reduction.
        add_bytes(&sum, key, aad, aad_length, aad_blocks + blocks + 1, hash);
        add_bytes(&sum, key, bytes, length, blocks + 1, hash);
    } else {
        hash = cgcm_hashed(key, bytes, length, cgcm_hashed(key, aad, aad_length, hash));
    }
    cgcm_product all = {folded(sum.low), folded(sum.middle), folded(sum.high)};
    __m128i lengths = _mm_xor_si128(cgcm_lengths(aad_length, length), hash);
    cgcm_add(&all, lengths, _mm_load_si128((const __m128i *)cgcm_power(key, 1)));
    if (!cgcm_equal(_mm_xor_si128(cgcm_reversed(cgcm_reduce(all)), mask), tag)) return 0;
    for (uint32_t counter = 2 + cgcm_powers;; counter += cgcm_powers) {
        CGCM_UNROLLED for (int i = 0; i < group; i++) {
            if ((size_t)(register_bytes * i) >= length) return 1;
            uint8_t *at = bytes + register_bytes * i;
            __mmask64 present = present_bytes(length - (size_t)(register_bytes * i));
            __m512i text = _mm512_xor_si512(_mm512_maskz_loadu_epi8(present, at), stream[i]);
            _mm512_mask_storeu_epi8(at, present, text);
        }
        if (length <= group_bytes) return 1;
        bytes += group_bytes;
        length -= group_bytes;
        CGCM_UNROLLED for (int i = 0; i < group; i++) stream[i] = counters(base, counter + (uint32_t)(lanes * i));
        encrypt(key, stream, group, NULL);
    }
}

#endif
