// rid, simulcast, ssrc and ssrc-group lines of one m-section: which streams the peer sends.
import RTP

struct SimulcastReader {
    private var rids: [OfferedRid] = []
    /// Rids of `a=simulcast:send`, nil without such a line.
    private var order: [(id: String, isPaused: Bool)]?
    private var groups: [(semantics: String, members: [UInt32])] = []
    /// In the order of their first `a=ssrc` or `a=ssrc-group`.
    private(set) var announced: [UInt32] = []
    /// Stream and track of the old `a=ssrc:<ssrc> msid:<stream> <track>`.
    private(set) var names: (stream: String?, track: String?) = (nil, nil)

    /// `a=rid:<id> <direction> [<restrictions>]` (RFC 8851 §4)
    mutating func readRid(_ attribute: Attribute) throws(SDPError) {
        let (id, rest) = Text.head(try attribute.requiredValue())
        let (direction, restrictions) = Text.head(rest)
        guard Text.isIdentifier(id), direction == "send" || direction == "recv" else {
            throw attribute.malformed
        }
        guard direction == "send", !rids.contains(where: { $0.id == id }) else { return }
        var rid = OfferedRid(String(id))
        var others: [Substring] = []
        for item in Text.pieces(restrictions, at: ";") {
            let (name, value) = Text.cut(Text.trim(item), at: "=")
            if name == "pt", let value {
                for number in Text.pieces(value, at: ",") {
                    guard let type = Text.number(number, as: UInt8.self), type < 128 else {
                        throw attribute.malformed
                    }
                    rid.payloadTypes.append(type)
                }
            } else if !name.isEmpty {
                others.append(Text.trim(item))
            }
        }
        rid.restrictions = others.joined(separator: ";")
        rids.append(rid)
    }

    /// `a=simulcast:send a;~b,c [recv …]` (RFC 8853 §5.1); of alternatives the first counts.
    mutating func readSimulcast(_ attribute: Attribute) throws(SDPError) {
        let fields = Text.fields(try attribute.requiredValue())
        guard fields.count == 2 || fields.count == 4, order == nil else { throw attribute.malformed }
        for index in stride(from: 0, to: fields.count, by: 2) {
            guard fields[index] == "send" || fields[index] == "recv" else { throw attribute.malformed }
            var list: [(id: String, isPaused: Bool)] = []
            for stream in Text.pieces(fields[index + 1], at: ";") {
                var id = Text.cut(stream, at: ",").head
                let isPaused = id.utf8.first == UInt8(ascii: "~")
                if isPaused { id = id.dropFirst() }
                guard Text.isIdentifier(id) else { throw attribute.malformed }
                list.append((String(id), isPaused))
            }
            if fields[index] == "send" { order = list }
        }
    }

    /// `a=ssrc:<ssrc> [<attribute>[:<value>]]` (RFC 5576 §4.1)
    mutating func readSource(_ attribute: Attribute) throws(SDPError) {
        let (head, rest) = Text.head(try attribute.requiredValue())
        guard let ssrc = Text.number(head, as: UInt32.self) else { throw attribute.malformed }
        try announce(ssrc, at: attribute)
        let (name, value) = Text.cut(rest, at: ":")
        guard name == "msid", names.stream == nil, names.track == nil else { return }
        let fields = Text.fields(value ?? "")
        guard let stream = fields.first, fields.allSatisfy({ Text.isVisible($0) }) else { return }
        names = (stream == "-" ? nil : String(stream), fields.count > 1 ? String(fields[1]) : nil)
    }

    /// `a=ssrc-group:<semantics> <ssrc> …` (RFC 5576 §4.2)
    mutating func readGroup(_ attribute: Attribute) throws(SDPError) {
        let fields = Text.fields(try attribute.requiredValue())
        guard fields.count >= 2 else { throw attribute.malformed }
        var members: [UInt32] = []
        for field in fields.dropFirst() {
            guard let ssrc = Text.number(field, as: UInt32.self) else { throw attribute.malformed }
            members.append(ssrc)
            try announce(ssrc, at: attribute)
        }
        guard groups.count < Limits.SDP.sourcesPerSection else {
            throw SDPError(line: attribute.line, problem: .tooMany("SSRC groups"))
        }
        groups.append((fields[0].uppercased(), members))
    }

    private mutating func announce(_ ssrc: UInt32, at attribute: Attribute) throws(SDPError) {
        guard !announced.contains(ssrc) else { return }
        guard announced.count < Limits.SDP.sourcesPerSection else {
            throw SDPError(line: attribute.line, problem: .tooMany("SSRCs"))
        }
        announced.append(ssrc)
    }

    /// Rids with an `a=rid` line of their own, in the order of the simulcast line where there is one.
    var sendRids: [OfferedRid] {
        guard let order else { return rids }
        var result: [OfferedRid] = []
        for (id, isPaused) in order {
            guard var rid = rids.first(where: { $0.id == id }), !result.contains(where: { $0.id == id })
            else {
                continue
            }
            rid.isPaused = isPaused
            result.append(rid)
        }
        return result
    }

    /// Streams by SSRC: those of the SIM group in its order, lowest layer first, else the first SSRC that repairs no
    /// other.
    var sources: [EncodingParameters] {
        var rtx: [UInt32: UInt32] = [:]
        var secondary: Set<UInt32> = []
        for group in groups where group.semantics != "SIM" && group.members.count >= 2 {
            secondary.formUnion(group.members.dropFirst())
            if group.semantics == "FID", rtx[group.members[0]] == nil {
                rtx[group.members[0]] = group.members[1]
            }
        }
        var layers: [UInt32] = []
        for ssrc in groups.first(where: { $0.semantics == "SIM" })?.members ?? []
        where ssrc != 0 && !secondary.contains(ssrc) && !layers.contains(ssrc) {
            layers.append(ssrc)
        }
        let primaries = layers.isEmpty ? announced.filter { !secondary.contains($0) }.prefix(1) : layers[...]
        return primaries.map { EncodingParameters(ssrc: $0, rtxSSRC: rtx[$0]) }
    }
}
