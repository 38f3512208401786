// What a participant said it wants to receive, kept by what it named, and resolved against the room as it changes.
// Must not know sessions or the media plane's choices.
import RTP
import Seam

struct Wishing: Sendable {
    /// What a rule or a tile names.
    enum Target: Hashable, Sendable {
        case publication(PublicationID)
        case participant(ParticipantID)
        case source(ParticipantID, Source)
    }

    var isAutomatic = true
    private(set) var rules: [Target: Bool] = [:]
    private var tiles: [(target: Target, tile: Wishes.Tile)] = []
    private var hasView = false

    /// False where there is no room for another rule.
    mutating func set(_ target: Target, on isOn: Bool) -> Bool {
        guard rules[target] != nil || rules.count < Limits.Signaling.subscriptionRules else { return false }
        rules[target] = isOn
        return true
    }

    mutating func forgetRules() { rules = [:] }

    mutating func show(_ tiles: [(target: Target, tile: Wishes.Tile)]) {
        self.tiles = tiles
        hasView = true
    }

    /// Forgets what names a participant that left.
    mutating func forget(_ participant: Participant) {
        let gone = Set(participant.publications.map(\.id))
        func names(_ target: Target) -> Bool {
            switch target {
            case .publication(let id): gone.contains(id)
            case .participant(let id), .source(let id, _): id == participant.id
            }
        }
        for target in rules.keys where names(target) { rules[target] = nil }
        tiles.removeAll { names($0.target) }
    }

    /// Visible tiles; nil where the client never said what it shows.
    var visibleTiles: Int? { hasView ? tiles.count { $0.tile.visible } : nil }

    /// A rule for a track outweighs one for a source, and that one for a participant.
    func wishes(in room: RoomState) -> Wishes {
        var wishes = Wishes(scope: isAutomatic ? .all : .none)
        for rank in 0...2 {
            for (target, isOn) in rules where target.rank == rank {
                for publication in target.publications(in: room) {
                    wishes.overrides[publication.id] = isOn == isAutomatic ? nil : isOn
                }
            }
        }
        for rank in 0...2 {
            for (target, tile) in tiles where target.rank == rank {
                for publication in target.publications(in: room) where publication.kind == .video {
                    wishes.tiles[publication.id] = tile
                }
            }
        }
        return wishes
    }
}

extension Wishing.Target {
    fileprivate var rank: Int {
        switch self {
        case .participant: 0
        case .source: 1
        case .publication: 2
        }
    }

    fileprivate func publications(in room: RoomState) -> [Publication] {
        switch self {
        case .publication(let id):
            return room.publication(id).flatMap { $0.publication.mid == nil ? nil : [$0.publication] } ?? []
        case .participant(let id):
            return room.participants[id]?.publications.filter { $0.mid != nil } ?? []
        case .source(let id, let source):
            return room.participants[id]?.publications.filter { $0.mid != nil && $0.source == source } ?? []
        }
    }
}

extension Wishes.Tile {
    /// Clamps what a page measured: it may be fractional, negative or absurd.
    init(_ tile: UpdateView.Tile) {
        func clamp(_ value: Double?, _ range: ClosedRange<Double>, default fallback: Double) -> Double {
            guard let value, value.isFinite else { return fallback }
            return min(max(value.rounded(), range.lowerBound), range.upperBound)
        }
        self.init(
            width: UInt16(clamp(tile.w, 0...16_384, default: 0)),
            height: UInt16(clamp(tile.h, 0...16_384, default: 0)),
            visible: tile.visible ?? true,
            priority: UInt8(max(0, min(tile.priority ?? 100, 255))),
            maxFrameRate: UInt8(clamp(tile.maxFps, 0...255, default: 0))
        )
    }
}
