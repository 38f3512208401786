import HTTPTypes
import NIOCore
import RTP
import Testing

@testable import Signaling

@Suite struct IdempotencyStoreTests {
    private static func key(_ name: String) -> IdempotencyStore.Key {
        IdempotencyStore.Key(caller: "k", operation: "send", key: name)
    }
    private static func answer(_ bytes: Int = 2) -> StoredAnswer {
        StoredAnswer(
            status: 200,
            headers: [.eTag: "\"1\""],
            body: ByteBuffer(repeating: 0x20, count: bytes)
        )
    }
    private let start = Instant(microseconds: 0)

    @Test func aRequestIsDoneOnce() {
        let store = IdempotencyStore()
        #expect(store.begin(Self.key("a"), fingerprint: [1], at: start) == .execute)
        #expect(store.begin(Self.key("a"), fingerprint: [1], at: start) == .inProgress)
        #expect(store.begin(Self.key("a"), fingerprint: [2], at: start) == .mismatch)
        store.finish(Self.key("a"), Self.answer(), at: start)
        #expect(store.begin(Self.key("a"), fingerprint: [1], at: start) == .replay(Self.answer()))
        #expect(store.begin(Self.key("a"), fingerprint: [2], at: start) == .mismatch)
        #expect(store.begin(Self.key("b"), fingerprint: [1], at: start) == .execute)
    }

    @Test func whatMayGoBetterIsForgotten() {
        let store = IdempotencyStore()
        #expect(store.begin(Self.key("a"), fingerprint: [1], at: start) == .execute)
        store.finish(Self.key("a"), nil, at: start)
        #expect(store.begin(Self.key("a"), fingerprint: [2], at: start) == .execute)
        #expect(store.count == 1)
    }

    @Test func theStoreIsBounded() {
        let store = IdempotencyStore(capacity: 3, bytes: 100)
        for name in ["a", "b", "c", "d"] {
            #expect(store.begin(Self.key(name), fingerprint: [1], at: start) == .execute)
            store.finish(Self.key(name), Self.answer(30), at: start)
        }
        #expect(store.count == 3)
        #expect(store.begin(Self.key("a"), fingerprint: [1], at: start) == .execute)
        store.finish(Self.key("a"), Self.answer(90), at: start)
        #expect(store.bytes <= 100)
        #expect(store.count == 1)
        let later = start + Limits.REST.answerAge + .seconds(1)
        #expect(store.begin(Self.key("a"), fingerprint: [2], at: later) == .execute)
        #expect(store.bytes == 0)
    }

    @Test func asManyAsFitAreDoneAtATime() {
        let store = IdempotencyStore(capacity: 2)
        for name in ["a", "b"] {
            #expect(store.begin(Self.key(name), fingerprint: [1], at: start) == .execute)
        }
        #expect(store.begin(Self.key("c"), fingerprint: [1], at: start) == .full)
        store.finish(Self.key("a"), nil, at: start)
        #expect(store.begin(Self.key("c"), fingerprint: [1], at: start) == .execute)
    }
}
