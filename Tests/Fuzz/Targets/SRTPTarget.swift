// SRTP and SRTCP: what was not protected with our keys never gets through and stays as it came, and what was gets through once.
import PeerTransport
import RTP

/// Input: the profile, where and how a packet is damaged, then a packet.
func fuzzSRTP(_ input: FuzzInput) throws {
    var reader = input.reader
    let profile = SRTPProfile.allCases[Int(reader.byte()) % SRTPProfile.allCases.count]
    let place = Int(reader.word16())
    let damage = reader.byte()
    let packet = reader.rest()
    let keys = (0..<profile.keyLength).map { UInt8(truncatingIfNeeded: 7 * $0 + 1) }
    let salts = (0..<profile.saltLength).map { UInt8(truncatingIfNeeded: 11 * $0 + 5) }
    let ours = try SRTPContext(
        profile: profile,
        localKey: keys,
        localSalt: salts,
        remoteKey: keys.reversed(),
        remoteSalt: salts.reversed()
    )
    let theirs = try SRTPContext(
        profile: profile,
        localKey: keys.reversed(),
        localSalt: salts.reversed(),
        remoteKey: keys,
        remoteSalt: salts
    )
    try refuse(packet, by: ours)
    try checkRTP(packet, from: theirs, to: ours, place: place, damage: damage)
    try checkRTCP(packet, from: theirs, to: ours, place: place, damage: damage)
}

/// As it came, it is not authentic.
private func refuse(_ packet: [UInt8], by context: SRTPContext) throws {
    for isRTCP in [false, true] {
        let result = try unprotected(packet, by: context, isRTCP: isRTCP)
        guard case .ok = result.outcome else { continue }
        try check(false, isRTCP ? "SRTCP that nobody protected" : "SRTP that nobody protected")
    }
}

private func unprotected(
    _ packet: [UInt8],
    by context: SRTPContext,
    isRTCP: Bool
) throws -> (outcome: SRTPResult, bytes: [UInt8]) {
    try withMemory(packet) { memory in
        let outcome =
            isRTCP
            ? context.unprotectRTCP(memory, length: packet.count)
            : context.unprotectRTP(memory, length: packet.count)
        guard case .ok(let count) = outcome else {
            let left = (0..<packet.count).map { memory[$0] }
            try check(left == packet, "what is refused stays as it came")
            return (outcome, [])
        }
        return (outcome, (0..<count).map { memory[$0] })
    }
}

private func checkRTP(
    _ packet: [UInt8],
    from sender: SRTPContext,
    to receiver: SRTPContext,
    place: Int,
    damage: UInt8
) throws {
    guard let header = withMemory(packet, { RTPHeader(parsing: $0, length: packet.count) }) else { return }
    let overhead = sender.sender.overhead
    let protected = withMemory(packet + [UInt8](repeating: 0, count: overhead)) { memory in
        let count = sender.sender.protect(
            memory,
            headerLength: header.headerLength,
            length: packet.count,
            ssrc: header.ssrc,
            index: UInt64(header.sequenceNumber)
        )
        return (0..<count).map { memory[$0] }
    }
    try checkEqual(protected.count, packet.count + overhead, "length of a protected packet")
    try checkWay(protected, packet, to: receiver, isRTCP: false, place: place, damage: damage)
}

private func checkRTCP(
    _ packet: [UInt8],
    from sender: SRTPContext,
    to receiver: SRTPContext,
    place: Int,
    damage: UInt8
) throws {
    guard packet.count >= 8, packet[0] >> 6 == 2 else { return }
    let protected = withMemory(packet + [UInt8](repeating: 0, count: Limits.SRTP.trailerBytes)) { memory in
        let count = sender.protectRTCP(memory, length: packet.count)
        return (0..<count).map { memory[$0] }
    }
    try check(protected.count > packet.count, "length of a protected packet")
    try checkWay(protected, packet, to: receiver, isRTCP: true, place: place, damage: damage)
}

/// Damaged it is refused, then it gets through as it was, then it is a replay.
private func checkWay(
    _ protected: [UInt8],
    _ packet: [UInt8],
    to receiver: SRTPContext,
    isRTCP: Bool,
    place: Int,
    damage: UInt8
) throws {
    if damage != 0 {
        var damaged = protected
        damaged[place % damaged.count] ^= damage
        let outcome = try unprotected(damaged, by: receiver, isRTCP: isRTCP).outcome
        if case .ok = outcome { try check(false, "damage at \(place % damaged.count) is seen") }
    }
    let first = try unprotected(protected, by: receiver, isRTCP: isRTCP)
    try checkEqual(first.outcome, .ok(packet.count), "an authentic packet")
    try checkEqual(first.bytes, packet, "the packet as it was")
    try checkEqual(try unprotected(protected, by: receiver, isRTCP: isRTCP).outcome, .replay, "a replay")
}
