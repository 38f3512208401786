// AES-128-GCM (NIST SP 800-38D) by the CPU's own instructions: sealing and opening, in place, without allocation, in time
// that depends on lengths and on whether a tag was right, on nothing else. A key is one block of memory. Must not know packets,
// streams or OpenSSL; whoever calls never seals two different texts under one IV, and has something else for a CPU on which
// `cgcm_best` finds nothing.
#ifndef CGCM_H
#define CGCM_H

#include <stddef.h>
#include <stdint.h>

/// The ways to seal and open, from the plainest to the widest. All give the same bytes.
typedef enum cgcm_variant {
    /// This CPU, or its architecture, has no way that is implemented here.
    cgcm_unavailable = 0,
    /// AES-NI and PCLMULQDQ: one block per instruction.
    cgcm_aesni = 1,
    /// VAES, VPCLMULQDQ and AVX-512: four blocks per instruction.
    cgcm_vaes512 = 2,
} cgcm_variant;

enum {
    cgcm_key_bytes = 16,
    cgcm_iv_bytes = 12,
    cgcm_tag_bytes = 16,
    cgcm_rounds = 10,
    /// Of a key in memory, bytes.
    cgcm_alignment = 64,
    /// How many powers of the hash key are kept: as many blocks are hashed before one reduction.
    cgcm_powers = 16,
    /// Where in a key that begins which every text reads; before it are powers for longer ones, which come late in those.
    cgcm_near = 16 * (cgcm_powers - 8),
    /// The longest text and the longest associated data, bytes.
    cgcm_longest = 65535,
};

/// A key, all that is read: seven cache lines, of which seven blocks of text and associated data read the last five. Secret
/// as a whole. It stands at a multiple of `cgcm_alignment`, and is not copied.
typedef struct cgcm_key {
    /// H^16 to H^1, each times x, bytes reversed: as a multiplication wants them.
    uint8_t powers[cgcm_powers][16];
    uint8_t round_keys[cgcm_rounds + 1][16];
    /// Not read here: room in the same cache line for the part of an owner's IVs that stays.
    uint8_t salt[cgcm_iv_bytes];
    /// A `cgcm_variant`.
    uint32_t variant;
} cgcm_key;

/// The widest variant that this CPU, its system and this architecture have.
cgcm_variant cgcm_best(void);

/// Makes `out` of an AES key; its salt becomes zero.
/// Returns 1; 0, and `out` is untouched, if this CPU does not have the variant, or `out` stands where a key may not.
int cgcm_expand(cgcm_key *out, const uint8_t key[cgcm_key_bytes], cgcm_variant variant);

/// Encrypts `length` bytes in place and writes the tag of text and associated data, which usually is the place behind the text.
/// Reads and writes no byte beside them. Returns 1; 0, and nothing was written, if a length is above `cgcm_longest`.
int cgcm_seal(
    const cgcm_key *key, const uint8_t iv[cgcm_iv_bytes], const uint8_t *aad, size_t aad_length, uint8_t *bytes,
    size_t length, uint8_t tag[cgcm_tag_bytes]
);

/// Checks the tag of text and associated data, and where it is right decrypts `length` bytes in place. Reads and writes no byte
/// beside them. Returns 1; 0, and nothing was written, if the tag is wrong or a length is above `cgcm_longest`.
int cgcm_open(
    const cgcm_key *key, const uint8_t iv[cgcm_iv_bytes], const uint8_t *aad, size_t aad_length, uint8_t *bytes,
    size_t length, const uint8_t tag[cgcm_tag_bytes]
);

/// Overwrites a key; no compiler leaves it out.
void cgcm_erase(cgcm_key *key);

#endif
