import Foundation
import NIOCore
import RTP
import Seam
import Testing

@testable import Signaling

@Suite struct BroadcastSizeTests {
    private struct Envelope<Content: Decodable>: Decodable { var data: Content }

    private func participants(_ count: Int, attribute bytes: Int) -> [ParticipantObject] {
        (0..<count).map { n in
            ParticipantObject(
                pid: "pa_\(n)",
                uid: "u\(n)",
                did: nil,
                name: nil,
                role: .speaker,
                kind: "web",
                attrs: bytes > 0 ? ["x": String(repeating: "y", count: bytes)] : nil,
                conn: .active,
                tracks: [],
                joinedAt: 0,
                rev: UInt64(n + 1)
            )
        }
    }
    private func decoded<Payload: Decodable>(_ body: EventBody, _: Payload.Type) throws -> Payload {
        let text = String(buffer: body.text(sequence: 1))
        return try JSONDecoder().decode(Envelope<Payload>.self, from: Data(text.utf8)).data
    }

    @Test(arguments: [(0, 0), (1, 0), (100, 0), (101, 0), (1000, 0), (300, 8000), (3, 300_000)])
    func snapshotsArePaged(_ count: Int, _ bytes: Int) throws {
        let all = participants(count, attribute: bytes)
        let texts = all.compactMap { OutboundText.json($0) }
        let pages = try Pages.make(
            .snapshot,
            lists: EncodedPeople.lists(of: texts),
            in: "participants",
            revision: 9,
            timestamp: 1
        ) { page, of in
            Snapshot(
                page: page,
                of: of,
                rev: 9,
                participants: [],
                slots: page == 1 ? [] : nil,
                speakers: nil
            )
        }.map { body in
            #expect(
                body.count <= Limits.Signaling.serverMessageBytes
                    || bytes > Limits.Signaling.serverMessageBytes
            )
            return try decoded(body, Snapshot.self)
        }
        #expect(pages.flatMap(\.participants) == all)
        #expect(pages.map(\.page) == Array(1...pages.count))
        #expect(pages.allSatisfy { $0.of == pages.count })
        #expect(pages.dropFirst().allSatisfy { $0.slots == nil })
    }

    @Test(arguments: [(0, 2048), (100, 2048), (230, 2048), (3, 0)])
    func deltasArePaged(_ count: Int, _ departures: Int) throws {
        let all = participants(count, attribute: count == 230 ? 1000 : 0)
        let left = (0..<departures).map {
            RosterChange.Left(pid: "pa_of_somebody_who_left_\($0)", reason: .timeout, rev: UInt64($0))
        }
        let pages = try Pages.make(
            .delta,
            lists: EncodedPeople.lists(of: all.compactMap { OutboundText.json($0) }),
            in: "changed",
            revision: 9,
            timestamp: 1
        ) { page, of in
            Delta(
                page: page,
                of: of,
                fromRev: 1,
                rev: 9,
                changed: [],
                left: page == of ? left : [],
                slots: page == 1 ? [] : nil,
                speakers: nil
            )
        }.map { body in
            #expect(body.count <= Limits.Signaling.serverMessageBytes)
            return try decoded(body, Delta.self)
        }
        #expect(pages.flatMap(\.changed) == all)
        #expect(pages.flatMap(\.left) == left)
        #expect(pages.map(\.page) == Array(1...pages.count) && pages.allSatisfy { $0.of == pages.count })
    }

    @Test(arguments: [(1, 0), (1500, 0), (90, 8000), (1, 300_000)])
    func rostersAreSplit(_ count: Int, _ bytes: Int) throws {
        let all = participants(count, attribute: bytes)
        let change = RosterChange(
            joined: all,
            updated: all,
            left: all.map { .init(pid: $0.pid, reason: .left, rev: $0.rev) }
        )
        let parts = try SharedRoster(change, revision: 1, timestamp: 1).bodies.map { body in
            #expect(
                body.count <= Limits.Signaling.serverMessageBytes
                    || bytes > Limits.Signaling.serverMessageBytes
            )
            return try decoded(body, RosterChange.self)
        }
        #expect(parts.flatMap(\.joined) == change.joined)
        #expect(parts.flatMap(\.updated) == change.updated)
        #expect(parts.flatMap(\.left) == change.left)
    }
}
