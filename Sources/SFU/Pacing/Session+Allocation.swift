// Shares what a session's path carries among its slots: gathers what each could show, asks the allocator, and aims the
// slots. Runs when something changed, never per packet. Knows no estimator's reasons and no packet.
import RTP
import Seam

extension Session {
    /// Sets the layer of each video slot by the bits that there are.
    func shareOut(at now: Instant) {
        guard let control = downlink.pointee.control else { return }
        let rests = !downlink.pointee.showsVideo
        control.pointee.nextAllocation =
            rests
            ? (now + Limits.Bandwidth.restInterval).onSlowBeat
            : (now + Limits.Bandwidth.allocationInterval).onBeat
        control.pointee.estimator.rest(rests, at: now)
        control.pointee.allocatedAt = now
        var slots: [UnsafeMutablePointer<SendStream>] = []
        var tracks: [Allocator.Track] = []
        downlink.pointee.eachVideo { slot in
            guard slot.pointee.pause == .none || slot.pointee.pause == .bandwidth,
                let publication = slot.pointee.publication
            else { return }
            guard let track = track(slot, publication, at: now) else {
                // Nothing of it comes, so that nothing is known of what it takes.
                slot.pointee.reach = slot.pointee.choice.ideal.encoding
                return slot.pointee.aim(at: slot.pointee.choice)
            }
            slots.append(slot)
            tracks.append(track)
        }
        let reserve = control.pointee.reserve(at: now)
        let budget = Allocator.Budget(
            target: control.pointee.estimator.target,
            reserve: reserve,
            proven: control.pointee.estimator.proven(at: now),
            prospect: control.pointee.prospect.look(control.pointee.estimator.estimate, at: now),
            isGuess: control.pointee.estimator.bound == .silence
        )
        let allocation = control.pointee.allocator.allocate(tracks, budget, at: now)
        let spare = max(0, budget.target - allocation.used)
        for (index, decision) in allocation.decisions.enumerated() {
            apply(decision, of: tracks[index], to: slots[index], spare: spare, at: now)
            reach(decision, of: tracks[index], by: slots[index], at: now)
        }
        control.pointee.note(allocation, at: now)
        downlink.pointee.settleTightness()
    }

    // MARK: What there is

    private func track(
        _ slot: UnsafeMutablePointer<SendStream>,
        _ publication: Publication,
        at now: Instant
    ) -> Allocator.Track? {
        let choice = slot.pointee.choice.target
        guard choice.encoding >= 0, publication.codec != nil else { return nil }
        let layers = publication.trackLayers(
            for: slot.pointee.choice,
            isShown: slot.pointee.currentLayer >= 0,
            at: now
        )
        guard !layers.isEmpty else { return nil }
        let target = slot.pointee.target
        let current = layers.lastIndex {
            $0.encoding == target.encoding && $0.spatial == target.spatial && $0.temporal <= target.temporal
        }
        let tile = slot.pointee.tile
        return Allocator.Track(
            id: publication.ordinal,
            rank: rank(of: publication, tile),
            isScreen: publication.source == .screen,
            tileWidth: tile?.width ?? 0,
            tileHeight: tile?.height ?? 0,
            layers: layers,
            current: slot.pointee.pause == .bandwidth || target.encoding < 0 ? nil : current
        )
    }

    /// Who is served first: a screen, then who has the floor or was pinned, then the others.
    private func rank(of publication: Publication, _ tile: Wishes.Tile?) -> Allocator.Rank {
        if publication.source == .screen { return .screen }
        let isPinned = tile.map { $0.priority > Session.pinned } ?? false
        return isPinned || publication.recency == 0 ? .speaker : .visible
    }

    /// Tiles with a higher priority than this are more than one of many.
    private static let pinned: UInt8 = 150

    // MARK: What is done with it

    private func apply(
        _ decision: Allocator.Decision,
        of track: Allocator.Track,
        to slot: UnsafeMutablePointer<SendStream>,
        spare: Int,
        at now: Instant
    ) {
        let before = (slot.pointee.target, slot.pointee.pause)
        var needed = 0
        var available = 0
        if case .bandwidth(let sum, let target) = decision.reason {
            needed = sum
            available = target
        }
        guard let place = decision.layer else {
            slot.pointee.starve(needed: needed, available: available)
            if before.1 != .bandwidth { room.hasNews = true }
            return
        }
        if slot.pointee.pause == .bandwidth { slot.pointee.pause = .none }
        let layer = track.layers[place]
        let choice = slot.pointee.choice
        let isHighest = layer.temporal == track.layers.last { $0.encoding == layer.encoding }?.temporal
        var aim = choice
        aim.target = LayerTarget(
            encoding: layer.encoding,
            spatial: layer.spatial,
            temporal: isHighest ? choice.target.temporal : layer.temporal
        )
        if needed > 0 { aim.reason = .bandwidth }
        if decision.reason == .awaited { aim.reason = .none }
        slot.pointee.aim(at: aim, needed: needed, available: available)
        leaveWhatIsTooMuch(slot, room: layer.measured + spare, at: now)
        guard before.0 != slot.pointee.target || before.1 != slot.pointee.pause else { return }
        self.room.hasNews = true
        if slot.pointee.awaitsKeyFrame && canReceive && !slot.pointee.canStartFromHistory(at: now) {
            slot.pointee.publication?.requestKeyFrame(layer: Int(slot.pointee.target.encoding))
        }
    }

    /// Publishers are asked for what there may be room for, more of it at once (Room+Layers).
    private func reach(
        _ decision: Allocator.Decision,
        of track: Allocator.Track,
        by slot: UnsafeMutablePointer<SendStream>,
        at now: Instant
    ) {
        let before = slot.pointee.reach
        slot.pointee.reach = decision.prospect.map { track.layers[$0].encoding } ?? -1
        // Before anything is known of the path, the first that comes may be any of them.
        if let control = downlink.pointee.control, control.pointee.estimator.bound == .start,
            slot.pointee.publication?.liveLayers == 0
        {
            slot.pointee.reach = slot.pointee.choice.ideal.encoding
        }
        guard slot.pointee.reach != before else { return }
        room.reachChanged(of: self, isMore: slot.pointee.reach > before, at: now)
    }

    /// A lower layer waits for its key frame: what is shown meanwhile goes on with its lowest pictures where these fit, and
    /// stops where they do not.
    /// - Parameter room: bits per second for this slot.
    private func leaveWhatIsTooMuch(_ slot: UnsafeMutablePointer<SendStream>, room: Int, at now: Instant) {
        let current = slot.pointee.currentLayer
        guard current >= 0, slot.pointee.awaitsKeyFrame, let publication = slot.pointee.publication else {
            return
        }
        let target = slot.pointee.target
        let spatial = slot.pointee.filter.choice.spatial
        guard Int(target.encoding) < current || Int(target.encoding) == current && target.spatial < spatial
        else { return }
        let least = publication.rate(of: current, spatial: Int(spatial), temporal: 0, at: now)
        if least > room {
            slot.pointee.stop()
        } else {
            slot.pointee.thin()
        }
    }
}

extension Downlink {
    /// Whether everything that is wanted has room, for the road.
    mutating func settleTightness() {
        guard let control else { return }
        equalises = !control.pointee.isTight
        if control.pointee.isThinned { eachVideo { $0.pointee.thin() } }
        guard control.pointee.isTight else { return }
        let rate = Int64(control.pointee.estimator.target)
        let most = Int(rate * Limits.Bandwidth.tightResends.microseconds / 8_000_000)
        resendBudget = min(resendBudget, max(most, Downlink.leastResends))
    }

    /// Bytes: a picture of the lowest layer.
    private static let leastResends = 2_500
}

extension Publication {
    /// What its layers take, up to the one that a tile is to have: those that come, and other encodings that may.
    /// - Parameter isShown: a picture of it is on the screen.
    func trackLayers(for choice: LayerChoice, isShown: Bool, at now: Instant) -> [TrackLayer] {
        guard choice.target.encoding >= 0, Int(choice.target.encoding) < layerCount else { return [] }
        var found: [TrackLayer] = []
        for encoding in 0..<layerCount {
            for spatial in 0...Int(layers[encoding].layers.top) {
                let place = LayerTarget(encoding: Int8(encoding), spatial: UInt8(spatial))
                let same = [choice.target, choice.ideal].first { $0.isPlace(of: place) }
                guard same != nil || isBelow(place, choice.target) || isBelow(place, choice.ideal) else {
                    continue
                }
                // Where nothing is alive, what is shown stays.
                let isLive =
                    hasLive(encoding, spatial: spatial)
                    || isShown && liveLayers == 0 && place.isPlace(of: choice.target)
                // A spatial layer comes and goes with the others of its stream.
                guard isLive || liveLayers >> UInt32(4 * encoding) & 0xf == 0 else { continue }
                append(
                    encoding,
                    spatial,
                    temporal: same?.temporal ?? LayerTarget.allTemporal,
                    to: &found,
                    isLive: isLive,
                    now
                )
            }
        }
        return found
    }

    /// Whether it does not come because nobody needed it so far.
    func mayCome(_ encoding: Int, at now: Instant) -> Bool {
        liveLayers >> UInt32(4 * encoding) & 0xf == 0 && demand.mayCome(encoding, at: now)
    }

    private func isBelow(_ place: LayerTarget, _ other: LayerTarget) -> Bool {
        guard other.encoding >= 0, Int(other.encoding) < layerCount else { return false }
        let sizes = (
            area(of: Int(place.encoding), spatial: Int(place.spatial)),
            area(of: Int(other.encoding), spatial: Int(other.spatial))
        )
        return sizes.0 > 0 && sizes.1 > 0
            ? sizes.0 < sizes.1 : (place.encoding, place.spatial) < (other.encoding, other.spatial)
    }

    private func append(
        _ encoding: Int,
        _ spatial: Int,
        temporal most: UInt8,
        to found: inout [TrackLayer],
        isLive: Bool,
        _ time: Instant
    ) {
        let top = min(most, layers[encoding].layers.topTemporal)
        let whole = rate(of: encoding, spatial: spatial, temporal: 3, at: time)
        let usual = layers[encoding].layers.usualRate(upTo: spatial)
        // A second holds one picture more or less: what it shows is not more exact than that.
        let isUsual = abs(whole - usual) * 10 < usual
        let isRemembered = layers[encoding].layers.isRemembered
        let isStarting = isRemembered && usual > whole && layers[encoding].layers.isStarting(at: time)
        let isKnown = whole > 0 && !isStarting
        for temporal in 0...top {
            let now = rate(of: encoding, spatial: spatial, temporal: Int(temporal), at: time)
            let smoothed =
                isKnown
                ? Int(Int64(now) * Int64(usual) / Int64(whole))
                : layers[encoding].layers.usualRate(upTo: spatial, temporal: Int(temporal))
            // For what is sent anyway the lower of both counts, for what may be sent the higher one.
            let measured = isUsual ? smoothed : min(now, smoothed)
            var planned = isUsual ? smoothed : max(now, smoothed)
            if planned == 0 { planned = guess(encoding, spatial) }
            found.append(
                TrackLayer(
                    encoding: Int8(encoding),
                    spatial: UInt8(spatial),
                    temporal: temporal,
                    measured: measured > 0 ? measured : planned,
                    planned: max(planned, measured),
                    width: layers[encoding].layers.widths[spatial],
                    height: layers[encoding].layers.heights[spatial],
                    picturesPerSecond: isKnown
                        ? Int(layers[encoding].layers.picturesPerSecond(upTo: Int(temporal), at: time))
                        : isRemembered ? layers[encoding].layers.usualPictures(upTo: Int(temporal)) : 30,
                    isLive: isLive,
                    mayCome: mayCome(encoding, at: time)
                )
            )
        }
    }

    /// On the wire, bits per second.
    func rate(of encoding: Int, spatial: Int, temporal: Int, at now: Instant) -> Int {
        layers[encoding].layers.bitsPerSecond(
            upTo: spatial,
            temporal: temporal,
            header: Publication.headerBytes,
            at: now
        )
    }

    /// RTP with extensions, SRTP, UDP, IP.
    static let headerBytes = 76

    private func area(of encoding: Int, spatial: Int) -> Int {
        Int(layers[encoding].layers.widths[spatial]) * Int(layers[encoding].layers.heights[spatial])
    }

    /// What a layer may take of which nothing has come yet: bits per second.
    private func guess(_ encoding: Int, _ spatial: Int) -> Int {
        let area = self.area(of: encoding, spatial: spatial)
        return area > 0 ? max(100_000, area * 2) : Publication.guesses[min(encoding + spatial, 2)]
    }

    private static let guesses = [150_000, 500_000, 1_800_000]
}
