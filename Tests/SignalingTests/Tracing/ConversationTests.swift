import Foundation
import RTP
import Seam
import Testing
import Tracing

@testable import Signaling

@Suite struct ConversationTests {
    private func at(_ seconds: Int64) -> Instant { Instant(microseconds: seconds * 1_000_000) }

    @Test func peopleAreCountedByUserAndTalkByTime() {
        var call = Conversation(at: at(10))
        call.joined(UserID("ada"), at: at(10))
        call.joined(UserID("ada"), at: at(20))
        call.joined(UserID("bob"), at: at(30))
        call.speak([UserID("ada")], at: at(40))
        call.speak([UserID("ada"), UserID("bob")], at: at(45))
        call.speak([], at: at(50))
        call.left(UserID("ada"), at: at(60))
        call.resumed(UserID("bob"))
        call.left(UserID("ada"), at: at(70))
        call.speak([UserID("ada"), UserID("nobody")], at: at(75))
        call.joined(UserID("ada"), at: at(80))
        call.speak([UserID("ada")], at: at(85))
        let summary = call.summary(at: at(90))
        #expect(
            summary.durationMs == 80_000 && summary.peak == 3 && summary.joins == 4 && summary.resumes == 1
        )
        #expect(
            summary.users == [
                .init(uid: "ada", presentMs: 70_000, talkMs: 15_000, joins: 3, resumes: 0),
                .init(uid: "bob", presentMs: 60_000, talkMs: 5_000, joins: 1, resumes: 1),
            ]
        )
        // Looking changes nothing.
        #expect(call.summary(at: at(90)) == summary)
    }

    @Test func qualityIsAMeanOverTime() {
        var call = Conversation(at: at(0))
        call.joined(UserID("ada"), at: at(0))
        call.joined(UserID("bob"), at: at(0))
        call.rate(UserID("ada"), up: 50, down: nil, at: at(10))
        call.rate(UserID("ada"), up: 20, down: 40, at: at(40))
        call.rate(UserID("ada"), up: nil, down: 40, at: at(50))
        call.rate(UserID("nobody"), up: 10, down: 10, at: at(50))
        let ada = call.summary(at: at(60)).users[0]
        #expect(ada.up == QualityDigest(mean: 43, ratedMs: 40_000, poorMs: 10_000))
        #expect(ada.down == QualityDigest(mean: 40, ratedMs: 20_000, poorMs: 0))
        #expect(call.summary(at: at(60)).users[1].up == nil)
        call.left(UserID("ada"), at: at(60))
        #expect(call.summary(at: at(100)).users[0] == call.summary(at: at(60)).users[0])
    }

    @Test func usersAreBounded() {
        var call = Conversation(at: at(0), limit: 2)
        for name in ["a", "b", "c", "d"] { call.joined(UserID(name), at: at(0)) }
        call.speak([UserID("c")], at: at(1))
        for name in ["c", "a"] { call.left(UserID(name), at: at(5)) }
        let summary = call.summary(at: at(10))
        #expect(summary.users.map(\.uid) == ["a", "b"] && summary.otherUsers == 2 && summary.peak == 4)
        #expect(summary.users.map(\.presentMs) == [5000, 10_000])
    }
}

@Suite struct TimelineTests {
    private func at(_ milliseconds: Int64) -> Instant { Instant(microseconds: milliseconds * 1000) }

    @Test func routineGivesWayFirst() {
        var timeline = Timeline(limit: 4)
        timeline.note(.joined(.socket), at: at(0))
        timeline.note(.layer(slot: 0, spatial: 0, temporal: 0, reason: .none), at: at(1))
        timeline.note(.answered, at: at(2))
        timeline.note(.muted(.mic, true), at: at(3))
        timeline.note(.detached, at: at(4))
        timeline.note(.overflow, at: at(5))
        #expect(timeline.entries.map(\.event) == [.joined(.socket), .answered, .detached, .overflow])
        #expect(timeline.dropped == 2)
        timeline.note(.left(.timeout), at: at(6))
        #expect(timeline.entries.map(\.event) == [.answered, .detached, .overflow, .left(.timeout)])
        #expect(timeline.dropped == 3)
    }

    @Test func theArchiveIsBounded() {
        var archive = TimelineArchive(limit: 3)
        for index in 0..<5 {
            archive.keep(
                TimelineArchive.Ended(
                    room: RoomID("r"),
                    report: TimelineReport.Session(
                        uid: "u\(index)",
                        joinedAt: 0,
                        ended: true,
                        resumes: 0,
                        entries: [],
                        dropped: 0
                    ),
                    participant: ParticipantID(index % 2 == 0 ? "pa_even" : "pa_odd")
                )
            )
        }
        #expect(archive.timelines(of: ParticipantID("pa_even"), in: RoomID("r")).map(\.uid) == ["u2", "u4"])
        #expect(archive.timelines(of: ParticipantID("pa_odd"), in: RoomID("r")).map(\.uid) == ["u3"])
        #expect(archive.timelines(of: ParticipantID("pa_odd"), in: RoomID("other")).isEmpty)
    }

    @Test func everyEntryHasItsFields() throws {
        let all: [(TimelineEvent, String)] = [
            (.joined(.whip), #"{"front":"whip","t":5000,"type":"joined"}"#),
            (.resumed(.delta), #"{"outcome":"delta","t":5000,"type":"resumed"}"#),
            (.detached, #"{"t":5000,"type":"detached"}"#),
            (.closed(.superseded), #"{"code":4111,"t":5000,"type":"closed"}"#),
            (.offered(isRestart: true), #"{"restart":true,"t":5000,"type":"offer"}"#),
            (.answered, #"{"t":5000,"type":"answer"}"#),
            (.refused(.badRequest), #"{"error":"bad_request","t":5000,"type":"refused"}"#),
            (.transport(.connected), #"{"state":"connected","t":5000,"type":"transport"}"#),
            (.mediaClosed(.timeout), #"{"reason":"timeout","t":5000,"type":"mediaClosed"}"#),
            (.firstMedia(.mic), #"{"source":"mic","t":5000,"type":"firstMedia"}"#),
            (.firstFrame(slot: 2), #"{"slot":2,"t":5000,"type":"firstFrame"}"#),
            (.muted(.camera, false), #"{"muted":false,"source":"camera","t":5000,"type":"mute"}"#),
            (
                .layer(slot: 1, spatial: 2, temporal: 0, reason: .bandwidth),
                #"{"reason":"bandwidth","s":2,"slot":1,"t":5000,"tl":0,"type":"layer"}"#
            ),
            (.overflow, #"{"t":5000,"type":"overflow"}"#),
            (.left(.kicked), #"{"reason":"kicked","t":5000,"type":"left"}"#),
        ]
        for (event, text) in all {
            let entry = TimelineReport.Entry(Timeline.Entry(at: at(7), event: event), since: at(2))
            #expect(try JSONText.sorted(entry) == text)
        }
    }
}

@Suite struct RosterCauseTests {
    @Test func onlyASingleCauseIsOne() {
        let context = InstrumentationContext.topLevel
        var cause = RosterCause()
        cause.caused(by: context, "a", from: 0, to: 1)
        cause.caused(by: context, "a", from: 1, to: 3)
        cause.caused(by: context, "a", from: 3, to: 3)
        #expect(cause.take(at: 3) != nil)
        // Somebody else changed something in between, before, after.
        cause.caused(by: context, "a", from: 4, to: 5)
        #expect(cause.take(at: 5) == nil)
        cause.caused(by: context, "a", from: 5, to: 6)
        #expect(cause.take(at: 7) == nil)
        cause.caused(by: context, "a", from: 7, to: 8)
        cause.caused(by: context, "b", from: 8, to: 9)
        #expect(cause.take(at: 9) == nil)
        cause.caused(by: context, "b", from: 9, to: 10)
        #expect(cause.take(at: 10) != nil)
        #expect(cause.take(at: 10) == nil)
    }
}

enum JSONText {
    static func sorted(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }
}
