import RTP
import Testing

@testable import SFU

@Suite struct AttachmentsTests {
    @Test func theNewestRevisionIsKept() {
        var attachments = Attachments()
        attachments.put("1", key: "member", revision: 5)
        attachments.put("2", key: "member", revision: 4)
        #expect(attachments.texts == ["member": "1"])
        attachments.put("3", key: "member", revision: 5)
        attachments.put("4", key: "room", revision: 1)
        #expect(attachments.texts == ["member": "3", "room": "4"])
        #expect(attachments.revisions == ["member": 5, "room": 1])
    }

    @Test func noBytesRemoveAndWhatIsRemovedStaysSo() {
        var attachments = Attachments()
        attachments.put("1", key: "member", revision: 1)
        attachments.put("", key: "member", revision: 3)
        #expect(attachments.texts.isEmpty)
        #expect(attachments.revisions == ["member": 3])
        attachments.put("2", key: "member", revision: 2)
        #expect(attachments.texts.isEmpty, "what was sent before the removal came late")
        attachments.put("4", key: "member", revision: 4)
        #expect(attachments.texts == ["member": "4"])
    }

    @Test func sizesAndNumbersAreBounded() {
        var attachments = Attachments()
        let limit = Limits.Media.attachmentBytes
        attachments.put(String(repeating: "é", count: limit / 2), key: "large", revision: 1)
        attachments.put(String(repeating: "é", count: limit / 2) + "e", key: "large", revision: 2)
        #expect(attachments.revisions == ["large": 1])
        attachments.put(
            "1",
            key: String(repeating: "k", count: Limits.Media.attachmentKeyBytes + 1),
            revision: 1
        )
        #expect(attachments.revisions.count == 1)
        for number in 0..<2 * Limits.Media.attachmentsPerSession {
            attachments.put("1", key: "k\(number)", revision: UInt64(number))
        }
        #expect(attachments.texts.count == Limits.Media.attachmentsPerSession)
        attachments.put("9", key: "k0", revision: 100)
        #expect(attachments.texts["k0"] == "9", "what is there may change")
    }

    @Test func whatWasRemovedFirstMakesRoom() {
        var attachments = Attachments()
        for number in 0..<Limits.Media.attachmentsPerSession {
            attachments.put("1", key: "k\(number)", revision: 10)
        }
        attachments.put("", key: "k7", revision: 12)
        attachments.put("", key: "k3", revision: 11)
        attachments.put("1", key: "new", revision: 1)
        #expect(attachments.revisions["k3"] == nil && attachments.revisions["k7"] == 12)
        #expect(attachments.texts["new"] == "1")
        #expect(attachments.revisions.count == Limits.Media.attachmentsPerSession)
    }
}
