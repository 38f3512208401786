// What stands in front of media: STUN messages, framing over TCP, SRTP.
import PeerTransport
import RTP

private let key = Array("an integrity key that nobody else has".utf8)
private let fingerprintBytes = 8

/// CRC-32 of RFC 8489 §14.7, bit by bit.
private func fingerprint(_ bytes: some Sequence<UInt8>) -> [UInt8] {
    var remainder: UInt32 = 0xFFFF_FFFF
    for byte in bytes {
        remainder ^= UInt32(byte)
        for _ in 0..<8 { remainder = remainder >> 1 ^ (remainder & 1 == 1 ? 0xEDB8_8320 : 0) }
    }
    let value = ~remainder ^ 0x5354_554E
    return (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(24 - 8 * $0)) }
}

/// The same attributes under a right header, with a right FINGERPRINT at the end: else hardly any input gets far.
private func repaired(_ bytes: [UInt8]) -> [UInt8] {
    var message = Array(bytes.prefix(bytes.count & ~3))
    while message.count < 20 { message.append(0) }
    message[0] &= 3
    message.replaceSubrange(4..<8, with: [0x21, 0x12, 0xA4, 0x42])
    let size = message.count - 20 + fingerprintBytes
    message[2] = UInt8(truncatingIfNeeded: size >> 8)
    message[3] = UInt8(truncatingIfNeeded: size)
    return message + [0x80, 0x28, 0, 4] + fingerprint(message)
}

/// Input: one message, as it is and repaired.
func fuzzSTUN(_ input: FuzzInput) throws {
    let integrity = try unwrapped(STUNIntegrity(), "there is HMAC-SHA1")
    let bytes = input.bytes
    for message in [bytes, repaired(bytes)] {
        try withMemory(message) { memory in
            if let it = STUNMessage(memory, length: message.count, requiresFingerprint: false) {
                try checkMessage(it, integrity)
            }
            guard let it = STUNMessage(memory, length: message.count) else { return }
            let covered = message.dropLast(fingerprintBytes)
            try checkEqual(Array(message.suffix(4)), fingerprint(covered), "fingerprint")
            if it.kind == .request && it.method == 1 { try checkCheck(it, message, integrity) }
        }
    }
}

/// The attributes that count, by type, read from an array whose bounds Swift checks: the first of equal ones, up to
/// the integrity (RFC 8489 §14).
private func attributes(_ message: [UInt8]) -> [UInt16: [UInt8]] {
    var found: [UInt16: [UInt8]] = [:]
    var rest = message.dropFirst(20)
    while let type = rest.popWord(), let size = rest.popWord() {
        if found[type] == nil { found[type] = Array(rest.prefix(Int(size))) }
        if type == STUN.Attribute.messageIntegrity || type == STUN.Attribute.messageIntegritySHA256 { break }
        rest = rest.dropFirst((Int(size) + 3) & ~3)
    }
    return found
}

extension ArraySlice<UInt8> {
    fileprivate mutating func popWord() -> UInt16? {
        guard let high = popFirst(), let low = popFirst() else { return nil }
        return UInt16(high) << 8 | UInt16(low)
    }
}

private func checkAttributes(_ it: STUNMessage) throws {
    let found = attributes((0..<it.length).map { it.bytes[$0] })
    func number(_ type: UInt16, _ size: Int) throws -> UInt64? {
        guard let value = found[type] else { return nil }
        try checkEqual(value.count, size, "size of attribute \(type)")
        return value.reduce(0) { $0 << 8 | UInt64($1) }
    }
    try checkEqual(it.priority.map { UInt64($0) }, number(STUN.Attribute.priority, 4), "PRIORITY")
    try checkEqual(it.iceControlled, number(STUN.Attribute.iceControlled, 8), "ICE-CONTROLLED")
    try checkEqual(it.iceControlling, number(STUN.Attribute.iceControlling, 8), "ICE-CONTROLLING")
    try checkEqual(it.hasUseCandidate, number(STUN.Attribute.useCandidate, 0) != nil, "USE-CANDIDATE")
    try checkEqual(it.hasIntegrity, found[STUN.Attribute.messageIntegrity] != nil, "MESSAGE-INTEGRITY")
    let address = found[STUN.Attribute.xorMappedAddress]
    try check(address.map { $0.count == 8 || $0.count == 20 } ?? true, "size of XOR-MAPPED-ADDRESS")
    let username = found[STUN.Attribute.username]
    try checkEqual(it.hasUsername, username != nil, "USERNAME")
    let halves = (username ?? []).split(separator: 0x3A, maxSplits: 1, omittingEmptySubsequences: false)
    let isSplit = halves.count == 2
    try checkEqual(Array(it.localUsernameFragment), isSplit ? Array(halves[0]) : [], "our fragment")
    try checkEqual(Array(it.remoteUsernameFragment), isSplit ? Array(halves[1]) : [], "their fragment")
}

private func checkMessage(_ it: STUNMessage, _ integrity: STUNIntegrity) throws {
    try checkAttributes(it)
    let local = it.localUsernameFragment
    let remote = it.remoteUsernameFragment
    try check(it.hasUsername || local.isEmpty && remote.isEmpty, "fragments without USERNAME")
    for fragment in [local, remote] where !fragment.isEmpty {
        let start = try unwrapped(fragment.baseAddress, "a fragment has bytes")
        let end = start + fragment.count
        try check(start >= it.bytes + 24 && end <= it.bytes + it.length, "fragment's place")
    }
    try check(!local.contains(UInt8(ascii: ":")), "the first colon ends our fragment")
    try check(!it.isAuthentic(key: key, integrity: integrity), "nobody can guess the key")
    try check(it.unknownRequiredAttributes * 4 <= it.length, "unknown attributes")
    if let code = it.errorCode { try check((0...955).contains(code), "error code \(code)") }
    if let (address, _) = it.xorMappedAddress, !address.isIPv6 {
        try check(address.high == 0 && address.low <= UInt64(UInt32.max), "an IPv4 address")
    }
    // The answer to what we do not know (RFC 8489 §6.3.1), in as much room as it needs.
    let size = 20 + 8 + (4 + 2 * it.unknownRequiredAttributes + 3) & ~3
    let answer = written(capacity: size) { out in
        var writer = STUNWriter(out, capacity: size, kind: .bindingFailure, transaction: it.transaction)
        writer.addErrorCode(.unknownAttribute)
        writer.addUnknownAttributes(of: it)
        return writer.length
    }
    try withMemory(answer) { memory in
        let again = STUNMessage(memory, length: answer.count, requiresFingerprint: false)
        try checkEqual(again?.errorCode, 420, "our answer is read")
        try checkEqual(again?.kind, .failure, "our answer is a failure")
    }
}

/// A connectivity check: written again and signed it says the same, and any other bit breaks it.
private func checkCheck(_ it: STUNMessage, _ message: [UInt8], _ integrity: STUNIntegrity) throws {
    let capacity = 700
    let signed = written(capacity: capacity) { out in
        var writer = STUNWriter(out, capacity: capacity, kind: .bindingRequest, transaction: it.transaction)
        if it.hasUsername {
            let user = Array(it.localUsernameFragment) + Array(":".utf8) + Array(it.remoteUsernameFragment)
            user.withUnsafeBufferPointer { writer.add(STUN.Attribute.username, $0) }
        }
        if let priority = it.priority { writer.add(STUN.Attribute.priority, priority) }
        if it.hasUseCandidate { writer.add(STUN.Attribute.useCandidate) }
        if let breaker = it.iceControlled { writer.add(STUN.Attribute.iceControlled, breaker) }
        if let breaker = it.iceControlling { writer.add(STUN.Attribute.iceControlling, breaker) }
        if let nomination = it.nomination { writer.add(STUN.Attribute.nomination, nomination) }
        writer.seal(key: key, integrity: integrity)
        writer.addFingerprint()
        return writer.length
    }
    // A USERNAME without a colon gets one here, and may then be too long.
    guard !signed.isEmpty else { return }
    try withMemory(signed) { memory in
        guard let again = STUNMessage(memory, length: signed.count) else {
            return try check(it.localUsernameFragment.isEmpty, "our message is read")
        }
        let ours = Array(it.localUsernameFragment)
        let theirs = Array(it.remoteUsernameFragment)
        try checkEqual(Array(again.localUsernameFragment), ours, "our fragment")
        try checkEqual(Array(again.remoteUsernameFragment), theirs, "their fragment")
        try checkEqual(again.priority, it.priority, "PRIORITY")
        try checkEqual(again.hasUseCandidate, it.hasUseCandidate, "USE-CANDIDATE")
        try checkEqual(again.iceControlled, it.iceControlled, "ICE-CONTROLLED")
        try checkEqual(again.iceControlling, it.iceControlling, "ICE-CONTROLLING")
        try checkEqual(again.nomination, it.nomination, "NOMINATION")
        try check(again.isAuthentic(key: key, integrity: integrity), "our signature")
        try check(!again.isAuthentic(key: key.reversed(), integrity: integrity), "another key")
    }
    var broken = Array(signed.dropLast(fingerprintBytes))
    var random = SeededGenerator(seed: UInt64(message.last ?? 0) &+ UInt64(message.count) << 8)
    broken[Int.random(in: 0..<broken.count, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    broken += [0x80, 0x28, 0, 4] + fingerprint(broken)
    let isAuthentic = withMemory(broken) { memory in
        STUNMessage(memory, length: broken.count)?.isAuthentic(key: key, integrity: integrity) ?? false
    }
    try check(!isAuthentic, "a changed message is not authentic")
}

/// Input: choices, a seed for where the stream is cut, then the stream; the choices may put a binding request in
/// front, since nothing else is taken first.
func fuzzStreamDeframer(_ input: FuzzInput) throws {
    var reader = input.reader
    let hasRequest = reader.flag()
    let seed = UInt64(reader.byte())
    var stream = reader.rest()
    if hasRequest {
        let request = repaired([0, 1] + [UInt8](repeating: 0, count: 18))
        stream = [0, UInt8(request.count)] + request + stream
    }
    let whole = deframed(stream, cuts: nil)
    let cut = deframed(stream, cuts: seed)
    let single = deframed(stream, cuts: .max)
    try checkEqual(cut.packets, whole.packets, "packets of the stream in pieces")
    try checkEqual(single.packets, whole.packets, "packets of the stream byte by byte")
    try checkEqual(cut.outcome, whole.outcome, "outcome of the stream in pieces")
    try checkEqual(single.outcome, whole.outcome, "outcome of the stream byte by byte")
    // What was delivered is what stood there, one packet behind the other.
    var offset = 0
    for packet in whole.packets {
        while offset + 2 <= stream.count, stream[offset] == 0, stream[offset + 1] == 0 { offset += 2 }
        let frame = [UInt8(packet.count >> 8), UInt8(packet.count & 255)] + packet
        try checkEqual(Array(stream[offset...].prefix(frame.count)), frame, "a frame of the stream")
        offset += frame.count
    }
}

/// - Parameter cuts: nil: in one piece; `.max`: byte by byte; else a seed.
private func deframed(
    _ stream: [UInt8],
    cuts: UInt64?
) -> (packets: [[UInt8]], outcome: StreamDeframer.OnBytes) {
    let deframer = StreamDeframer()
    var packets: [[UInt8]] = []
    var outcome = StreamDeframer.OnBytes.open
    var random = SeededGenerator(seed: cuts ?? 0)
    var rest = stream[...]
    while !rest.isEmpty {
        let size =
            switch cuts {
            case nil: rest.count
            case .max: 1
            default: Int.random(in: 1...40, using: &random)
            }
        let piece = Array(rest.prefix(size))
        rest = rest.dropFirst(size)
        outcome = withMemory(piece) { memory in
            deframer.receive(UnsafeMutableBufferPointer(start: memory, count: piece.count)) { packet in
                packets.append(Array(packet))
                // The receiver decrypts in place.
                packet.update(repeating: 0xAA)
            }
        }
    }
    return (packets, outcome)
}

/// Input: steps: one packet or many with kind and length, a number of bytes that the socket takes, or a new budget.
func fuzzStreamQueue(_ input: FuzzInput) throws {
    var reader = input.reader
    let queue = StreamQueue()
    let deframer = StreamDeframer()
    var waiting: [[UInt8]] = [repaired([0, 1] + [UInt8](repeating: 0, count: 18))]
    var number: UInt8 = 0
    withMemory(waiting[0]) { _ = queue.enqueue($0, length: waiting[0].count, kind: .control) }

    func drain(_ limit: Int) throws {
        let bytes = Array(queue.nextBytes.prefix(limit))
        queue.wrote(bytes.count)
        var found: [[UInt8]] = []
        let outcome = withMemory(bytes) { memory in
            deframer.receive(UnsafeMutableBufferPointer(start: memory, count: bytes.count)) {
                found.append(Array($0))
            }
        }
        try checkEqual(outcome, .open, "our framing is right")
        for packet in found {
            let place = try unwrapped(waiting.firstIndex(of: packet), "packets come whole and in their order")
            waiting.removeFirst(place + 1)
        }
    }

    while !reader.isAtEnd {
        let choice = reader.byte()
        switch choice & 3 {
        case 0: try drain(Int(reader.byte()) << Int(choice >> 5))
        case 1: queue.budget = Int(reader.byte()) << 10
        default:
            let length = 1 + Int(reader.byte()) << Int(2 * (choice >> 6))
            let kind = StreamQueue.Kind(rawValue: choice >> 2 & 3) ?? .video
            let size = min(length, Limits.Media.datagramBytes)
            for _ in 0..<(choice & 1 == 0 ? 1 : 32) {
                number &+= 1
                let packet = [UInt8](repeating: number, count: size)
                let before = queue.pendingBytes
                let outcome = withMemory(packet) { queue.enqueue($0, length: packet.count, kind: kind) }
                if outcome == .queued { waiting.append(packet) }
                let isQueued = outcome == .queued
                try check(isQueued || queue.pendingBytes <= before, "a refused packet takes no room")
            }
        }
        try check(queue.pendingBytes >= 0 && queue.pendingBytes <= Limits.Stream.queueBytes, "pending bytes")
        try checkEqual(queue.isEmpty, queue.pendingBytes == 0, "empty")
    }
    while !queue.isEmpty {
        let before = queue.pendingBytes
        try drain(.max)
        try check(queue.pendingBytes < before, "what waits gets out")
    }
}
