// What one slot showed since the last look, and how it arrived, from its counts and its peer's reports.
import RTP
import Seam

struct DownlinkGauge {
    struct Look: Equatable {
        var packets = 0
        /// Payloads of RTP.
        var bytes = 0
        /// nil: nothing is to be shown.
        var costs: QualityCosts?
        /// Among the pictures of the session.
        var weight = 1.0
    }

    private var packets: UInt32
    private var octets: UInt32
    /// What the slot showed at the last look, and whether it waited for its first picture then.
    private var shown: UInt64
    private var wasWaiting = false
    private var lookedAt: Instant?

    init(_ slot: UnsafeMutablePointer<SendStream>) {
        packets = slot.pointee.packetCount
        octets = slot.pointee.octetCount
        shown = slot.pointee.lastShown
    }

    /// - Parameter lost: of all packets of the session, 0…1; nil: only the peer's reports say.
    mutating func look(
        at slot: UnsafeMutablePointer<SendStream>,
        lost: Double?,
        roundTrip: Interval?,
        _ now: Instant
    ) -> Look {
        var look = Look()
        look.packets = Int(slot.pointee.packetCount &- packets)
        look.bytes = Int(slot.pointee.octetCount &- octets)
        packets = slot.pointee.packetCount
        octets = slot.pointee.octetCount
        let share = lost ?? Double(slot.pointee.fractionLost) / 256
        if slot.pointee.kind == .audio {
            guard look.packets > 0, !slot.pointee.isPaused else { return look }
            let copies = slot.pointee.redPayloadType == 0 ? 0 : slot.pointee.redundancy.distance
            look.costs =
                SpeechQuality(
                    lost: SpeechRepair.afterRedundancy(share, copies: copies),
                    way: half(roundTrip),
                    jitter: slot.pointee.jitter
                ).costs
        } else {
            look.costs = video(slot, share, roundTrip, now)
            look.weight = DownlinkGauge.weight(of: slot)
        }
        lookedAt = now
        shown = slot.pointee.lastShown
        return look
    }

    private mutating func video(
        _ slot: UnsafeMutablePointer<SendStream>,
        _ lost: Double,
        _ roundTrip: Interval?,
        _ now: Instant
    ) -> QualityCosts? {
        var video = VideoQuality()
        video.frozen = takeFrozen(slot, now)
        if slot.pointee.pause == .bandwidth {
            wasWaiting = false
            video.isWithheld = true
            return video.costs
        }
        // Muted, hidden, undecodable, or nothing has come of it: no fault of the path.
        guard !slot.pointee.isPaused, let publication = slot.pointee.publication,
            publication.codec != nil, publication.liveLayers != 0
        else {
            wasWaiting = false
            return nil
        }
        let isWaiting = slot.pointee.currentLayer < 0
        defer { wasWaiting = isWaiting }
        if isWaiting {
            // The first picture takes its time; more than a second is too long.
            guard wasWaiting, shown == slot.pointee.lastShown else { return nil }
            video.frozen = 1
            return video.costs
        }
        video.lost = lost
        video.repair = slot.pointee.rtxPayloadType == 0 ? nil : roundTrip ?? .milliseconds(100)
        if slot.pointee.limit == .bandwidth {
            video.area = DownlinkGauge.area(of: slot, now)
            video.pictures = DownlinkGauge.pictures(of: slot, now)
        }
        return video.costs
    }

    /// Share of the time since the last look in which the peer waited for a key frame.
    private func takeFrozen(_ slot: UnsafeMutablePointer<SendStream>, _ now: Instant) -> Double {
        guard let lostAt = slot.pointee.pictureLostAt else { return 0 }
        let begin = max(lostAt, lookedAt ?? lostAt)
        var end = now
        if let sent = slot.pointee.keyFrameSentAt, sent > lostAt {
            end = min(now, sent)
            slot.pointee.pictureLostAt = nil
        }
        let frozen = max(0, (end - begin).microseconds)
        let whole = max(1, (now - (lookedAt ?? (now - Limits.Quality.interval))).microseconds)
        return min(1, Double(frozen) / Double(whole))
    }

    /// Of the best that the tile could show, as far as the publisher sends it.
    private static func area(of slot: UnsafeMutablePointer<SendStream>, _ now: Instant) -> Double {
        var best = slot.pointee.choice.target
        let ideal = slot.pointee.choice.ideal
        // What its sender was told to leave out for lack of room is missing, too.
        if ideal.encoding > best.encoding, let publication = slot.pointee.publication,
            publication.mayCome(Int(ideal.encoding), at: now)
        {
            best = ideal
        }
        guard let layers = slot.pointee.layers, best.encoding >= 0 else { return 1 }
        let activity = layers + Int(best.encoding)
        let spatial = Int(min(best.spatial, activity.pointee.layers.top))
        let wanted =
            Double(activity.pointee.layers.widths[spatial])
            * Double(activity.pointee.layers.heights[spatial])
        let size = slot.pointee.sizeShown
        let shown = Double(size.width) * Double(size.height)
        if wanted > 0 && shown > 0 { return min(1, shown / wanted) }
        // Not known: layers usually differ by half the lines.
        let steps =
            Int(best.encoding) - slot.pointee.currentLayer + Int(best.spatial)
            - Int(slot.pointee.filter.choice.spatial)
        return 1 / Double(1 << (2 * max(0, min(steps, 6))))
    }

    private static func pictures(of slot: UnsafeMutablePointer<SendStream>, _ now: Instant) -> Double {
        guard let layers = slot.pointee.layers else { return 1 }
        let source = layers + slot.pointee.currentLayer
        let shown = source.pointee.layers.picturesPerSecond(
            upTo: Int(min(slot.pointee.filter.choice.temporal, 3)),
            at: now
        )
        let wanted = source.pointee.layers.picturesPerSecond(
            upTo: Int(min(slot.pointee.choice.target.temporal, 3)),
            at: now
        )
        return wanted > 0 ? min(1, Double(shown) / Double(wanted)) : 1
    }

    /// A large tile counts more than a small one, by its lines.
    private static func weight(of slot: UnsafeMutablePointer<SendStream>) -> Double {
        guard let tile = slot.pointee.tile, tile.height > 0 else { return 360 }
        return Double(max(90, min(tile.height, 1080)))
    }
}
