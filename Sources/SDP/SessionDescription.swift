// A session description (RFC 8866) as values, close to its text: lines, not meaning. Writing is the inverse
// of parsing.

/// `o=`, with its numbers as text: nothing here depends on them.
public struct Origin: Sendable, Hashable {
    public var username: String
    public var sessionID: String
    public var sessionVersion: String
    /// Network type, address type and address: "IN IP4 127.0.0.1".
    public var address: String

    public init(
        username: String = "-",
        sessionID: String,
        sessionVersion: String,
        address: String = "IN IP4 127.0.0.1"
    ) {
        self.username = username
        self.sessionID = sessionID
        self.sessionVersion = sessionVersion
        self.address = address
    }
}

/// A line that is neither an attribute nor special: `t=`, `c=`, `b=`, …
public struct Field: Sendable, Hashable {
    public var type: Character
    public var value: String

    public init(_ type: Character, _ value: String) {
        self.type = type
        self.value = value
    }
}

/// `a=name` or `a=name:value`.
public struct Attribute: Sendable, Hashable {
    public var name: String
    public var value: String?
    /// Where it stood, from 1; 0 where it was not parsed.
    public var line: Int

    public init(_ name: String, _ value: String? = nil, line: Int = 0) {
        self.name = name
        self.value = value
        self.line = line
    }
}

/// One m-section.
public struct MediaDescription: Sendable, Hashable {
    /// "audio", "video", "application", …
    public var media: String
    public var port: UInt16
    /// "UDP/TLS/RTP/SAVPF"
    public var transportProtocol: String
    /// Payload types of RTP, or what the protocol means by its formats.
    public var formats: [String]
    public var fields: [Field]
    public var attributes: [Attribute]
    /// Where its `m=` stood, from 1; 0 where it was not parsed.
    public var line: Int

    public init(
        media: String,
        port: UInt16,
        transportProtocol: String,
        formats: [String],
        fields: [Field] = [Field("c", "IN IP4 0.0.0.0")],
        attributes: [Attribute] = [],
        line: Int = 0
    ) {
        self.media = media
        self.port = port
        self.transportProtocol = transportProtocol
        self.formats = formats
        self.fields = fields
        self.attributes = attributes
        self.line = line
    }
}

public struct SessionDescription: Sendable, Hashable {
    public var origin: Origin
    /// `s=`
    public var name: String
    /// Session level lines other than `v=`, `o=`, `s=` and `a=`, in order; `t=` is one of them.
    public var fields: [Field]
    public var attributes: [Attribute]
    public var media: [MediaDescription]

    public init(
        origin: Origin,
        name: String = "-",
        fields: [Field] = [Field("t", "0 0")],
        attributes: [Attribute] = [],
        media: [MediaDescription] = []
    ) {
        self.origin = origin
        self.name = name
        self.fields = fields
        self.attributes = attributes
        self.media = media
    }

    /// The text, lines ended by CRLF. Attributes come after `t=`: Chromium refuses `a=` before it.
    public var text: String {
        var text = "v=0\r\n"
        text += "o=\(origin.username) \(origin.sessionID) \(origin.sessionVersion) \(origin.address)\r\n"
        text += "s=\(name)\r\n"
        for field in fields { field.write(to: &text) }
        for attribute in attributes { attribute.write(to: &text) }
        for section in media {
            let formats = section.formats.joined(separator: " ")
            text += "m=\(section.media) \(section.port) \(section.transportProtocol) \(formats)\r\n"
            for field in section.fields { field.write(to: &text) }
            for attribute in section.attributes { attribute.write(to: &text) }
        }
        return text
    }
}

extension Field {
    func write(to text: inout String) {
        text += "\(type)=\(value)\r\n"
    }
}

extension Attribute {
    func write(to text: inout String) {
        text += "a="
        text += name
        if let value {
            text += ":"
            text += value
        }
        text += "\r\n"
    }
}
