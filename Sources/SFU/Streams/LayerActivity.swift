// Which layers of one encoding come, how large and how fast they are, and what their sender says of them. Knows no
// subscriber.
import RTP

struct LayerActivity {
    static let spatialLayers = 4
    static let temporalLayers = 4

    /// The highest spatial layer that was seen or announced.
    private(set) var top: UInt8 = 0
    /// The highest temporal layer that was seen.
    private(set) var topTemporal: UInt8 = 0
    /// Pixels, 0: unknown.
    private(set) var widths = InlineArray<4, UInt16>(repeating: 0)
    private(set) var heights = InlineArray<4, UInt16>(repeating: 0)
    private var seenAt = InlineArray<4, Instant>(repeating: .distantPast)
    /// When it came after a silence.
    private var startedAt = Instant.distantPast
    /// Payload by spatial and temporal layer, four of the latter for each of the former.
    private var bytes = InlineArray<16, RateMeter>(repeating: RateMeter())
    private var packets = InlineArray<4, RateMeter>(repeating: RateMeter())
    /// The rate that a spatial layer with those below it had lately, bits per second on the wire: it falls slowly, so that
    /// a moment of little motion is not taken for what the layer needs.
    private var usual = InlineArray<4, Int>(repeating: 0)
    /// The part of it that temporal layers up to one had, four of them for each spatial layer, 0…1; and pictures per second by
    /// temporal layer. While nothing comes, what was stays.
    private var usualShares = InlineArray<16, Float>(repeating: 0)
    private var usualPictures = InlineArray<4, Float>(repeating: 0)
    /// Pictures by temporal layer.
    private var pictures = InlineArray<4, RateMeter>(repeating: RateMeter())
    private var pictureTimestamp: UInt32 = 0
    private var pictureAt = Instant.distantPast
    /// Between two pictures, smoothed.
    private(set) var pictureInterval = Interval.milliseconds(33)
    /// Spatial layers that the sender says it sends, one bit each; nil: it said nothing.
    private(set) var announced: UInt8?
    private var announcedAt = Instant.distantPast

    /// Notes a packet. Returns whether its spatial layer was silent before.
    @inline(__always)
    mutating func note(_ record: PacketRecord, isScreen: Bool, at now: Instant) -> Bool {
        let layer = Int(min(record.frame.spatialLayer, 3))
        let wasSilent = now - seenAt[layer] >= patience(isScreen: isScreen)
        if wasSilent { startedAt = now }
        seenAt[layer] = now
        if layer > top { top = UInt8(layer) }
        bytes[layer * 4 + Int(min(record.frame.temporalLayer, 3))].add(Int(record.length), at: now)
        packets[layer].add(1, at: now)
        if record.frame.startsFrame && record.timestamp != pictureTimestamp {
            pictureTimestamp = record.timestamp
            notePicture(record.frame, at: now)
        }
        return wasSilent
    }

    private mutating func notePicture(_ frame: FrameInfo, at now: Instant) {
        pictures[Int(min(frame.temporalLayer, 3))].add(1, at: now)
        topTemporal = max(topTemporal, min(frame.temporalLayer, 3))
        let interval = now - pictureAt
        pictureAt = now
        guard interval < .seconds(2) else { return }
        pictureInterval = .microseconds(
            (pictureInterval.microseconds * 7 + interval.microseconds) / 8
        )
    }

    mutating func resize(_ layer: Int, width: UInt16, height: UInt16) {
        guard layer >= 0, layer < 4, width > 0, height > 0 else { return }
        widths[layer] = width
        heights[layer] = height
        if layer > top { top = UInt8(layer) }
    }

    /// Of the largest spatial layer, pixels; 0: unknown.
    var area: Int { Int(widths[Int(top)]) * Int(heights[Int(top)]) }

    /// The stream has this many spatial layers from now on.
    mutating func restructure(top: UInt8) {
        self.top = min(top, 3)
        for layer in 0..<4 where layer > Int(self.top) { seenAt[layer] = .distantPast }
    }

    /// A key picture begins that has these spatial layers, one bit each. Returns whether one of them was silent before.
    mutating func begin(_ layers: UInt8, isScreen: Bool, at now: Instant) -> Bool {
        var wasSilent = false
        for layer in 0..<4 where layers >> UInt8(layer) & 1 == 1 {
            if now - seenAt[layer] >= patience(isScreen: isScreen) { wasSilent = true }
            seenAt[layer] = now
        }
        return wasSilent
    }

    /// Another sender takes over.
    mutating func restart() {
        topTemporal = 0
        announced = nil
        announcedAt = .distantPast
        pictureTimestamp = 0
    }

    /// The sender says which spatial layers it sends. Returns whether that is news.
    mutating func announce(_ layers: UInt8, at now: Instant) -> Bool {
        guard announced != layers else { return false }
        announced = layers
        announcedAt = now
        return true
    }

    /// How long a layer may be silent before it counts as gone: a few pictures of the rate that it had.
    func patience(isScreen: Bool) -> Interval {
        if isScreen { return Limits.Media.screenLayerTimeout }
        let few = Interval(microseconds: pictureInterval.microseconds * 5)
        return min(max(few, Limits.Media.layerTimeout), Limits.Media.layerTimeoutLongest)
    }

    var newest: Instant {
        var newest = Instant.distantPast
        for layer in 0..<4 { newest = max(newest, seenAt[layer]) }
        return newest
    }

    /// Spatial layers that are alive, one bit each.
    /// - Parameter reference: when a packet of any layer of the publication came last. A network that stands still
    ///   silences all of them, and none of them is gone for that.
    func alive(isScreen: Bool, reference: Instant) -> UInt8 {
        var mask: UInt8 = 0
        for layer in 0..<4 {
            guard seenAt[layer] > .distantPast else { continue }
            let isTold = announced.map { $0 >> UInt8(layer) & 1 == 1 } ?? true
            // The sender's word counts until packets have contradicted it for a while.
            guard isTold || seenAt[layer] - announcedAt > .milliseconds(500) else { continue }
            if reference - seenAt[layer] < patience(isScreen: isScreen) { mask |= 1 << UInt8(layer) }
        }
        return mask
    }

    /// Payload bits per second of a spatial layer with those below it.
    mutating func bitsPerSecond(upTo layer: Int, at now: Instant) -> UInt32 {
        var sum: UInt64 = 0
        for i in 0..<(min(max(layer, 0), 3) * 4 + 4) { sum += UInt64(bytes[i].perSecond(at: now)) * 8 }
        return UInt32(clamping: sum)
    }

    /// The same with temporal layers up to one, and with the headers of each packet.
    /// - Parameter header: bytes on the wire beside the payload.
    mutating func bitsPerSecond(upTo layer: Int, temporal: Int, header: Int, at now: Instant) -> Int {
        var part: UInt64 = 0
        var all: UInt64 = 0
        var count: UInt64 = 0
        for s in 0...min(max(layer, 0), 3) {
            count += UInt64(packets[s].perSecond(at: now))
            for t in 0..<LayerActivity.temporalLayers {
                let rate = UInt64(bytes[s * 4 + t].perSecond(at: now))
                all += rate
                if t <= temporal { part += rate }
            }
        }
        guard all > 0 else { return 0 }
        // Headers go with the payload: pictures of all temporal layers are cut into packets of like size.
        let bits = part * 8 + count * UInt64(header) * 8 * part / all
        return Int(bits * 1_000_000 / RateMeter.span(at: now))
    }

    /// Notes what the layers need now, every 100 ms.
    /// - Parameter header: bytes on the wire beside the payload of each packet.
    mutating func settle(header: Int, at now: Instant) {
        for layer in 0...Int(top) {
            let rate = bitsPerSecond(upTo: layer, temporal: 3, header: header, at: now)
            guard rate > 0 else { continue }
            settleShares(of: layer, at: now)
            let before = usual[layer]
            if before == 0 {
                usual[layer] = rate
            } else if rate * 10 > before * 9 {
                // A key frame is more than the layer needs, and over after a second.
                usual[layer] += (rate - before) / LayerActivity.smoothing
            } else {
                usual[layer] -= before / LayerActivity.forgetting
            }
        }
    }

    /// What each temporal layer needs, for the time when nothing of it comes.
    private mutating func settleShares(of layer: Int, at now: Instant) {
        // The last second of a layer that stops says less and less.
        guard now - seenAt[layer] < .milliseconds(150), !isStarting(at: now) else { return }
        var sums = InlineArray<4, UInt64>(repeating: 0)
        var all: UInt64 = 0
        for t in 0..<LayerActivity.temporalLayers {
            for s in 0...layer { all += UInt64(bytes[s * 4 + t].perSecond(at: now)) }
            sums[t] = all
        }
        guard all > 0 else { return }
        for t in 0..<LayerActivity.temporalLayers {
            let part = Float(sums[t]) / Float(all)
            usualShares[layer * 4 + t] = LayerActivity.smoothed(usualShares[layer * 4 + t], part)
        }
        guard layer == 0 else { return }
        for t in 0..<LayerActivity.temporalLayers {
            usualPictures[t] = LayerActivity.smoothed(usualPictures[t], Float(pictures[t].perSecond(at: now)))
        }
    }

    private static func smoothed(_ before: Float, _ new: Float) -> Float {
        before == 0 ? new : before + (new - before) / Float(smoothing)
    }

    /// Per 100 ms.
    private static let smoothing = 16
    /// Half is forgotten after 9 s.
    private static let forgetting = 128

    /// What a spatial layer with those below it had lately, bits per second on the wire.
    func usualRate(upTo layer: Int) -> Int { usual[min(max(layer, 0), 3)] }

    /// It came a moment ago, so that what came of it says little of what it needs.
    func isStarting(at now: Instant) -> Bool { now - startedAt < LayerActivity.window }
    /// What it usually needs is known.
    var isRemembered: Bool { usualPictures[0] > 0 }
    private static let window = Interval.seconds(1)

    /// The same with temporal layers up to one.
    func usualRate(upTo layer: Int, temporal: Int) -> Int {
        let place = min(max(layer, 0), 3)
        let share = usualShares[place * 4 + min(max(temporal, 0), 3)]
        return share > 0 ? Int(Float(usual[place]) * share) : usual[place]
    }

    /// What there usually was of pictures per second with temporal layers up to one.
    func usualPictures(upTo temporal: Int) -> Int {
        var sum: Float = 0
        for i in 0...min(max(temporal, 0), 3) { sum += usualPictures[i] }
        return Int(sum + 0.5)
    }

    /// Pictures per second with temporal layers up to this one.
    mutating func picturesPerSecond(upTo temporal: Int, at now: Instant) -> UInt32 {
        var sum: UInt32 = 0
        for i in 0...min(max(temporal, 0), 3) { sum &+= pictures[i].perSecond(at: now) }
        return sum
    }

    /// In which of the last ten tenths of a second a picture came, in whatever layer; bit 0 is the newest.
    mutating func tenthsWithPictures(at now: Instant) -> UInt16 {
        var tenths: UInt16 = 0
        for i in 0..<4 { tenths |= pictures[i].tenths(at: now) }
        return tenths
    }
}

/// Something counted over a sliding second in ten buckets.
struct RateMeter {
    private var buckets = InlineArray<10, UInt32>(repeating: 0)
    private var current: Int64 = 0
    private static let bucketMicroseconds: Int64 = 100_000

    @inline(__always)
    mutating func add(_ count: Int, at now: Instant) {
        roll(to: now)
        buckets[Int(current % 10)] &+= UInt32(truncatingIfNeeded: count)
    }

    /// Microseconds that a sum stands for: the newest bucket has only begun.
    static func span(at now: Instant) -> UInt64 {
        UInt64(9 * bucketMicroseconds + max(now.microseconds, 0) % bucketMicroseconds)
    }

    mutating func perSecond(at now: Instant) -> UInt32 {
        roll(to: now)
        var sum: UInt32 = 0
        for i in 0..<10 { sum &+= buckets[i] }
        return sum
    }

    /// In which of the buckets anything was counted; bit 0 is the newest.
    mutating func tenths(at now: Instant) -> UInt16 {
        roll(to: now)
        var tenths: UInt16 = 0
        for age in 0..<10 where buckets[Int((current + 10 - Int64(age)) % 10)] > 0 {
            tenths |= 1 << UInt16(age)
        }
        return tenths
    }

    @inline(__always)
    private mutating func roll(to now: Instant) {
        let bucket = max(now.microseconds, 0) / RateMeter.bucketMicroseconds
        guard bucket > current else { return }
        let steps = min(bucket - current, 10)
        for step in 1...steps { buckets[Int((bucket - steps + step) % 10)] = 0 }
        current = bucket
    }
}
