import RTP
import Seam
import Testing

@testable import Signaling

@Suite struct MediaInboxTests {
    private let levels = Event.speakers(SpeakerReport(room: RoomID("r"), dominant: nil, active: []))
    private func closed(_ n: Int) -> Event { .sessionClosed(SessionID("\(n)"), .timeout) }

    @Test func wakesOncePerBatch() {
        let inbox = MediaInbox()
        #expect(inbox.put([closed(1)]))
        #expect(!inbox.put([closed(2)]))
        #expect(inbox.takeAll() == [closed(1), closed(2)])
        #expect(!inbox.put([]))
        #expect(inbox.put([closed(3)]))
    }

    @Test func whatIsRepeatedMakesRoomForWhatIsNot() {
        let inbox = MediaInbox()
        for _ in 0..<Limits.Signaling.mediaEvents { _ = inbox.put([levels]) }
        #expect(inbox.dropped == UInt64(Limits.Signaling.mediaEvents / 4))
        _ = inbox.put([closed(1)])
        #expect(inbox.takeAll().last == closed(1))
        for n in 0...Limits.Signaling.mediaEvents { _ = inbox.put([closed(n)]) }
        #expect(inbox.dropped == UInt64(Limits.Signaling.mediaEvents / 4) + 1)
    }
}
