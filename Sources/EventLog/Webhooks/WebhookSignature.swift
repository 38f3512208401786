// Proves to the receiver who sent an event and when: HMAC-SHA256 (RFC 2104) over time, id and body.
// Must not know HTTP.
import Crypto

import struct Foundation.Data

public enum WebhookSignature {
    /// The value of `Sfu-Signature`: `t=SECONDS,v1=HEX`, one `v1` for each secret.
    ///
    /// - Parameter time: seconds since 1970.
    public static func header(secrets: [String], time: UInt64, id: String, body: [UInt8]) -> String {
        var message = Data("\(time).\(id).".utf8)
        message.append(contentsOf: body)
        let signatures = secrets.map { secret in
            let code = HMAC<SHA256>.authenticationCode(
                for: message,
                using: SymmetricKey(data: Data(secret.utf8))
            )
            return "v1=" + code.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
        }
        return (["t=\(time)"] + signatures).joined(separator: ",")
    }
}
