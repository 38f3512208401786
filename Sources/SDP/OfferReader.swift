// SessionDescription to Offer: which sections share the transport, and what that transport is.
import RTP

extension Offer {
    public init(_ description: SessionDescription) throws(SDPError) {
        guard !description.media.isEmpty else { throw SDPError(line: 0, problem: .noMediaSections) }
        var session = SessionLevel()
        for attribute in description.attributes { try session.read(attribute) }
        var readers: [SectionReader] = []
        readers.reserveCapacity(description.media.count)
        for media in description.media {
            var reader = SectionReader(media, direction: session.direction)
            for attribute in media.attributes { try reader.read(attribute) }
            readers.append(reader)
        }
        try Offer.assignMids(&readers, in: description.media)

        let group = session.bundle(of: readers)
        let tagged = Offer.transportSection(of: readers, in: group)
        remote = try session.transport.merged(
            into: readers[tagged].transport,
            line: description.media[tagged].line
        )
        isICELite = session.isICELite || readers[tagged].isICELite
        bundle = group
        allowsMixedExtensions = session.allowsMixedExtensions
        sections = readers.map { reader in
            var section = reader.section(mixesExtensions: session.allowsMixedExtensions)
            section.bundled = section.hasMid && group?.contains(section.mid) ?? false
            return section
        }
    }

    /// Mids are unique; a section without one gets a number that no other has.
    private static func assignMids(_ readers: inout [SectionReader], in media: [MediaDescription])
        throws(SDPError)
    {
        var taken: Set<String> = []
        for (index, reader) in readers.enumerated() {
            guard let mid = reader.mid else { continue }
            guard taken.insert(mid).inserted else {
                throw SDPError(line: media[index].line, problem: .duplicateMid(mid))
            }
        }
        var next = 0
        for index in readers.indices where readers[index].mid == nil {
            while taken.contains("\(next)") { next += 1 }
            taken.insert("\(next)")
            readers[index].inventedMid = "\(next)"
        }
    }

    /// The section whose transport attributes count (RFC 8843 §7): the group's first that lives.
    private static func transportSection(of readers: [SectionReader], in group: [String]?) -> Int {
        let alive = readers.indices.filter { !readers[$0].isRejected }
        for mid in group ?? [] {
            if let index = alive.first(where: { readers[$0].mid == mid }) { return index }
        }
        let speaking = readers.firstIndex { $0.transport.usernameFragment != nil }
        return alive.first ?? speaking ?? 0
    }
}

/// The attributes of the session level.
private struct SessionLevel {
    var transport = TransportReader()
    var isICELite = false
    var allowsMixedExtensions = false
    var direction = MediaDirection.sendrecv
    private var groups: [[String]] = []

    mutating func read(_ attribute: Attribute) throws(SDPError) {
        switch attribute.name {
        case "group": try readGroup(attribute)
        case "ice-lite": isICELite = true
        case "extmap-allow-mixed": allowsMixedExtensions = true
        case "sendrecv", "sendonly", "recvonly", "inactive":
            direction = MediaDirection(rawValue: attribute.name) ?? direction
        default: try transport.read(attribute)
        }
    }

    private mutating func readGroup(_ attribute: Attribute) throws(SDPError) {
        var fields = Text.fields(Substring(attribute.value ?? ""))
        guard !fields.isEmpty else { throw attribute.malformed }
        let semantics = fields.removeFirst()
        guard semantics == "BUNDLE" else { return }
        var seen: Set<Substring> = []
        groups.append(fields.filter { seen.insert($0).inserted }.map { String($0) })
    }

    /// The first BUNDLE group with a living section, else the first; nil where there is none (RFC 8843).
    func bundle(of readers: [SectionReader]) -> [String]? {
        let alive = Set(readers.filter { !$0.isRejected }.compactMap { $0.mid })
        return groups.first { group in group.contains { alive.contains($0) } } ?? groups.first
    }
}

extension Attribute {
    var malformed: SDPError { SDPError(line: line, problem: .malformedAttribute(name)) }

    /// The value trimmed; throws where there is none.
    func requiredValue() throws(SDPError) -> Substring {
        let text = Text.trim(Substring(value ?? ""))
        guard !text.isEmpty else { throw malformed }
        return text
    }
}
