import Foundation
import RTP
import Synchronization
import Testing

@testable import EventLog

@Suite("Event log")
struct EventLogTests {
    @Test func givesBackWhatItTookInOrder() async throws {
        let place = try LogPlace()
        let log = try place.open()
        for number in 1...1200 { log.append(EventDraft("ev_\(number)", room: number % 3 == 0 ? "b" : "a")) }
        await log.flush()
        #expect(try await log.ids(limit: 100) == (1...1200).map { "ev_\($0)" })
        #expect(
            try await log.ids(room: "b", limit: 7) == (1...1200).filter { $0 % 3 == 0 }.map { "ev_\($0)" }
        )
        let events = try await log.events(room: "b")
        #expect(events.map(\.sequence) == (1...400).map { Int64($0) })
        let object = try JSONDecoder().decode(Note.self, from: Data(events[6].json))
        #expect(object.id == events[6].id && object.text == "\"{}\\/é")
        #expect(String(decoding: events[6].json, as: UTF8.self).hasPrefix("{\"roomSeq\":7,\"id\":"))
        #expect(log.statistics.appended == 1200 && log.statistics.lost == 0)
        await log.close()
    }

    @Test func theFileIsForItsUserAlone() async throws {
        let place = try LogPlace()
        let log = try place.open()
        log.append(EventDraft("ev_1"))
        await log.flush()
        for file in try FileManager.default.contentsOfDirectory(atPath: place.directory) {
            let rights = try FileManager.default.attributesOfItem(atPath: place.directory + "/" + file)[
                .posixPermissions
            ]
            #expect((rights as? NSNumber)?.intValue == 0o600, "\(file)")
        }
        await log.close()
    }

    @Test func theSameEventTwiceIsOne() async throws {
        let place = try LogPlace()
        let log = try place.open()
        for id in ["ev_1", "ev_2", "ev_1", "ev_2", "ev_3"] { log.append(EventDraft(id)) }
        await log.flush()
        log.append(EventDraft("ev_2"))
        await log.flush()
        let events = try await log.events()
        #expect(events.map(\.id) == ["ev_1", "ev_2", "ev_3"])
        #expect(events.map(\.sequence) == [1, 2, 3])
        await log.close()
    }

    @Test func numbersAndPositionsGoOnAfterARestart() async throws {
        let place = try LogPlace()
        let first = try place.open()
        first.append(EventDraft("ev_1"))
        first.append(EventDraft("ev_2"))
        await first.flush()
        let cursor = try await first.end()
        await first.close()
        let second = try place.open()
        second.append(EventDraft("ev_3"))
        await second.flush()
        let page = try await second.read(after: cursor, limit: 10)
        #expect(page.events.map(\.sequence) == [3])
        #expect(!page.hasGap && !page.hasMore)
        await second.close()
    }

    /// The files as a killed process leaves them: nothing was closed, the write-ahead log was not put back.
    @Test func whatWasFlushedOutlivesAKill() async throws {
        let place = try LogPlace()
        let killed = try place.open()
        for number in 1...700 { killed.append(EventDraft("ev_\(number)")) }
        await killed.flush()
        killed.note(
            RoomPosition(position: 5, failingSince: 77),
            of: PositionKey(destination: "x", room: "standup"),
            floor: 3
        )
        await killed.flush()
        let copy = try LogPlace()
        for suffix in ["", "-wal"] {
            try FileManager.default.copyItem(atPath: place.path + suffix, toPath: copy.path + suffix)
        }
        await killed.close()
        let log = try copy.open()
        #expect(try await log.ids() == (1...700).map { "ev_\($0)" })
        log.append(EventDraft("ev_701"))
        await log.flush()
        #expect(try await log.events().last?.sequence == 701)
        let (floor, rooms) = try await log.destination("x")
        #expect(floor == 3 && rooms == ["standup": RoomPosition(position: 5, failingSince: 77)])
        await log.close()
    }

    @Test func cursorsOfOtherLogsAndDeletedEventsAreGaps() async throws {
        let place = try LogPlace()
        let log = try place.open(bounds: EventLogBounds(age: .seconds(1_000_000), count: 10))
        for number in 1...30 { log.append(EventDraft("ev_\(number)")) }
        await log.flush()
        // The pruning runs with the next write.
        log.append(EventDraft("ev_31"))
        await log.flush()
        let all = try await log.read(after: nil, limit: 100)
        #expect(!all.hasGap)
        #expect(all.events.count <= 11 && all.events.last?.id == "ev_31")
        #expect(log.statistics.pruned >= 20)
        let old = EventCursor(log: all.next.log, position: 3)
        #expect(try await log.read(after: old, limit: 100).hasGap)
        let foreign = try await log.read(after: EventCursor(log: "zzz", position: 30), limit: 100)
        #expect(foreign.hasGap && foreign.events == all.events)
        let future = EventCursor(log: all.next.log, position: 1000)
        #expect(try await log.read(after: future, limit: 100).hasGap)
        let end = try await log.read(after: all.next, limit: 100)
        #expect(!end.hasGap && end.events.isEmpty && end.next == all.next)
        await log.close()
    }

    @Test func oldEventsGo() async throws {
        let place = try LogPlace()
        let now = Mutex<UInt64>(10_000_000)
        let bounds = EventLogBounds(age: .seconds(3600))
        let log = try place.open(bounds: bounds, now: { now.withLock { $0 } })
        for number in 1...5 {
            log.append(EventDraft("ev_\(number)", time: 10_000_000 + UInt64(number) * 1000))
        }
        await log.flush()
        #expect(try await log.ids().count == 5)
        now.withLock { $0 += 3_600_000 + 3500 }
        log.append(EventDraft("ev_6", time: 13_603_500))
        await log.flush()
        #expect(try await log.ids() == ["ev_4", "ev_5", "ev_6"])
        // The room's numbers go on all the same.
        #expect(try await log.events().map(\.sequence) == [4, 5, 6])
        await log.close()
    }

    @Test func aFileThatIsTooLargeLosesItsOldest() async throws {
        let place = try LogPlace()
        let log = try place.open(
            bounds: EventLogBounds(age: .seconds(1_000_000), count: 2500, bytes: 150_000)
        )
        for number in 1...3000 { log.append(EventDraft("ev_\(number)")) }
        await log.flush()
        log.append(EventDraft("last"))
        await log.flush()
        let events = try await log.events()
        #expect(events.last?.id == "last")
        #expect(events.count < 2000 && events.count > 100)
        #expect(log.statistics.pruned + UInt64(events.count) == 3001)
        await log.close()
    }

    // MARK: Trouble

    /// A full disk: events wait, then are lost and counted, and the holes in the numbers say so.
    @Test func aFullDiskIsSurvived() async throws {
        let place = try LogPlace()
        let tuning = EventLog.Tuning(writeRetry: .milliseconds(1), waiting: 100, pageLimit: 40)
        let log = try place.open(tuning: tuning)
        var count: UInt64 = 0
        func append() {
            count += 1
            log.append(EventDraft("ev_\(count)", type: String(repeating: "x", count: 200)))
        }
        while log.statistics.writeFailures == 0 {
            append()
            await Task.yield()
        }
        for _ in 1...300 { append() }
        #expect(log.statistics.waiting <= 200)
        await log.close()
        let statistics = log.statistics
        #expect(statistics.lost >= 100 && statistics.appended > 0)
        #expect(statistics.appended + statistics.lost == count)

        let roomy = try place.open()
        roomy.append(EventDraft("after"))
        await roomy.flush()
        let events = try await roomy.events()
        #expect(events.last?.id == "after")
        #expect(events.map(\.sequence) == events.map(\.sequence).sorted())
        await roomy.close()
    }

    @Test func whatWaitedForTheDiskIsWrittenWhenThereIsRoom() async throws {
        let place = try LogPlace()
        let log = try place.open(tuning: EventLog.Tuning(writeRetry: .milliseconds(1), busyTimeout: .zero))
        log.append(EventDraft("ev_1"))
        await log.flush()
        let blocker = try Blocker(path: place.path)
        log.append(EventDraft("ev_2"))
        log.append(EventDraft("ev_3"))
        while log.statistics.writeFailures < 2 { await Task.yield() }
        #expect(log.statistics.waiting == 2)
        blocker.release()
        await log.flush()
        #expect(try await log.ids() == ["ev_1", "ev_2", "ev_3"])
        #expect(try await log.events().map(\.sequence) == [1, 2, 3])
        await log.close()
    }

    @Test func eventsThatFindNoPlaceLeaveHoles() async throws {
        let place = try LogPlace()
        let tuning = EventLog.Tuning(writeRetry: .milliseconds(1), waiting: 3, busyTimeout: .zero)
        let log = try place.open(tuning: tuning)
        let blocker = try Blocker(path: place.path)
        for number in 1...20 {
            log.append(EventDraft("\(number)"))
            log.append(EventDraft("\(number)-other", room: "other"))
        }
        blocker.release()
        await log.flush()
        log.append(EventDraft("21"))
        log.append(EventDraft("21-other", room: "other"))
        await log.flush()
        let events = try await log.events()
        // Three wait, and three may be on their way to the disk.
        #expect(log.statistics.lost >= 34)
        #expect(events.count == 42 - Int(log.statistics.lost))
        // Each has the number that it would have with all the others.
        for event in events { #expect(event.id.hasPrefix("\(event.sequence)")) }
        #expect(events.suffix(2).map(\.sequence) == [21, 21])
        await log.close()
    }

    /// With and without SQLite's other files, whose pages would stand in for those of the first.
    @Test(arguments: [true, false])
    func aDamagedFileIsPutAside(isAlone: Bool) async throws {
        let place = try LogPlace()
        let first = try place.open()
        first.append(EventDraft("ev_1"))
        await first.flush()
        let cursor = try await first.end()
        await first.close()
        let garbage = Data((0..<20_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        try garbage.write(to: URL(fileURLWithPath: place.path))
        for suffix in ["-wal", "-shm"] where FileManager.default.fileExists(atPath: place.path + suffix) {
            try FileManager.default.removeItem(atPath: place.path + suffix)
        }
        if !isAlone { try garbage.write(to: URL(fileURLWithPath: place.path + "-wal")) }
        let log = try place.open()
        #expect(log.statistics.filesPutAside == 1)
        #expect(try Data(contentsOf: URL(fileURLWithPath: place.path + ".damaged")) == garbage)
        log.append(EventDraft("ev_2"))
        await log.flush()
        let page = try await log.read(after: cursor, limit: 10)
        #expect(page.hasGap && page.events.map(\.id) == ["ev_2"])
        await log.close()
    }

    @Test func aPlaceThatCannotBeUsedIsSaid() throws {
        let place = try LogPlace()
        #expect(throws: EventLogError.self) {
            _ = try EventLog(path: place.directory + "/no/such/events.db", logger: .silent)
        }
        #expect(throws: EventLogError.self) { _ = try EventLog(path: place.directory, logger: .silent) }
    }

    // MARK: Stretches, changes, the end

    @Test func unfinishedStretchesAreRemembered() async throws {
        let place = try LogPlace()
        let log = try place.open()
        log.append(EventDraft("a1", room: "a", mark: .begins))
        log.append(EventDraft("b1", room: "b", mark: .begins))
        log.append(EventDraft("a2", room: "a", mark: .ends))
        log.append(EventDraft("b2", room: "b"))
        log.append(EventDraft("a3", room: "a", mark: .begins))
        log.append(EventDraft("c1", room: "c"))
        log.append(EventDraft("a4", room: "a"))
        await log.flush()
        #expect(try await log.unfinished().map(\.id) == ["a3", "a4", "b1", "b2"])
        await log.close()
    }

    @Test func changesAreHeardUntilTheEnd() async throws {
        let place = try LogPlace()
        let log = try place.open()
        let changes = log.changes()
        log.append(EventDraft("ev_1"))
        var iterator = changes.makeAsyncIterator()
        #expect(await iterator.next() != nil)
        await log.close()
        while await iterator.next() != nil {}
        #expect(throws: Never.self) { log.append(EventDraft("late")) }
        #expect(log.statistics.lost == 1)
        await #expect(throws: EventLogError.self) { _ = try await log.read(after: nil, limit: 1) }
        for await _ in log.changes() { Issue.record("a closed log changes") }
    }

    @Test func flushingFromManyTasksEnds() async throws {
        let place = try LogPlace()
        let log = try place.open()
        await withDiscardingTaskGroup { group in
            for number in 0..<50 {
                group.addTask {
                    log.append(EventDraft("ev_\(number)"))
                    await log.flush()
                    let ids = try? await log.ids()
                    #expect(ids?.contains("ev_\(number)") == true)
                }
            }
        }
        await log.close()
        await log.flush()
    }

    @Test(arguments: ["", "-", "a", "a-", "-1", "a--1", "A-1", "a-1-2", "a-99999999999999999999", "a b-1"])
    func cursorsThatAreNone(text: String) { #expect(EventCursor(text) == nil) }

    @Test func cursorsAsText() { #expect(EventCursor("8f2k1c-1042").map { "\($0)" } == "8f2k1c-1042") }
}
