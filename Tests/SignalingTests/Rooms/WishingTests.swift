import RTP
import Seam
import Testing

@testable import Signaling

@Suite struct WishingTests {
    private var room: RoomState {
        var room = RoomState(id: RoomID("r"), epoch: "e")
        for name in ["a", "b"] {
            room.join(
                Participant(
                    id: ParticipantID(name),
                    user: UserID(name),
                    device: nil,
                    name: nil,
                    role: .speaker,
                    kind: "web",
                    attributes: [:],
                    grants: Grants(),
                    connection: .active,
                    joinedAt: 0,
                    order: 0,
                    revision: 0
                ),
                at: .zero
            )
            for (source, kind) in [(Source.mic, MediaKind.audio), (.camera, .video), (.screen, .video)] {
                _ = room.put(
                    Publication(
                        id: PublicationID("\(name).\(source.rawValue)"),
                        cid: source.rawValue,
                        mid: source.rawValue,
                        kind: kind,
                        source: source,
                        name: nil,
                        muted: false,
                        codec: nil,
                        layers: nil,
                        revision: 0
                    ),
                    of: ParticipantID(name),
                    byOwner: true,
                    at: .zero
                )
            }
        }
        return room
    }
    private let a = ParticipantID("a")

    @Test func withoutAWordEverythingIsWanted() {
        #expect(Wishing().wishes(in: room) == Wishes(scope: .all))
    }

    @Test func finerRulesOutweighCoarserOnes() {
        var wishing = Wishing()
        #expect(wishing.set(.participant(a), on: false) == true)
        #expect(wishing.set(.source(a, .screen), on: true) == true)
        #expect(wishing.set(.publication(PublicationID("a.mic")), on: true) == true)
        #expect(wishing.wishes(in: room).overrides == [PublicationID("a.camera"): false])
        wishing.isAutomatic = false
        let wishes = wishing.wishes(in: room)
        #expect(wishes.scope == .none)
        #expect(wishes.overrides == [PublicationID("a.mic"): true, PublicationID("a.screen"): true])
    }

    @Test func tilesFindWhatIsShown() {
        var wishing = Wishing()
        let tile = Wishes.Tile(width: 640, height: 360)
        let big = Wishes.Tile(width: 1280, height: 720)
        wishing.show([
            (.source(a, .camera), tile), (.publication(PublicationID("b.screen")), big),
            (.source(ParticipantID("gone"), .camera), tile), (.publication(PublicationID("b.mic")), tile),
        ])
        #expect(
            wishing.wishes(in: room).tiles == [
                PublicationID("a.camera"): tile, PublicationID("b.screen"): big,
            ]
        )
        #expect(wishing.visibleTiles == 4)
    }

    @Test func forgetsWhoLeft() throws {
        var wishing = Wishing()
        var room = room
        _ = wishing.set(.participant(a), on: false)
        _ = wishing.set(.publication(PublicationID("a.mic")), on: false)
        _ = wishing.set(.participant(ParticipantID("b")), on: false)
        wishing.show([(.source(a, .camera), Wishes.Tile(width: 1, height: 1))])
        let left = room.leave(a, reason: .left, at: .zero)
        wishing.forget(try #require(left))
        #expect(wishing.rules.count == 1)
        #expect(wishing.visibleTiles == 0)
    }

    @Test func rulesAreBounded() {
        var wishing = Wishing()
        for n in 0..<Limits.Signaling.subscriptionRules {
            #expect(wishing.set(.publication(PublicationID("\(n)")), on: true) == true)
        }
        #expect(wishing.set(.publication(PublicationID("more")), on: true) == false)
        #expect(wishing.set(.publication(PublicationID("0")), on: false) == true)
    }

    @Test func absurdTilesAreClamped() {
        func tile(_ w: Double?, _ h: Double?, fps: Double? = nil, priority: Int? = nil) -> Wishes.Tile {
            Wishes.Tile(
                UpdateView.Tile(
                    tid: nil,
                    pid: nil,
                    source: nil,
                    w: w,
                    h: h,
                    visible: nil,
                    priority: priority,
                    maxFps: fps
                )
            )
        }
        #expect(tile(640.4, 359.6) == Wishes.Tile(width: 640, height: 360))
        #expect(
            tile(-5, 1e300, fps: 1e9, priority: -1)
                == Wishes.Tile(width: 0, height: 16_384, priority: 0, maxFrameRate: 255)
        )
        #expect(tile(.infinity, .nan, priority: 999) == Wishes.Tile(width: 0, height: 0, priority: 255))
    }
}
