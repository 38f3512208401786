import RTP
import SDP
import Seam
import Testing

@testable import Signaling

@Suite struct NegotiationPlanTests {
    private func planner(_ grants: Grants = .development, ids seed: Int = 0) -> NegotiationPlanner {
        var next = seed
        return NegotiationPlanner(grants: grants, videoCodecs: [.vp8]) {
            next += 1
            return PublicationID("tr_\(next)")
        }
    }
    private func plan(
        _ planner: NegotiationPlanner,
        _ fixture: String = "chromium_VP8_sim.offer",
        tracks: [OfferedTrack] = [],
        current: [Publication] = []
    ) throws -> NegotiationPlan {
        var random = SeededRandom(seed: 1)
        return try planner.plan(
            Offer(parsing: SDPFixture.text(fixture)),
            tracks: tracks,
            current: current,
            previous: [],
            using: &random
        )
    }
    private func track(_ mid: String, _ cid: String, _ source: Source? = nil) -> OfferedTrack {
        OfferedTrack(mid: mid, cid: cid, kind: nil, source: source, name: nil, muted: nil)
    }
    private func refusal(_ body: () throws -> NegotiationPlan) -> ErrorCode? {
        do {
            _ = try body()
            return nil
        } catch {
            return (error as? GatewayError)?.code
        }
    }

    @Test func sectionsWithoutNamesAreMicrophoneAndCamera() throws {
        let plan = try plan(planner())
        #expect(plan.publications.map(\.source) == [.mic, .camera])
        #expect(plan.publications.map(\.mid) == ["0", "1"])
        let sections = plan.sections { _ in false }
        #expect(sections.count == 2)
        #expect(sections.map(\.publication) == plan.publications.map(\.id))
        #expect(sections[1].section.receive.count == 3)
    }

    @Test func namedTracksKeepTheirIdentity() throws {
        let first = try plan(planner(), tracks: [track("0", "mic"), track("1", "cam", .screen)])
        #expect(first.publications.map(\.cid) == ["mic", "cam"])
        #expect(first.publications[1].source == .screen)
        let second = try plan(
            planner(ids: 10),
            tracks: [track("0", "mic"), track("1", "other", .camera)],
            current: first.publications
        )
        #expect(second.publications[0].id == first.publications[0].id)
        #expect(second.publications[1].id == PublicationID("tr_11"))
        #expect(second.ended == [first.publications[1].id])
    }

    @Test func onlyNamedSectionsAreTakenWhereAnyIsNamed() throws {
        let plan = try plan(planner(), tracks: [track("1", "cam")])
        #expect(plan.publications.map(\.cid) == ["cam"])
        #expect(plan.sections { _ in false }[0].section.receive.isEmpty)
    }

    @Test func grantsDecide() throws {
        #expect(
            refusal {
                try plan(
                    planner(Grants(publish: [.mic], subscribe: true)),
                    tracks: [track("1", "cam", .camera)]
                )
            } == .forbidden
        )
        #expect(
            refusal {
                try plan(
                    planner(Grants(publish: [.mic, .camera], hidden: true)),
                    tracks: [track("1", "cam", .camera)]
                )
            } == .forbidden
        )
        // Nothing that this offer wants is allowed.
        #expect(refusal { try plan(planner(Grants(subscribe: true))) } == .badRequest)
        let audioOnly = try plan(planner(Grants(publish: [.mic])))
        #expect(audioOnly.publications.map(\.source) == [.mic])
        let screenOnly = try plan(planner(Grants(publish: [.screen])))
        #expect(screenOnly.publications.map(\.source) == [.screen])
    }

    @Test func contradictionsAreRefused() throws {
        #expect(refusal { try plan(planner(), tracks: [track("0", "x"), track("0", "y")]) } == .badRequest)
        #expect(refusal { try plan(planner(), tracks: [track("0", "x", .camera)]) } == .badRequest)
        #expect(refusal { try plan(planner(), tracks: [track("9", "x")]) } == .badRequest)
        #expect(refusal { try plan(planner(), tracks: [track("0", "")]) } == .badRequest)
        #expect(
            refusal { try plan(planner(), tracks: [track("0", String(repeating: "x", count: 300))]) }
                == .badRequest
        )
        let mic = try plan(planner(), tracks: [track("0", "x")]).publications
        #expect(refusal { try plan(planner(), tracks: [track("1", "x")], current: mic) } == .badRequest)
    }

    @Test func slotsAreWhatThePeerReceives() throws {
        let plan = try plan(planner(), "lk_offer")
        let slots = plan.negotiated.media.filter { $0.slot != nil }
        #expect(slots.count(where: { $0.kind == .audio }) == 3)
        #expect(slots.count(where: { $0.kind == .video }) == 3)
        #expect(plan.publications.count == 2)
        let deaf = try self.plan(planner(Grants(publish: [.camera, .mic])), "lk_offer")
        #expect(deaf.negotiated.media.allSatisfy { $0.slot == nil })
    }
}
