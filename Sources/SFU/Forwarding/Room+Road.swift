// The packet's road through a room: what arrived waits for company, then goes to all subscribers, subscriber outer,
// packets inner. A burst for many goes in slices, and audio overtakes the rest of it. Who gets what was decided before.
import PeerTransport
import RTP

extension Room {
    /// A packet of this encoding waits to be forwarded.
    @inline(__always)
    func arrived(
        in stream: UnsafeMutablePointer<ReceiveStream>,
        endsFrame: Bool,
        at now: Instant,
        configuration: borrowing ForwardingWindows
    ) {
        let isVideo = stream.pointee.kind == .video
        let lane = isVideo ? video : audio
        if !stream.pointee.isQueued { lane.pointee.add(stream) }
        let due: Instant
        if stream.pointee.isBatchFull {
            lane.pointee.isFull = true
            isBatchFull = true
            due = now
        } else if isVideo {
            due = endsFrame ? now : now + configuration.video
        } else {
            due = now + configuration.audio
        }
        if due < forwardDeadline { forwardDeadline = due }
    }

    /// Sends what waits, and what is left of earlier calls: audio first, then video up to the turn's budget. Where
    /// something is left, `forwardDeadline` is now.
    func forward(_ turn: inout ForwardingTurn) {
        forwardDeadline = .distantFuture
        isBatchFull = false
        if !audio.pointee.isGoing && audio.pointee.hasWaiting { audio.pointee.begin() }
        if !video.pointee.isGoing && video.pointee.hasWaiting { beginVideo(at: turn.sending.now) }
        if isSmall(turn.slice) && turn.budget > 0 {
            turn.budget -= walk(.everything, turn.sending, budget: turn.slice)
        } else {
            if audio.pointee.isGoing { _ = walk(.audio, turn.sending, budget: turn.slice) }
            if video.pointee.isGoing && turn.budget > 0 {
                turn.budget -= walk(.video, turn.sending, budget: turn.budget)
            }
        }
        if !audio.pointee.isIdle || !video.pointee.isIdle { forwardDeadline = .zero }
    }

    /// Makes room for more packets of an encoding whose batch is full: it goes out next, and what goes out now goes
    /// whole.
    func makeWay(_ turn: ForwardingTurn) {
        isBatchFull = false
        forwardDeadline = .zero
        if audio.pointee.isFull {
            if audio.pointee.isGoing { _ = walk(.audio, turn.sending, budget: .max) }
            audio.pointee.begin()
        }
        if video.pointee.isFull {
            if video.pointee.isGoing { _ = walk(.video, turn.sending, budget: .max) }
            beginVideo(at: turn.sending.now)
        }
    }

    private func beginVideo(at now: Instant) {
        if !changed.isEmpty { aimAgain(at: now) }
        video.pointee.begin()
    }

    /// Both kinds go out together where that is one slice: audio would overtake nothing.
    private func isSmall(_ slice: Int) -> Bool {
        guard audio.pointee.isGoing, video.pointee.isGoing, audio.pointee.next == 0, video.pointee.next == 0
        else {
            return false
        }
        return (audio.pointee.packetCount + video.pointee.packetCount) * downlinks.count <= slice
    }

    /// Serves subscribers, from where the last walk stopped until all have it or the budget is used up.
    /// - Returns: what it took: copies sent, and something for subscribers that were looked at.
    @inline(never)
    private func walk(_ share: Share, _ turn: SendingTurn, budget: Int) -> Int {
        let lane = share == .audio ? audio : video
        let first = lane.pointee.next
        let list = downlinks
        let count = list.count
        let counters = turn.counters
        let forwarded = Int(truncatingIfNeeded: counters.pointee.packetsForwarded)
        var spent = 0
        var i = first
        while i < count && spent < budget {
            if i + 6 < count { Downlink.prefetch(list[i + 6]) }
            if i + 4 < count { list[i + 4].pointee.prefetchStreams() }
            if i + 2 < count { list[i + 2].pointee.prefetchRoad(share) }
            if i + 1 < count { list[i + 1].pointee.prefetchRing(share) }
            list[i].pointee.forward(share, turn)
            i += 1
            // Who gets nothing is looked at, too: eight of them take as long as one copy.
            let copies = Int(truncatingIfNeeded: counters.pointee.packetsForwarded) &- forwarded
            spent = copies &+ (i &- first) >> 3
        }
        lane.pointee.next = i
        if share == .everything { audio.pointee.next = i }
        guard i == count else { return spent }
        lane.pointee.end(counters: counters)
        if share == .everything { audio.pointee.end(counters: counters) }
        return spent
    }

    /// The key picture that brings a layer back is the one to show it with: waiting for the dealing would be asking
    /// for another. Who gets what, and what is asked of the publisher, is left to that.
    @inline(never)
    private func aimAgain(at now: Instant) {
        for publication in changed {
            for downlink in downlinks {
                let control = downlink.pointee.control
                var isShown = false
                for i in 0..<downlink.pointee.slotCount {
                    let slot = downlink.pointee.slots[i]
                    guard slot.pointee.publication === publication, !slot.pointee.isPaused else { continue }
                    let target = slot.pointee.target
                    slot.pointee.choice = publication.layer(for: slot.pointee.tile, present: target, at: now)
                    if control == nil { slot.pointee.aim(at: slot.pointee.choice) }
                    isShown = true
                }
                if isShown { control?.pointee.session.shareOut(at: now) }
            }
        }
        changed.removeAll(keepingCapacity: true)
    }
}

/// What media is sent with in one turn of a shard.
struct SendingTurn {
    /// Room for what is decided before it is written.
    let departures: UnsafeMutablePointer<Departure>
    let counters: UnsafeMutablePointer<Counters>
    let absoluteSendTime: UInt32
    let now: Instant
    let outbox: Outbox
}

/// And what rooms may take of it.
struct ForwardingTurn {
    let sending: SendingTurn
    /// Copies of one slice.
    let slice: Int
    /// Copies of video that are left for the rooms of this turn.
    var budget: Int
}

/// How long packets may wait for company.
struct ForwardingWindows {
    var audio: Interval
    var video: Interval
}
