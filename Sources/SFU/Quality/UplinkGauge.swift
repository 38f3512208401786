// What one publication was like since the last look, from the counts of its streams. Changes nothing of them but what
// meters forget by themselves.
import RTP
import Seam

/// Packets of streams over about a second.
struct UplinkCount: Equatable {
    var expected = 0
    /// That did not come in their own right, and those of them that something brought back.
    var lost = 0
    var repaired = 0
    var bits = 0

    var lostShare: Double { expected > 0 ? Double(lost) / Double(expected) : 0 }
    /// What nothing brought back.
    var missingShare: Double { expected > 0 ? Double(max(0, lost - repaired)) / Double(expected) : 0 }

    mutating func add(_ other: UplinkCount) {
        expected += other.expected
        lost += other.lost
        repaired += other.repaired
        bits += other.bits
    }
}

struct UplinkGauge {
    private struct Mark: Equatable {
        var received: UInt32 = 0
        var lost: Int32 = 0
        var repaired: UInt32 = 0
    }

    struct Look: Equatable {
        var count = UplinkCount()
        /// nil: nothing came.
        var jitter: Interval?
        /// nil: nothing is wanted of it, or it is muted.
        var costs: QualityCosts?
    }

    private var marks = InlineArray<4, Mark>(repeating: Mark())
    private var freezes = FreezeWatch()
    private let since: Instant

    init(at now: Instant) { since = now }

    mutating func look(at publication: Publication, roundTrip: Interval?, _ now: Instant) -> Look {
        var look = Look()
        for layer in 0..<publication.layerCount {
            let stream = publication.layers + layer
            guard stream.pointee.isStarted else { continue }
            look.count.add(count(stream, layer, at: now))
            let jitter = UplinkGauge.jitter(of: stream)
            if stream.pointee.isLive(at: now) { look.jitter = max(look.jitter ?? .zero, jitter) }
        }
        guard !publication.isMuted else { return look }
        look.costs =
            publication.kind == .audio
            ? audio(publication, look, roundTrip, now) : video(publication, look, roundTrip, now)
        return look
    }

    private mutating func count(
        _ stream: UnsafeMutablePointer<ReceiveStream>,
        _ layer: Int,
        at now: Instant
    ) -> UplinkCount {
        let mark = Mark(
            received: stream.pointee.statistics.receivedCount,
            lost: stream.pointee.statistics.cumulativeLost,
            repaired: stream.pointee.repairedCount
        )
        defer { marks[layer] = mark }
        var count = UplinkCount()
        count.bits = Int(stream.pointee.layers.bitsPerSecond(upTo: LayerActivity.spatialLayers - 1, at: now))
        let received = Int(Int32(bitPattern: mark.received &- marks[layer].received))
        let lost = Int(mark.lost &- marks[layer].lost)
        // Less than before: the sender started over, and what was counted is of another stream.
        guard received >= 0, received + lost >= 0, marks[layer] != Mark() else { return count }
        count.expected = received + max(0, lost)
        count.lost = max(0, lost)
        count.repaired = Int(mark.repaired &- marks[layer].repaired)
        return count
    }

    private static func jitter(of stream: UnsafeMutablePointer<ReceiveStream>) -> Interval {
        let rate = Int64(max(1, stream.pointee.clockRate))
        return .microseconds(Int64(stream.pointee.statistics.jitter) * 1_000_000 / rate)
    }

    // MARK: Audio

    private func audio(
        _ publication: Publication,
        _ look: Look,
        _ roundTrip: Interval?,
        _ now: Instant
    ) -> QualityCosts? {
        guard publication.layerCount > 0 else { return nil }
        // A voice that is silent sends a packet now and then (RFC 6716 §2.1.9).
        let heard = max(publication.layers[0].lastPacketAt ?? since, since)
        guard now - heard < Limits.Quality.silence else { return .silence }
        guard look.count.expected > 0 else { return nil }
        let parameters = publication.codec?.formatParameters ?? ""
        let missing = look.count.missingShare
        return SpeechQuality(
            lost: parameters.contains("useinbandfec=1")
                ? SpeechRepair.afterForwardErrorCorrection(missing) : missing,
            way: half(roundTrip),
            jitter: look.jitter ?? .zero
        ).costs
    }

    // MARK: Video

    private mutating func video(
        _ publication: Publication,
        _ look: Look,
        _ roundTrip: Interval?,
        _ now: Instant
    ) -> QualityCosts? {
        guard let wanted = best(of: publication, where: { publication.layers[$0].isStarted }) else {
            return nil
        }
        // What nobody asks for is better than nothing.
        let live = (0..<publication.layerCount).last { publication.liveLayers >> UInt32(4 * $0) & 0xf != 0 }
        var video = VideoQuality(cause: .layer)
        video.lost = look.count.lostShare
        let hasRepair = publication.layers[live ?? wanted].rtxSSRC != 0 || look.count.repaired > 0
        video.repair = hasRepair ? roundTrip ?? .milliseconds(100) : nil
        guard let live else {
            let seen = publication.layers[wanted].lastPacketAt ?? since
            let patience =
                publication.source == .screen ? Limits.Media.screenLayerTimeout : Limits.Quality.silence
            guard now - seen >= patience else { return video.costs }
            video.isSilent = true
            return video.costs
        }
        video.area = share(publication, live, of: wanted)
        guard publication.source != .screen else { return video.costs }
        let stream = publication.layers + live
        let rate = stream.pointee.layers.picturesPerSecond(upTo: LayerActivity.temporalLayers - 1, at: now)
        video.pictures = min(1, Double(rate) / UplinkGauge.fluent)
        video.frozen = freezes.note(
            stream.pointee.layers.tenthsWithPictures(at: now),
            interval: stream.pointee.layers.pictureInterval
        )
        return video.costs
    }

    /// Pictures per second of a camera from which on nobody minds.
    private static let fluent = 12.0

    /// The highest encoding that the room wants.
    private func best(of publication: Publication, where isIt: (Int) -> Bool) -> Int? {
        (0..<publication.layerCount).reversed().first { publication.demand.isAsked($0) && isIt($0) }
    }

    private func share(_ publication: Publication, _ live: Int, of wanted: Int) -> Double {
        guard live < wanted else { return 1 }
        let sizes = (pixels(publication, live), pixels(publication, wanted))
        if sizes.0 > 0 && sizes.1 > 0 { return min(1, sizes.0 / sizes.1) }
        // Not known: encodings usually differ by half the lines.
        return 1 / Double(1 << (2 * (wanted - live)))
    }

    private func pixels(_ publication: Publication, _ encoding: Int) -> Double {
        let layers = publication.layers + encoding
        let top = Int(layers.pointee.layers.top)
        return Double(layers.pointee.layers.widths[top]) * Double(layers.pointee.layers.heights[top])
    }
}

/// One way of a round trip.
func half(_ roundTrip: Interval?) -> Interval { .microseconds((roundTrip?.microseconds ?? 0) / 2) }
