// Which differences between two contracts of one major version break somebody: a client of the old one with a server of the
// new one, or the other way round. Must not know where the contracts come from.

/// One difference.
struct ContractChange: Sendable, Equatable, CustomStringConvertible {
    /// Additive changes are a new minor version, others a new major one.
    var isBreaking: Bool
    /// "client pc.offer data.tracks[].mid" for instance.
    var place: String
    var text: String

    var description: String { "\(isBreaking ? "breaking" : "additive"): \(place): \(text)" }
}

extension ContractShape {
    /// What differs in `new`, sorted by place.
    func changes(to new: ContractShape) -> [ContractChange] {
        var comparison = ContractComparison(old: self, new: new)
        comparison.run()
        return comparison.changes.sorted { ($0.place, $0.text) < ($1.place, $1.text) }
    }
}

private struct ContractComparison {
    /// Who reads a value: the server is of the new version where clients are of the old one, and the other way round.
    enum Position {
        /// Clients write it: what an old one writes has to be read as before.
        case request
        /// The server writes it: an old client has to find what it expects, and to understand what it finds.
        case event
    }

    let old: ContractShape
    let new: ContractShape
    private(set) var changes: [ContractChange] = []

    init(old: ContractShape, new: ContractShape) {
        self.old = old
        self.new = new
    }

    private mutating func breaking(_ place: String, _ text: String) {
        changes.append(ContractChange(isBreaking: true, place: place, text: text))
    }
    private mutating func additive(_ place: String, _ text: String) {
        changes.append(ContractChange(isBreaking: false, place: place, text: text))
    }

    mutating func run() {
        if Self.major(old.version) != Self.major(new.version) || old.subprotocol != new.subprotocol {
            breaking(
                "version",
                "\(old.version) became \(new.version): another major version has a baseline of its own"
            )
        }
        compareRequests()
        compareEvents()
        compareCodes("error", old.errorCodes, new.errorCodes)
        compareCodes("close", old.closeCodes, new.closeCodes)
        for cap in old.caps where !new.caps.contains(cap) {
            breaking("cap \(cap)", "was removed: clients that have it expect it")
        }
        for cap in new.caps where !old.caps.contains(cap) { additive("cap \(cap)", "was added") }
        for (name, limit) in old.limits {
            guard let now = new.limits[name] else {
                breaking("limit \(name)", "was removed")
                continue
            }
            if now < limit { breaking("limit \(name)", "sank from \(limit) to \(now)") }
            if now > limit { additive("limit \(name)", "rose from \(limit) to \(now)") }
        }
        for name in new.limits.keys where old.limits[name] == nil {
            breaking("limit \(name)", "was added: who kept no such bound may exceed it")
        }
    }

    private static func major(_ version: String) -> Substring { version.prefix { $0 != "." } }

    // MARK: Messages

    private mutating func compareRequests() {
        for (type, was) in old.client {
            let place = "client \(type)"
            guard let now = new.client[type] else {
                breaking(place, "was removed: clients send it")
                continue
            }
            compareForms(place, was.form, now.form)
            if was.grant != now.grant {
                if let grant = now.grant {
                    breaking(place, "needs grants.\(grant) now")
                } else {
                    additive(place, "needs no grant any more")
                }
            }
            compare(object: (was.data, now.data), .request, "\(place) data")
            switch (was.result, now.result) {
            case (let before?, let after?): compare(object: (before, after), .event, "\(place) result")
            case (_?, nil): breaking(place, "has no response any more")
            case (nil, _?): additive(place, "has a response now")
            case (nil, nil): break
            }
        }
        for type in new.client.keys where old.client[type] == nil { additive("client \(type)", "was added") }
    }

    private mutating func compareForms(_ place: String, _ was: String, _ now: String) {
        guard was != now else { return }
        let widens = now == MessageDescriptor.Form.either.rawValue
        let text = "was \(was), is \(now)"
        if widens { additive(place, text) } else { breaking(place, text) }
    }

    private mutating func compareEvents() {
        for (type, was) in old.server {
            let place = "server \(type)"
            guard let now = new.server[type] else {
                breaking(place, "was removed: clients wait for it")
                continue
            }
            if was.delivery != now.delivery {
                breaking(
                    place,
                    "was \(was.delivery), is \(now.delivery): clients count on its delivery and number"
                )
            }
            if was.recovery != now.recovery {
                breaking(place, "is recovered in another way: \(now.recovery ?? "not at all")")
            }
            if was.key != now.key { breaking(place, "has the key \(now.key), had \(was.key)") }
            compare(object: (was.data, now.data), .event, "\(place) data")
        }
        for type in new.server.keys where old.server[type] == nil {
            additive("server \(type)", "was added: clients pass over what they do not know")
        }
    }

    private mutating func compareCodes(
        _ kind: String,
        _ was: [String: ContractShape.Code],
        _ now: [String: ContractShape.Code]
    ) {
        for (name, code) in was {
            let place = "\(kind) code \(name)"
            guard let other = now[name] else {
                breaking(place, "was removed")
                continue
            }
            if code.action != other.action {
                breaking(
                    place,
                    "asks for \(other.action ?? "nothing"), asked for \(code.action ?? "nothing")"
                )
            }
            if code.httpStatus != other.httpStatus { breaking(place, "has another HTTP status") }
            if code.retryable != other.retryable { breaking(place, "changed whether a retry makes sense") }
        }
        for name in now.keys where was[name] == nil { additive("\(kind) code \(name)", "was added") }
    }

    // MARK: Types

    private mutating func compare(
        object names: (old: String, new: String),
        _ position: Position,
        _ place: String
    ) {
        compare(
            (
                ["$ref": .string(Contract.reference + names.old)],
                ["$ref": .string(Contract.reference + names.new)]
            ),
            position,
            place,
            within: []
        )
    }

    /// `within`: pairs of names that are being compared further up.
    private mutating func compare(
        _ schemas: (old: JSONValue, new: JSONValue),
        _ position: Position,
        _ place: String,
        within: Set<String>
    ) {
        var within = within
        let names = (schemas.old["$ref"]?.text, schemas.new["$ref"]?.text)
        if let before = names.0, let after = names.1 {
            guard within.insert("\(before) \(after)").inserted else { return }
        }
        let was = resolve(schemas.old, old)
        let now = resolve(schemas.new, new)
        if let values = was["enum"]?.elements, let others = now["enum"]?.elements {
            let isOpen = was["x-open"]?.isTrue == true
            if !isOpen, position == .event, now["x-open"]?.isTrue == true {
                breaking(place, "may grow now, and clients were not told to expect unknown values")
            }
            return compare(values: values, others, isOpen: isOpen, position, place)
        }
        guard compareKinds(was, now, position, place) else { return }
        if was["properties"] != nil || now["properties"] != nil {
            compareFields(was, now, position, place, within)
        }
        if let before = was["items"], let after = now["items"] {
            compare((before, after), position, place + "[]", within: within)
        }
        if let before = was["additionalProperties"], let after = now["additionalProperties"] {
            compare((before, after), position, place + ".*", within: within)
        }
    }

    private func resolve(_ schema: JSONValue, _ shape: ContractShape) -> JSONValue {
        guard let target = schema["$ref"]?.text else { return schema }
        return shape.types[Contract.name(target)] ?? [:]
    }

    /// False where a comparison of what is inside makes no sense.
    private mutating func compareKinds(
        _ was: JSONValue,
        _ now: JSONValue,
        _ position: Position,
        _ place: String
    ) -> Bool {
        let (before, after) = (Self.kinds(was), Self.kinds(now))
        let isWider = before.isSubset(of: after)
        let isNarrower = after.isSubset(of: before)
        if before != after {
            // What was read before must be readable still; what was written before is all that old ones read.
            let isSafe = position == .request ? isWider : isNarrower
            let text = "was \(Self.words(before)), is \(Self.words(after))"
            if isSafe { additive(place, text) } else { breaking(place, text) }
            return false
        }
        compareBounds(was, now, position, place)
        return !before.isEmpty
    }

    private mutating func compareBounds(
        _ was: JSONValue,
        _ now: JSONValue,
        _ position: Position,
        _ place: String
    ) {
        func bound(_ schema: JSONValue, _ key: String, _ none: Double) -> Double {
            switch schema[key] {
            case .whole(let value): Double(value)
            case .number(let value): value
            default: none
            }
        }
        let infinity = Double.infinity
        let low = (bound(was, "minimum", -infinity), bound(now, "minimum", -infinity))
        let high = (bound(was, "maximum", infinity), bound(now, "maximum", infinity))
        let isNarrower = low.1 > low.0 || high.1 < high.0
        let isWider = low.1 < low.0 || high.1 > high.0
        if isNarrower {
            let text = "takes fewer numbers than before"
            if position == .request { breaking(place, text) } else { additive(place, text) }
        }
        if isWider {
            let text = "takes more numbers than before"
            if position == .event { breaking(place, text) } else { additive(place, text) }
        }
    }

    /// Every integer is a number; an empty schema is everything.
    private static func kinds(_ schema: JSONValue) -> Set<String> {
        if let alternatives = schema["anyOf"]?.elements {
            return alternatives.reduce(into: []) { $0.formUnion(kinds($1)) }
        }
        if let target = schema["$ref"]?.text { return [target] }
        switch schema["type"]?.text {
        case "number": return ["number", "integer"]
        case "string": return schema["enum"] == nil ? ["string", "enumeration"] : ["enumeration"]
        case let kind?: return [kind]
        case nil: return ["string", "enumeration", "number", "integer", "boolean", "null", "array", "object"]
        }
    }

    private static func words(_ kinds: Set<String>) -> String { kinds.sorted().joined(separator: " or ") }

    private mutating func compareFields(
        _ was: JSONValue,
        _ now: JSONValue,
        _ position: Position,
        _ place: String,
        _ within: Set<String>
    ) {
        let fields = (was["properties"]?.members ?? [:], now["properties"]?.members ?? [:])
        func required(_ schema: JSONValue) -> Set<String> {
            Set((schema["required"]?.elements ?? []).compactMap(\.text))
        }
        let needed = (required(was), required(now))
        for (name, before) in fields.0 {
            let place = "\(place).\(name)"
            guard let after = fields.1[name] else {
                breaking(place, "was removed")
                continue
            }
            switch (needed.0.contains(name), needed.1.contains(name), position) {
            case (false, true, .request): breaking(place, "has become required: old clients leave it out")
            case (true, false, .event): breaking(place, "has become optional: old clients count on it")
            case (true, false, .request), (false, true, .event):
                additive(place, "has become \(needed.1.contains(name) ? "required" : "optional")")
            default: break
            }
            compare((before, after), position, place, within: within)
        }
        for name in fields.1.keys where fields.0[name] == nil {
            let place = "\(place).\(name)"
            if needed.1.contains(name), position == .request {
                breaking(place, "was added and is required: old clients leave it out")
            } else {
                additive(place, "was added")
            }
        }
    }

    private mutating func compare(
        values: [JSONValue],
        _ others: [JSONValue],
        isOpen: Bool,
        _ position: Position,
        _ place: String
    ) {
        let was = Set(values.compactMap(\.text))
        let now = Set(others.compactMap(\.text))
        for value in was.subtracting(now).sorted() {
            if position == .request {
                breaking(place, "does not take \(value) any more")
            } else {
                additive(place, "is never \(value) any more")
            }
        }
        for value in now.subtracting(was).sorted() {
            if position == .request || isOpen {
                additive(place, "may be \(value) now")
            } else {
                breaking(place, "may be \(value) now, and clients were not told to expect unknown values")
            }
        }
    }
}
