import RTP
import Testing

@Suite struct ReportTests {
    private let report = SenderReport(
        ssrc: 0xCAFE_BABE,
        ntpTime: NTPTime(rawValue: 0x1122_3344_5566_7788),
        rtpTimestamp: 0x99AA_BBCC,
        packetCount: 5,
        octetCount: 600
    )
    private let block = ReportBlock(
        ssrc: 0x0102_0304,
        fractionLost: 51,
        cumulativeLost: -2,
        extendedHighestSequence: 0x0001_0005,
        jitter: 77,
        lastSenderReport: 0x3344_5566,
        delaySinceLastSenderReport: 0x0000_8000
    )

    private let senderReportBytes = hex(
        "81c8000c cafebabe 1122334455667788 99aabbcc 00000005 00000258"
            + "01020304 33fffffe 00010005 0000004d 33445566 00008000"
    )

    @Test func senderReportIsByteForByte() {
        let bytes = rtcp { writer in
            writer.append(report)
            writer.append(block)
        }
        #expect(bytes == senderReportBytes)
    }

    @Test func senderReportIsReadBack() {
        _ = withBlock(senderReportBytes) { parsed -> Bool? in
            #expect(SenderReport(parsed) == report)
            #expect(parsed.senderSSRC == 0xCAFE_BABE)
            var blocks = ReportBlocks(parsed)
            let first = blocks?.next()
            let second = blocks?.next()
            #expect(first == block && second == nil)
            return true
        }
    }

    @Test func receiverReportRoundTrip() {
        let bytes = rtcp { writer in
            writer.appendReceiverReport(ssrc: 7)
            writer.append(block)
            writer.append(ReportBlock(ssrc: 8, cumulativeLost: 0x7F_FFFF))
        }
        #expect(bytes.prefix(8) == hex("82c9000d 00000007")[...])
        let losses = withBlock(bytes) { parsed -> [Int32]? in
            guard var blocks = ReportBlocks(parsed) else { return nil }
            #expect(blocks.count == 2)
            var found: [Int32] = []
            while let next = blocks.next() { found.append(next.cumulativeLost) }
            return found
        }
        #expect(losses == [-2, 0x7F_FFFF])
    }

    @Test func lossSaturatesAt24Bits() {
        for (loss, expected) in [(Int32.max, Int32(0x7F_FFFF)), (.min, -0x80_0000)] {
            let bytes = rtcp { writer in
                writer.appendReceiverReport(ssrc: 7)
                writer.append(ReportBlock(ssrc: 1, cumulativeLost: loss))
            }
            let read = withBlock(bytes) { parsed -> Int32? in
                var blocks = ReportBlocks(parsed)
                return blocks?.next()?.cumulativeLost
            }
            #expect(read == expected)
        }
    }

    @Test func countsThatLieAreRefused() {
        var bytes = senderReportBytes
        bytes[0] = 0x82
        _ = withBlock(bytes) { parsed -> Bool? in
            #expect(SenderReport(parsed) == nil)
            #expect(ReportBlocks(parsed) == nil)
            return true
        }
        _ = withBlock(hex("81c90001 00000007")) { parsed -> Bool? in
            #expect(ReportBlocks(parsed) == nil)
            return true
        }
    }

    @Test func canonicalNames() {
        for text in ["", "a", "ab", "abc", "user@host", String(repeating: "x", count: 255)] {
            let bytes = rtcp { writer in
                withBytes(Array(text.utf8)) { p, count in
                    _ = writer.appendCNAME(ssrc: 0x42, p, count: count)
                }
            }
            #expect(bytes.count % 4 == 0)
            let name = withBlock(bytes) { parsed -> String? in
                guard var it = SourceDescription(parsed), let chunk = it.next() else { return nil }
                #expect(chunk.ssrc == 0x42)
                #expect(it.next() == nil && !it.isMalformed)
                return String(
                    decoding: UnsafeBufferPointer(start: chunk.text, count: chunk.length),
                    as: UTF8.self
                )
            }
            #expect(name == text)
        }
    }

    @Test func chunksAndOtherItemsAreWalked() {
        // Two chunks: NAME then CNAME; CNAME alone, which fills its word without a closing zero.
        let bytes = hex(
            "82ca0007 00000001 0201 41 0102 4243 00 00000002 0102 4445 00000000 00000000 00000000"
        )
        let names = withBlock(bytes) { parsed -> [UInt32]? in
            guard var it = SourceDescription(parsed) else { return nil }
            var found: [UInt32] = []
            while let chunk = it.next() {
                #expect(chunk.length == 2)
                found.append(chunk.ssrc)
            }
            #expect(!it.isMalformed)
            return found
        }
        #expect(names == [1, 2])
        _ = withBlock(hex("81ca0002 00000001 01054142")) { parsed -> Bool? in
            guard var it = SourceDescription(parsed) else { return nil }
            #expect(it.next() == nil && it.isMalformed)
            return true
        }
    }

    @Test func goodbyes() {
        let bytes = rtcp { $0.appendBye(ssrc: 9) }
        #expect(bytes == hex("81cb0001 00000009"))
        let sources = withBlock(hex("82cb0003 00000001 00000002 03627965")) { parsed -> [UInt32]? in
            guard var it = Goodbye(parsed) else { return nil }
            var found: [UInt32] = []
            while let ssrc = it.next() { found.append(ssrc) }
            return found
        }
        #expect(sources == [1, 2], "the reason is no source")
        #expect(withBlock(hex("82cb0001 00000001")) { Goodbye($0) != nil ? true : nil } == nil)
    }

    @Test func extendedReports() {
        let reference = rtcp {
            $0.appendReceiverReferenceTime(sender: 1, NTPTime(rawValue: 0x0102_0304_0506_0708))
        }
        #expect(reference == hex("80cf0004 00000001 04000002 0102030405060708"))
        let delay = ExtendedReport.DelaySinceLastRR(ssrc: 5, lastReceiverReport: 6, delay: 7)
        let answer = rtcp { $0.append(delay, sender: 2) }
        #expect(answer == hex("80cf0005 00000002 05000003 00000005 00000006 00000007"))
        // A loss block (1) that is skipped, then both.
        let mixed = hex("80cf000a 00000001 01000001 ffffffff") + reference.dropFirst(8) + answer.dropFirst(8)
        let items = withBlock(mixed) { parsed -> [ExtendedReport.Item]? in
            guard var it = ExtendedReport(parsed) else { return nil }
            var found: [ExtendedReport.Item] = []
            while let item = it.next() { found.append(item) }
            #expect(!it.isMalformed)
            return found
        }
        #expect(
            items == [
                .receiverReferenceTime(NTPTime(rawValue: 0x0102_0304_0506_0708)), .delaySinceLastRR(delay),
            ]
        )
    }

    @Test func extendedReportBlocksThatRunOverTheEnd() {
        for text in [
            "80cf0002 00000001 04000002", "80cf0003 00000001 04000001 00000000",
            "80cf0004 00000001 05000002 00000005 00000006",
        ] {
            _ = withBlock(hex(text)) { parsed -> Bool? in
                guard var it = ExtendedReport(parsed) else { return nil }
                #expect(it.next() == nil && it.isMalformed, "\(text)")
                return true
            }
        }
    }
}
