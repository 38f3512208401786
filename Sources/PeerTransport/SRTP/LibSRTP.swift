// Inbound sessions of libsrtp2. Knows no streams of ours.
import COpenSSL
import CSRTP
import RTP

/// libsrtp2 wants one call per process before anything else; a global `let` is initialised once and thread-safe.
///
/// Where libsrtp2 is built on NSS, each cipher holds NSS open, and the last one shuts it down: 700 µs per session
/// instead of 15. So one session, keyed with zeros and never used, lives as long as the process.
private struct Initialisation: Sendable {
    let status: srtp_err_status_t
    /// The address of that session.
    let keeper: UInt

    init() {
        status = srtp_init()
        var session: OpaquePointer?
        if status == srtp_err_status_ok {
            var policy = LibSRTP.policy(.both, .aeadAES128GCM)
            policy.ssrc.type = ssrc_any_inbound
            var zeros = [UInt8](repeating: 0, count: LibSRTP.masterLength(.aeadAES128GCM))
            zeros.withUnsafeMutableBufferPointer {
                policy.key = $0.baseAddress
                _ = srtp_create(&session, &policy)
            }
        }
        keeper = UInt(bitPattern: session)
    }
}

private let initialisation = Initialisation()

enum LibSRTP {
    /// What a session is keyed for; each kind costs 9 to 15 KB. The other kind gets the null cipher.
    enum Kind { case rtp, rtcp, both }

    /// libsrtp2 reads a master key by the length of AES-CM with its 14 bytes of salt, also where that of GCM is
    /// shorter; zeros behind it are what RFC 7714 §11 wants.
    static func masterLength(_ profile: SRTPProfile) -> Int { profile.keyLength + 14 }

    /// - Parameter master: Key, salt and zeros, `masterLength` bytes.
    /// - Throws: `SRTPError.setup`.
    static func makeSession(
        _ kind: Kind,
        _ profile: SRTPProfile,
        _ master: UnsafeMutableBufferPointer<UInt8>
    ) throws -> OpaquePointer {
        guard initialisation.status == srtp_err_status_ok else {
            throw SRTPError.setup(Int(initialisation.status.rawValue))
        }
        guard master.count == masterLength(profile) else { throw SRTPError.keyLength }
        var policy = policy(kind, profile)
        policy.ssrc.type = ssrc_any_inbound
        policy.key = master.baseAddress
        var session: OpaquePointer?
        let status = srtp_create(&session, &policy)
        guard status == srtp_err_status_ok, let session else { throw SRTPError.setup(Int(status.rawValue)) }
        return session
    }

    static func policy(_ kind: Kind, _ profile: SRTPProfile) -> srtp_policy_t {
        var policy = srtp_policy_t()
        var used = srtp_crypto_policy_t()
        var unused = srtp_crypto_policy_t()
        switch profile {
        case .aes128CMSHA1_80: srtp_crypto_policy_set_rtp_default(&used)
        case .aeadAES128GCM: srtp_crypto_policy_set_aes_gcm_128_16_auth(&used)
        case .aeadAES256GCM: srtp_crypto_policy_set_aes_gcm_256_16_auth(&used)
        }
        srtp_crypto_policy_set_null_cipher_hmac_null(&unused)
        unused.cipher_key_len = Int32(masterLength(profile))
        policy.rtp = kind == .rtcp ? unused : used
        policy.rtcp = kind == .rtp ? unused : used
        policy.window_size = UInt(Limits.SRTP.replayWindow)
        return policy
    }

    /// - Parameter count: The length after a success.
    static func result(_ status: srtp_err_status_t, _ count: Int32) -> SRTPResult {
        switch status {
        case srtp_err_status_ok: .ok(Int(count))
        case srtp_err_status_replay_fail, srtp_err_status_replay_old, srtp_err_status_pkt_idx_old: .replay
        case srtp_err_status_bad_param, srtp_err_status_parse_err: .malformed
        default: .authentication
        }
    }
}
