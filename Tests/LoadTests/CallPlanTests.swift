// Command lines become plans; what cannot be is refused with the reason.
import ArgumentParser
import Testing

@testable import Load

@Suite struct CallPlanTests {
    private func plan(_ arguments: String...) throws -> CallPlan {
        try BenchCommand.parse(arguments.flatMap { $0.split(separator: " ").map(String.init) }).callPlan()
    }

    @Test func aBroadcastIsWhatIsMeantWithoutOptions() throws {
        let plan = try plan()
        #expect(plan.scenario == .broadcast && plan.cast.count == 51 && plan.audience == 50)
        #expect(plan.cast[0] == CastMember(role: .publisher, room: "load"))
        #expect(plan.cast[1] == CastMember(role: .subscriber, room: "load", audioSlots: 1))
        #expect(plan.audio.payloadBytes == 80 && plan.video.layers.isEmpty && plan.seconds == 15)
        #expect(plan.churn == nil && plan.interval == nil && plan.hasFeedback)
    }

    @Test func videoHasThreeLayers() throws {
        let plan = try plan("--video h264 --audio-kbps 0 --subscribers 7 --no-feedback")
        #expect(plan.video.codec == .h264 && plan.video.layers == [150_000, 450_000, 1_700_000])
        #expect(plan.cast[7] == CastMember(role: .subscriber, room: "load", videoSlots: 1))
        // The server chooses among the layers.
        #expect(plan.audience == nil && !plan.hasFeedback)
        #expect(try self.plan("--video vp8 --layers 1000").audience == 50)
    }

    @Test func roomsAreFullOfPeopleWhoHearEachOther() throws {
        let plan = try plan("--scenario rooms --rooms 3 --people 5 --video vp8")
        #expect(plan.cast.count == 15 && Set(plan.cast.map(\.room)) == ["load-0", "load-1", "load-2"])
        #expect(plan.cast.allSatisfy { $0.audioSlots == 4 && $0.videoSlots == 4 && $0.role == .participant })
        let growing = try self.plan("--scenario rooms --rooms fit")
        #expect(growing.cast.count == 40 && growing.growth == Growth(roomsAtMost: 500, people: 10))
    }

    @Test func aMeetingShowsAFew() throws {
        let plan = try plan("--scenario meeting --last-n 30")
        #expect(plan.cast.count == 25 && plan.cast[0].videoSlots == 24 && plan.cast[0].audioSlots == 3)
        #expect(plan.hasViews && plan.video.layers.count == 3 && plan.audio.talkPercent == 8)
    }

    @Test func stormsAndSoaks() throws {
        let storm = try plan("--scenario storm --rate 500")
        #expect(storm.churn == Churn(perSecond: 500, stay: 2) && storm.cast.count == 201)
        let soak = try plan("--scenario soak --interval 60")
        #expect(soak.interval == 60 && soak.seconds == 600 && soak.churn == Churn(perSecond: 1, stay: 10))
    }

    @Test(arguments: [
        "--subscribers 0", "--subscribers 5001", "--audio-kbps 3", "--audio-kbps 0", "--layers 100,50",
        "--layers 1,2,3,4", "--layers 100,,200", "--rooms many", "--rooms 0", "--rate 0", "--verify 0",
        "--keys a --write-keys b", "--scenario rooms --keys a", "--room a/b", "--token a --token-file b",
        "--scenario party", "--talk 0", "--interval 0",
    ])
    func refuses(options: String) {
        #expect(throws: (any Error).self) { try self.plan(options) }
    }

    @Test func remoteServersAreRefused() throws {
        let plan = try plan("--url http://192.0.2.1")
        #expect(throws: LoadError.self) { try CallRun(plan, progress: Progress(isWanted: false)) }
        let signaling = try #require(try self.plan("--whep http://192.0.2.1/{room}").signaling)
        #expect(throws: LoadError.self) { try signaling.make(.subscriber, number: 1) }
        #expect(throws: Never.self) { try signaling.make(.publisher, number: 1) }
    }

    @Test func templatesAreFilled() throws {
        let text = try WhipEndpoints.fill(
            "/{room}/x/{participant}?n={subscriber}",
            room: "r",
            participant: "p",
            subscriber: 4
        )
        #expect(text == "/r/x/p?n=4")
        for wrong in ["/{rooms}", "/{room"] {
            #expect(throws: LoadError.self) {
                try WhipEndpoints.fill(wrong, room: "r", participant: "p", subscriber: 0)
            }
        }
    }

    @Test(arguments: [
        ("/a/b", "/x/y", "/a/b"), ("s1", "/whep/r/p", "/whep/r/s1"), ("http://h:1/s", "/x", "/s"),
        ("http://h", "/x", "/"),
    ])
    func locationsArePaths(location: String, endpoint: String, path: String) {
        #expect(WhipSignaling.path(of: location, under: endpoint) == path)
    }

    @Test func oneTileIsLarge() {
        let tiles = Member.tiles(["a", "b", "c"])
        #expect(tiles.map(\.w) == [1280, 320, 320] && tiles.map(\.tid) == ["a", "b", "c"])
    }

    // MARK: Growth

    @Test func growsUntilItIsTooMuch() {
        var record = GrowthRecord(Growth(roomsAtMost: 50, people: 10), rooms: 7)
        func step(loss: Double = 0, latency: Double = 1, client: Double = 10) -> GrowthRecord.Step {
            GrowthRecord.Step(
                rooms: 0,
                packetsPerSecond: 1,
                lossPercent: loss,
                latencyP99: latency,
                serverPercent: nil,
                clientPercent: client
            )
        }
        var goesOn = record.note(step())
        #expect(goesOn && record.nextRooms == 7..<8)
        goesOn = record.note(step())
        #expect(goesOn && record.nextRooms == 8..<10)
        goesOn = record.note(step(latency: 21))
        #expect(!goesOn)
        #expect(record.rooms == 8 && record.steps.map(\.rooms) == [7, 8, 10])
        #expect(record.steps.map(\.isGood) == [true, true, false])
        var bounded = GrowthRecord(Growth(roomsAtMost: 4, people: 10), rooms: 4)
        goesOn = bounded.note(step())
        #expect(!goesOn && bounded.rooms == 4)
        var busy = GrowthRecord(Growth(roomsAtMost: 50, people: 10), rooms: 4)
        goesOn = busy.note(step(client: 95))
        #expect(!goesOn && busy.rooms == 4)
    }
}
