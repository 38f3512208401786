// A gateway that starts asks for the state and hears everything: what sessions are, and then all that is told only when
// it changes.
import PeerTransport
import RTP
import SFU
import Seam
import Simulation
import Testing

@Suite struct StateReportTests {
    /// The newest of everything that is told when it changes.
    private struct Told: Equatable {
        var publications: [PublicationID: PublicationState] = [:]
        var slots: [SessionID: [String: SlotState]] = [:]
        var demands: [PublicationID: PublicationDemand] = [:]
        var speakers: [RoomID: SpeakerReport] = [:]
        var states: [MediaState] = []

        init(_ events: some Sequence<Event>) {
            for event in events {
                switch event {
                case .publication(let state): note(state)
                case .slots(let session, let changed):
                    for slot in changed { slots[session, default: [:]][slot.mid] = slot }
                case .demand(let demand): demands[demand.publication] = demand
                case .speakers(let report): speakers[report.room] = report
                case .state(let state):
                    states.append(state)
                    for publication in state.sessions.flatMap(\.publications) { note(publication) }
                default: break
                }
            }
        }

        /// Rates change all the time and are no reason to tell.
        private mutating func note(_ publication: PublicationState) {
            var publication = publication
            for i in publication.layers.indices {
                publication.layers[i].bitsPerSecond = 0
                publication.layers[i].framesPerSecond = 0
            }
            publications[publication.publication] = publication
        }
    }

    @Test func everythingIsToldAnewAfterTheState() throws {
        let scene = try LayerScene("VP8 L1T1", withAudio: true, shards: 1)
        scene.view(180)
        scene.run(8000)
        let call = scene.call
        var before = Told(call.events.map(\.event))
        #expect(!before.demands.isEmpty && !before.speakers.isEmpty && before.publications.count == 2)
        #expect(before.slots[scene.viewer.session]?.count == 2)
        // Nothing changes by itself.
        var count = call.events.count
        scene.run(300)
        let quiet = Told(call.events[count...].map(\.event))
        #expect(quiet.publications.isEmpty && quiet.slots.isEmpty && quiet.demands.isEmpty)

        count = call.events.count
        call.apply(.reportState)
        scene.run(5)
        let events = call.events[count...].map(\.event)
        guard case .state(let state) = events.first else {
            Issue.record("the state does not come first")
            return
        }
        var after = Told(events)
        #expect(after.states == [state])
        before.states = []
        after.states = []
        // Levels differ from moment to moment; who speaks does not.
        #expect(Set(after.speakers.keys) == Set(before.speakers.keys))
        #expect(after.speakers.values.first?.dominant == before.speakers.values.first?.dominant)
        before.speakers = [:]
        after.speakers = [:]
        #expect(after == before)
    }

    @Test func speakersAreToldAnewEvenWhereNobodySpeaksAnyMore() throws {
        let call = try Call(seed: 3)
        let (publisher, _) = try call.publisherAndViewer()
        call.run(for: .seconds(3))
        publisher.stopSending()
        call.run(for: .seconds(3))
        let last = Told(call.events.map(\.event)).speakers
        #expect(last.values.first?.active.isEmpty == true)
        let count = call.events.count
        call.apply(.reportState)
        call.run(for: .milliseconds(5))
        #expect(Told(call.events[count...].map(\.event)).speakers == last)
    }

    @Test func theStateSaysWhatAGatewayNeeds() throws {
        let call = try Call(seed: 5, shards: 1)
        let (publisher, viewer) = try call.publisherAndViewer()
        call.run(for: .seconds(1))
        let wishes = Wishes(scope: .none, overrides: [publisher.camera.id: true])
        call.apply(.subscribe(viewer.session, wishes))
        call.apply(.mute(publisher.camera.id, true))
        call.apply(.attach(viewer.session, key: "member", revision: 7, text: "12"))
        call.apply(.attach(viewer.session, key: "member", revision: 6, text: "3"))
        call.apply(.attach(viewer.session, key: "gone", revision: 1, text: "3"))
        call.apply(.attach(viewer.session, key: "gone", revision: 2, text: ""))
        call.restartICE(of: viewer)
        call.run(for: .seconds(1))
        call.apply(.reportState)
        let state = try #require(Told(call.events.map(\.event)).states.last)
        #expect(state.epoch == "simulated")
        #expect(state.sessions.count == 2)
        let watching = try #require(state.sessions.first { $0.open.session == viewer.session })
        #expect(watching.wishes == wishes)
        #expect(watching.attachments == ["member": "12"])
        #expect(watching.revisions == ["member": 7, "gone": 2])
        #expect(watching.transport == .connected)
        // As of the restart: what the gateway would compare the next offer with, and answer it with.
        let restarted = call.events.compactMap { event -> LocalTransport? in
            if case .iceRestarted(viewer.session, let local) = event.event { return local }
            return nil
        }
        #expect(restarted.count == 1)
        #expect(watching.local == restarted.last)
        #expect(watching.open.remote.ice == viewer.remoteTransport.ice)
        let sending = try #require(state.sessions.first { $0.open.session == publisher.session })
        let opened = call.events.compactMap { event -> LocalTransport? in
            if case .sessionOpened(publisher.session, let local) = event.event { return local }
            return nil
        }
        #expect(sending.local == opened.first && sending.local != nil)
        let muted = sending.media?.sections.filter(\.muted).compactMap(\.publication)
        #expect(muted == [publisher.camera.id])
    }
}
