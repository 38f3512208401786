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
        guard let derivation = SRTPKeyDerivation(masterKey, masterSalt) else { return nil }
        defer { derivation.free() }
        let authenticationLength = profile.isAEAD ? 0 : Int(sfu_srtp_auth_key)
        let label = kind.rawValue
        guard let encryption = derivation.key(label: label, length: profile.keyLength),
            let authentication = derivation.key(label: label + 1, length: authenticationLength),
            let salt = derivation.key(label: label + 2, length: profile.saltLength)
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

extension SRTPSessionKeys {
    /// Hands the keys to `body`, and overwrites them then. nil: of `body`, or a length is wrong, or no memory.
    static func with<Made>(
        masterKey: [UInt8],
        masterSalt: [UInt8],
        profile: SRTPProfile,
        kind: Kind,
        _ body: (SRTPSessionKeys) -> Made?
    ) -> Made? {
        guard
            var keys = SRTPSessionKeys(
                masterKey: masterKey,
                masterSalt: masterSalt,
                profile: profile,
                kind: kind
            )
        else { return nil }
        defer { keys.erase() }
        return body(keys)
    }
}

/// Makes the keys of all labels with one cipher context; whoever makes it frees it.
struct SRTPKeyDerivation {
    private let context: OpaquePointer
    /// The salt with zeros behind it.
    private let iv: [UInt8]

    /// nil: a length that no profile has, or no memory.
    init?(_ masterKey: [UInt8], _ masterSalt: [UInt8]) {
        let cipher: OpaquePointer?
        switch masterKey.count {
        case 16: cipher = EVP_aes_128_ctr()
        case 32: cipher = EVP_aes_256_ctr()
        default: return nil
        }
        guard 12...14 ~= masterSalt.count, let context = EVP_CIPHER_CTX_new() else { return nil }
        guard EVP_EncryptInit_ex2(context, cipher, masterKey, nil, nil) == 1 else {
            EVP_CIPHER_CTX_free(context)
            return nil
        }
        self.context = context
        iv = masterSalt + [UInt8](repeating: 0, count: 16 - masterSalt.count)
    }

    func free() { EVP_CIPHER_CTX_free(context) }

    /// AES-CM keystream at (salt ^ label · 2^48) · 2^16.
    /// - Parameter length: 0 to 64 bytes; nil else.
    func key(label: UInt8, length: Int) -> [UInt8]? {
        guard 0...64 ~= length else { return nil }
        guard length > 0 else { return [] }
        var iv = iv
        iv[7] ^= label
        var key = [UInt8](repeating: 0, count: length)
        var written: Int32 = 0
        let isDone = key.withUnsafeMutableBufferPointer { bytes in
            EVP_EncryptInit_ex2(context, nil, nil, iv, nil) == 1
                && EVP_EncryptUpdate(context, bytes.baseAddress, &written, bytes.baseAddress, Int32(length))
                    == 1
        }
        return isDone && Int(written) == length ? key : nil
    }
}
