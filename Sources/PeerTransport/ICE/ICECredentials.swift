// How our ICE credentials are made (RFC 8445 §5.3), and how the worker that owns them is found again.
import RTP

extension ICECredentials {
    /// Most workers that a username fragment can name.
    public static let workers = 1 << (6 * workerCharacters)
    private static let workerCharacters = 2
    private static let randomCharacters = 8
    /// 144 bits; RFC 8445 §5.3 wants 128.
    private static let passwordCharacters = 24

    /// The fragment begins with the worker in two characters, for whichever worker the kernel hands a check to;
    /// 48 random bits follow.
    public static func generate(
        worker: Int,
        using generator: inout some RandomNumberGenerator
    ) -> ICECredentials {
        precondition(worker >= 0 && worker < workers)
        let prefix = [character(worker >> 6), character(worker & 63)]
        let fragment = prefix + (0..<randomCharacters).map { _ in randomCharacter(using: &generator) }
        let password = (0..<passwordCharacters).map { _ in randomCharacter(using: &generator) }
        return ICECredentials(
            usernameFragment: String(decoding: fragment, as: UTF8.self),
            password: String(decoding: password, as: UTF8.self)
        )
    }

    /// nil where the fragment cannot be one of ours.
    public static func worker(ofUsernameFragment fragment: String) -> Int? {
        guard fragment.utf8.count == workerCharacters + randomCharacters else { return nil }
        var worker = 0
        for byte in fragment.utf8.prefix(workerCharacters) {
            guard let value = value(of: byte) else { return nil }
            worker = worker << 6 | value
        }
        return worker
    }

    /// ice-char of RFC 8839 §5.4: ALPHA / DIGIT / "+" / "/".
    static func isICECharacter(_ byte: UInt8) -> Bool { value(of: byte) != nil }

    private static func randomCharacter(using generator: inout some RandomNumberGenerator) -> UInt8 {
        character(Int(generator.next() as UInt64 >> 58))
    }

    private static func character(_ value: Int) -> UInt8 {
        switch value {
        case 0..<26: UInt8(ascii: "A") + UInt8(value)
        case 26..<52: UInt8(ascii: "a") + UInt8(value - 26)
        case 52..<62: UInt8(ascii: "0") + UInt8(value - 52)
        case 62: UInt8(ascii: "+")
        default: UInt8(ascii: "/")
        }
    }

    private static func value(of byte: UInt8) -> Int? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): Int(byte - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): Int(byte - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(byte - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
