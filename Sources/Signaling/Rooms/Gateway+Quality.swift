// How well participants' media arrives: kept with their links, told to themselves with figures and to others in steps,
// counted for metrics. Must not know how it is rated.
import RTP
import Seam

extension Gateway {
    func qualityChanged(_ member: Member, _ quality: SessionQuality, at now: Instant) {
        guard member.link?.quality != quality else { return }
        member.link?.quality = quality
        if !member.isViewer {
            member.room.conversation?.rate(
                member.claims.user,
                up: quality.up?.score,
                down: quality.down?.score,
                at: now
            )
        }
        tellOwnQuality(member, at: now)
        guard member.isShown else { return }
        member.room.waitingQualities.insert(member.id)
        tellWaitingQualities(of: member.room, at: now)
    }

    /// The media session has ended: nothing is known any more.
    func forgetQuality(of member: Member, at now: Instant) {
        member.room.conversation?.rate(member.claims.user, up: nil, down: nil, at: now)
        guard member.toldQuality != nil else { return }
        member.room.waitingQualities.insert(member.id)
    }

    private func tellOwnQuality(_ member: Member, at now: Instant) {
        guard member.isLive, let quality = member.link?.quality,
            let body = EventBody(
                .quality,
                timestamp: wallClock(),
                ParticipantQuality(of: member.id.rawValue, quality)
            )
        else { return }
        let key = StateKey(type: .quality, value: member.id.rawValue)
        member.session.queue(state: body, key: key, at: now)
        markDirty(member)
    }

    /// To the others, a room's changes together and not too often. In a large room nobody is told of anybody else.
    func tellWaitingQualities(of room: Room, at now: Instant) {
        guard !room.waitingQualities.isEmpty,
            room.qualitiesSentAt.map({ now - $0 >= Limits.Signaling.qualityInterval }) ?? true
        else { return }
        let waiting = room.waitingQualities
        room.waitingQualities = []
        guard room.members.count <= Limits.Signaling.qualityAudience else { return }
        room.qualitiesSentAt = now
        for member in waiting.compactMap({ room.members[$0] }) {
            let known = member.link?.quality ?? SessionQuality()
            let coarse = CoarseQuality(known, after: member.toldQuality)
            guard coarse != member.toldQuality, member.isShown else { continue }
            let isNews = member.toldQuality != nil || known != SessionQuality()
            member.toldQuality = known == SessionQuality() ? nil : coarse
            guard isNews else { continue }
            let pid = member.id.rawValue
            tellState(room, .quality, key: pid, coarse.told(of: pid), except: member, at: now)
        }
    }

    /// For snapshots: the member's own with its figures, and what was told of the others.
    func qualities(for member: Member) -> [ParticipantQuality]? {
        var all: [ParticipantQuality] = []
        if let own = member.link?.quality, own != SessionQuality() {
            all.append(ParticipantQuality(of: member.id.rawValue, own))
        }
        let room = member.room
        if !member.isWaiting, room.members.count <= Limits.Signaling.qualityAudience {
            for other in room.members.values.sorted(by: { $0.id.rawValue < $1.id.rawValue })
            where other !== member && other.isShown {
                if let told = other.toldQuality { all.append(told.told(of: other.id.rawValue)) }
            }
        }
        return all.isEmpty ? nil : all
    }

    // MARK: Metrics

    /// One observation of every session, so that the distribution is one over sessions and time.
    func sampleQualities(at now: Instant) {
        guard lastQualitySample.map({ now - $0 >= Limits.Signaling.qualitySampling }) ?? true else { return }
        lastQualitySample = now
        for member in links.values {
            guard let quality = member.link?.quality else { continue }
            statistics.quality.observe(quality)
        }
    }
}

/// Distributions of what the media plane says of sessions, and what holds it now.
struct QualityStatistics: Sendable, Equatable {
    struct Key: Hashable, Sendable {
        var isUp: Bool
        var reason: DirectionQuality.Reason
    }

    /// Points, up and down.
    private(set) var up = ValueHistogram(MetricCatalog.scoreBuckets)
    private(set) var down = ValueHistogram(MetricCatalog.scoreBuckets)
    /// Bits per second.
    private(set) var estimate = ValueHistogram(MetricCatalog.rateBuckets)
    /// Sessions by reason, and video slots that show something or are to; at the time of reading.
    private(set) var reasons: [Key: Int] = [:]
    private(set) var slots: [SlotState.Reason: Int] = [:]

    mutating func observe(_ quality: SessionQuality) {
        if let score = quality.up?.score { up.record(Double(score) / 10) }
        if let score = quality.down?.score { down.record(Double(score) / 10) }
        if let bits = quality.down?.estimateBitsPerSecond, bits > 0 { estimate.record(Double(bits)) }
    }

    mutating func count(_ link: MediaLink) {
        if let reason = link.quality.up?.reason { reasons[Key(isUp: true, reason: reason), default: 0] += 1 }
        if let reason = link.quality.down?.reason {
            reasons[Key(isUp: false, reason: reason), default: 0] += 1
        }
        for slot in link.slots.values where slot.kind == .video && slot.tid != nil {
            slots[slot.reason, default: 0] += 1
        }
    }
}

extension Member {
    /// Others see it in the roster.
    var isShown: Bool { !isViewer && !claims.grants.hidden && !isWaiting }
}
