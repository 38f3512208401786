// Session keys from a master key: RFC 3711 §4.3 with the AES-CM PRF, key derivation rate 0. Knows no packets.
import COpenSSL

struct SRTPSessionKeys: Equatable {
    var encryption: [UInt8]
    /// Empty for AEAD profiles.
    var authentication: [UInt8]
    var salt: [UInt8]
}

extension SRTPSessionKeys {
    /// The labels of SRTP are 0 to 2, those of SRTCP 3 to 5.
    enum Kind: UInt8 { case rtp = 0, rtcp = 3 }

    /// A salt of 12 bytes is padded with zeros at its end (RFC 7714 §11).
    init?(masterKey: [UInt8], masterSalt: [UInt8], profile: SRTPProfile, kind: Kind = .rtp) {
        let authenticationLength = profile.isAEAD ? 0 : Int(sfu_srtp_auth_key)
        let label = kind.rawValue
        guard
            let encryption = deriveSRTPKey(masterKey, masterSalt, label: label, length: profile.keyLength),
            let authentication = deriveSRTPKey(
                masterKey,
                masterSalt,
                label: label + 1,
                length: authenticationLength
            ),
            let salt = deriveSRTPKey(masterKey, masterSalt, label: label + 2, length: profile.saltLength)
        else { return nil }
        self.encryption = encryption
        self.authentication = authentication
        self.salt = salt
    }

    /// Overwrites the keys where they are not needed any more.
    mutating func erase() {
        OPENSSL_cleanse(&encryption, encryption.count)
        OPENSSL_cleanse(&authentication, authentication.count)
        OPENSSL_cleanse(&salt, salt.count)
    }
}

/// AES-CM keystream at (salt ^ label · 2^48) · 2^16. `nil` for lengths that no profile has.
func deriveSRTPKey(_ masterKey: [UInt8], _ masterSalt: [UInt8], label: UInt8, length: Int) -> [UInt8]? {
    let cipher: OpaquePointer?
    switch masterKey.count {
    case 16: cipher = EVP_aes_128_ctr()
    case 32: cipher = EVP_aes_256_ctr()
    default: return nil
    }
    guard 12...14 ~= masterSalt.count, 0...64 ~= length else { return nil }
    guard length > 0 else { return [] }
    var iv = masterSalt + [UInt8](repeating: 0, count: 16 - masterSalt.count)
    iv[7] ^= label
    guard let context = EVP_CIPHER_CTX_new() else { return nil }
    defer { EVP_CIPHER_CTX_free(context) }
    let zeros = [UInt8](repeating: 0, count: length)
    var key = zeros
    var written: Int32 = 0
    guard EVP_EncryptInit_ex2(context, cipher, masterKey, iv, nil) == 1,
        EVP_EncryptUpdate(context, &key, &written, zeros, Int32(length)) == 1, Int(written) == length
    else { return nil }
    return key
}
