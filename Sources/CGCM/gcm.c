// What a CPU has, the key's expansion, and the way to the variant of a key. Knows no variant from inside.
#include "internal.h"

#include <string.h>

#if defined(__x86_64__)

cgcm_variant cgcm_best(void) {
    __builtin_cpu_init();
    int has_narrow = __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul")
        && __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("sse4.1");
    if (!has_narrow) return cgcm_unavailable;
    // These say that the system keeps the wide registers, too.
    int has_wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("vaes")
        && __builtin_cpu_supports("vpclmulqdq");
    return has_wide ? cgcm_vaes512 : cgcm_aesni;
}

/// FIPS 197 §5.2: the next round's key, where `assist` has the rotated and substituted last word.
CGCM_INLINE CGCM_NARROW __m128i next_round(__m128i key, __m128i assist) {
    for (int i = 0; i < 3; i++) key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
    return _mm_xor_si128(key, _mm_shuffle_epi32(assist, 0xff));
}

/// Round constants are part of the instruction, so this is no loop.
CGCM_NARROW static void expand_rounds(__m128i rounds[cgcm_rounds + 1], __m128i key) {
    rounds[0] = key;
    rounds[1] = next_round(rounds[0], _mm_aeskeygenassist_si128(rounds[0], 0x01));
    rounds[2] = next_round(rounds[1], _mm_aeskeygenassist_si128(rounds[1], 0x02));
    rounds[3] = next_round(rounds[2], _mm_aeskeygenassist_si128(rounds[2], 0x04));
    rounds[4] = next_round(rounds[3], _mm_aeskeygenassist_si128(rounds[3], 0x08));
    rounds[5] = next_round(rounds[4], _mm_aeskeygenassist_si128(rounds[4], 0x10));
    rounds[6] = next_round(rounds[5], _mm_aeskeygenassist_si128(rounds[5], 0x20));
    rounds[7] = next_round(rounds[6], _mm_aeskeygenassist_si128(rounds[6], 0x40));
    rounds[8] = next_round(rounds[7], _mm_aeskeygenassist_si128(rounds[7], 0x80));
    rounds[9] = next_round(rounds[8], _mm_aeskeygenassist_si128(rounds[8], 0x1b));
    rounds[10] = next_round(rounds[9], _mm_aeskeygenassist_si128(rounds[9], 0x36));
}

/// A reflected block times x: one bit to the left over both words, and what falls out comes back by the polynomial, without
/// a branch on it.
CGCM_NARROW static __m128i times_x(__m128i block) {
    uint64_t low = (uint64_t)_mm_cvtsi128_si64(block), high = (uint64_t)_mm_extract_epi64(block, 1);
    uint64_t carry = 0 - (high >> 63);
    high = (high << 1 | low >> 63) ^ (carry & 0xc200000000000000);
    low = low << 1 ^ (carry & 1);
    return _mm_set_epi64x((int64_t)high, (int64_t)low);
}

CGCM_NARROW static void expand(cgcm_key *out, const uint8_t *key) {
    __m128i rounds[cgcm_rounds + 1];
    expand_rounds(rounds, _mm_loadu_si128((const __m128i *)key));
    memcpy(out->round_keys, rounds, sizeof rounds);
    // The hash key is the encrypted block of zeros (SP 800-38D §7.1, step 1).
    __m128i block = rounds[0];
    for (int i = 1; i < cgcm_rounds; i++) block = _mm_aesenc_si128(block, rounds[i]);
    const __m128i first = times_x(cgcm_reversed(_mm_aesenclast_si128(block, rounds[cgcm_rounds])));
    __m128i power = first;
    for (int exponent = 1; exponent <= cgcm_powers; exponent++) {
        _mm_storeu_si128((__m128i *)out->powers[cgcm_powers - exponent], power);
        cgcm_product sum = {_mm_setzero_si128(), _mm_setzero_si128(), _mm_setzero_si128()};
        cgcm_add(&sum, power, first);
        power = cgcm_reduce(sum);
    }
    memset(rounds, 0, sizeof rounds);
    __asm__ __volatile__("" : : "r"(rounds) : "memory");
}

int cgcm_expand(cgcm_key *out, const uint8_t key[cgcm_key_bytes], cgcm_variant variant) {
    if (variant <= cgcm_unavailable || variant > cgcm_best() || (uintptr_t)out % cgcm_alignment != 0) return 0;
    expand(out, key);
    memset(out->salt, 0, sizeof out->salt);
    out->variant = (uint32_t)variant;
    return 1;
}

int cgcm_seal(
    const cgcm_key *key, const uint8_t iv[cgcm_iv_bytes], const uint8_t *aad, size_t aad_length, uint8_t *bytes,
    size_t length, uint8_t tag[cgcm_tag_bytes]
) {
    if (aad_length > cgcm_longest || length > cgcm_longest) return 0;
    if (key->variant == cgcm_vaes512) {
        cgcm_seal_vaes512(key, iv, aad, aad_length, bytes, length, tag);
    } else {
        cgcm_seal_aesni(key, iv, aad, aad_length, bytes, length, tag);
    }
    return 1;
}

int cgcm_open(
    const cgcm_key *key, const uint8_t iv[cgcm_iv_bytes], const uint8_t *aad, size_t aad_length, uint8_t *bytes,
    size_t length, const uint8_t tag[cgcm_tag_bytes]
) {
    if (aad_length > cgcm_longest || length > cgcm_longest) return 0;
    if (key->variant == cgcm_vaes512) return cgcm_open_vaes512(key, iv, aad, aad_length, bytes, length, tag);
    return cgcm_open_aesni(key, iv, aad, aad_length, bytes, length, tag);
}

#else

cgcm_variant cgcm_best(void) { return cgcm_unavailable; }

int cgcm_expand(cgcm_key *out, const uint8_t key[cgcm_key_bytes], cgcm_variant variant) {
    (void)out, (void)key, (void)variant;
    return 0;
}

int cgcm_seal(
    const cgcm_key *key, const uint8_t iv[cgcm_iv_bytes], const uint8_t *aad, size_t aad_length, uint8_t *bytes,
    size_t length, uint8_t tag[cgcm_tag_bytes]
) {
    (void)key, (void)iv, (void)aad, (void)aad_length, (void)bytes, (void)length, (void)tag;
    return 0;
}

int cgcm_open(
    const cgcm_key *key, const uint8_t iv[cgcm_iv_bytes], const uint8_t *aad, size_t aad_length, uint8_t *bytes,
    size_t length, const uint8_t tag[cgcm_tag_bytes]
) {
    (void)key, (void)iv, (void)aad, (void)aad_length, (void)bytes, (void)length, (void)tag;
    return 0;
}

#endif

void cgcm_erase(cgcm_key *key) {
    memset(key, 0, sizeof *key);
    // Says that somebody might look.
    __asm__ __volatile__("" : : "r"(key) : "memory");
}
