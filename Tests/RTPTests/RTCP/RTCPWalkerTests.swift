import RTP
import Testing

@Suite struct RTCPWalkerTests {
    /// SR with one block, SDES, PLI, an unknown type, and a padded BYE at the end.
    private var compound: [UInt8] {
        rtcp { writer in
            writer.append(
                SenderReport(
                    ssrc: 0x11,
                    ntpTime: NTPTime(rawValue: 0x0102_0304_0506_0708),
                    rtpTimestamp: 9,
                    packetCount: 10,
                    octetCount: 11
                )
            )
            writer.append(ReportBlock(ssrc: 0x22, cumulativeLost: -3))
            withBytes(Array("sfu".utf8)) { text, count in
                _ = writer.appendCNAME(ssrc: 0x11, text, count: count)
            }
            writer.appendPLI(sender: 1, media: 2)
        } + hex("80cc0001 deadbeef") + hex("a1cb0002 00000011 00000004")
    }

    private func types(_ bytes: [UInt8]) -> (found: [UInt8], isMalformed: Bool) {
        withBytes(bytes) { p, count in
            var walker = RTCPWalker(p, length: count)
            var found: [UInt8] = []
            while let block = walker.next() { found.append(block.type) }
            return (found, walker.isMalformed)
        }
    }

    @Test func yieldsEveryPacketInOrder() {
        let result = types(compound)
        #expect(result.found == [200, 202, 206, 204, 203])
        #expect(!result.isMalformed)
    }

    @Test func paddingIsTakenOffTheBody() throws {
        let ssrc = withBlock(hex("a1cb0002 00000011 00000004")) { block -> UInt32? in
            #expect(block.length == 4)
            guard var bye = Goodbye(block) else { return nil }
            return bye.next()
        }
        #expect(ssrc == 0x11)
        for last: UInt8 in [0, 9, 255] {
            var bytes = hex("a1cb0002 00000011 00000004")
            bytes[11] = last
            #expect(types(bytes).isMalformed, "\(last)")
        }
        #expect(types(hex("a0cb0000")).isMalformed, "P bit without a body")
    }

    @Test func everyCutIsNoticed() {
        let bytes = compound
        let borders = [52, 68, 80, 88, 100]
        for length in 0..<bytes.count {
            let result = types(Array(bytes.prefix(length)))
            #expect(result.isMalformed == !borders.contains(length), "\(length)")
            #expect(result.found.count == borders.filter { $0 <= length }.count, "\(length)")
        }
        #expect(bytes.count == 100)
    }

    @Test func wrongVersionEndsTheWalk() {
        var bytes = compound
        bytes[52] = 0x41
        let result = types(bytes)
        #expect(result.found == [200] && result.isMalformed)
    }

    @Test func writerRefusesAtTheEndOfItsRoom() {
        let bytes = rtcp(capacity: 40) { writer in
            let results = [
                writer.appendReceiverReport(ssrc: 1), writer.append(ReportBlock(ssrc: 2)),
                writer.append(ReportBlock(ssrc: 3)), writer.appendPLI(sender: 1, media: 2),
                writer.appendBye(ssrc: 1),
            ]
            #expect(results == [true, true, false, false, true])
            #expect(writer.room == 0)
        }
        #expect(bytes.count == 40)
        #expect(types(bytes).found == [201, 203])
    }

    @Test func reportBlocksBelongToReports() {
        let bytes = rtcp { writer in
            let orphan = writer.append(ReportBlock(ssrc: 1))
            writer.appendPLI(sender: 1, media: 2)
            let behindPLI = writer.append(ReportBlock(ssrc: 1))
            #expect(!orphan && !behindPLI)
            writer.appendReceiverReport(ssrc: 5)
            let results = (0..<32).map { writer.append(ReportBlock(ssrc: UInt32($0))) }
            #expect(results.filter { $0 }.count == 31 && results.last == false)
        }
        #expect(bytes.count == 12 + 8 + 31 * 24)
    }

    @Test func randomBytesNeverCrashAnyParser() {
        let corpus: [[UInt8]] = [
            compound, hex("8fcd0007fa17fa1709faff670027000d5fc2f103bf8e100000000000001c0400"),
            hex("81cd0004 00000001 00000002 00648001 00750000"),
            hex("8fce0005 00000001 00000000 52454d42 0112625a 11223344"),
            hex("80cf000b 00000001 04000002 0102030405060708 05000006 00000001 00000002 00000003 00000001")
                + hex("00000002 00000003"),
            hex("84ce0004 00000001 00000000 00000002 07000000"),
        ]
        fuzz(seed: 21, maxLength: 100, corpus: corpus) { p, count in
            var walker = RTCPWalker(p, length: count)
            while let block = walker.next() {
                #expect(block.body + block.length <= UnsafePointer(p) + count)
                readAll(block)
            }
        }
    }
}

/// Runs every parser over `block` to its end.
private func readAll(_ block: RTCPBlock) {
    _ = SenderReport(block)
    _ = PictureLossIndication(block)
    if var it = ReportBlocks(block) { while it.next() != nil {} }
    if var it = SourceDescription(block) {
        while let name = it.next() { #expect(name.text + name.length <= block.body + block.length) }
    }
    if var it = Goodbye(block) { while it.next() != nil {} }
    if var it = GenericNACK(block) { while it.next() != nil {} }
    if var it = FullIntraRequest(block) { while it.next() != nil {} }
    if var it = ReceiverEstimatedBitrate(block) { while it.next() != nil {} }
    if var it = ExtendedReport(block) { while it.next() != nil {} }
    if var it = TransportFeedbackParser(block) {
        var count = 0
        while it.next() != nil { count += 1 }
        #expect(count == Int(it.statusCount))
    }
}
