import RTP
import Testing

@testable import SFU

@Suite struct HeaderTemplateTests {
    private static let all: [HeaderExtensionID] = [
        HeaderExtensionID(.audioLevel, id: 1), HeaderExtensionID(.absoluteSendTime, id: 2),
        HeaderExtensionID(.transportSequence, id: 3), HeaderExtensionID(.mid, id: 4),
        HeaderExtensionID(.videoOrientation, id: 5), HeaderExtensionID(.absoluteCaptureTime, id: 6),
        HeaderExtensionID(.playoutDelay, id: 7), HeaderExtensionID(.videoContentType, id: 8),
    ]

    private func section(_ extensions: [HeaderExtensionID], mid: String = "12") -> MediaSection {
        MediaSection(mid: mid, kind: .audio, codecs: [], extensions: extensions)
    }

    /// Every combination of what a packet may carry and what the peer negotiated reads back as it was written.
    @Test(arguments: [[], Array(all.prefix(1)), Array(all[2...3]), all])
    func readsBack(extensions: [HeaderExtensionID]) {
        var template = HeaderTemplate(section: section(extensions), ssrc: 0xdead_beef)
        let map = HeaderExtensionMap(extensions)
        for raw in UInt16(0)..<512 {
            var record = PacketRecord()
            record.flags = PacketRecord.Flags(rawValue: raw)
            record.audioLevel = 0x9e
            record.orientation = 3
            record.captureTime = 0x0102_0304_0506_0708
            record.captureOffset = -5
            record.playoutDelay = 0x00_100a
            record.contentType = 1
            var packet = [UInt8](repeating: 0xee, count: 128)
            packet.withUnsafeMutableBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return }
                let length = template.write(
                    to: base,
                    payloadType: 96,
                    marker: record.flags.contains(.marker),
                    sequence: 7,
                    timestamp: 8,
                    transportSequence: 0x1234,
                    absoluteSendTime: 0xabcdef,
                    record: &record
                )
                #expect(length == template.length(with: record.flags))
                #expect(length % 4 == 0)
                guard let header = RTPHeader(parsing: base, length: length) else {
                    Issue.record("unreadable header, flags \(raw)")
                    return
                }
                #expect(header.headerLength == length && header.ssrc == 0xdead_beef)
                #expect(header.marker == record.flags.contains(.marker))
                let values = ExtensionValues.parse(base, header: header, map: map)
                #expect(!values.isMalformed)
                let has = { (kind: HeaderExtension) in map.id(of: kind) != 0 }
                #expect(values.has(.mid) == has(.mid))
                #expect(values.has(.transportSequence) == has(.transportSequence))
                if has(.transportSequence) { #expect(values.transportSequence == 0x1234) }
                if has(.absoluteSendTime) { #expect(values.absoluteSendTime == 0xabcdef) }
                let level = has(.audioLevel) && record.flags.contains(.audioLevel)
                #expect(values.has(.audioLevel) == level)
                if level { #expect(values.audioLevelByte == 0x9e) }
                let capture = has(.absoluteCaptureTime) && record.flags.contains(.captureTime)
                #expect(values.has(.absoluteCaptureTime) == capture)
                if capture {
                    #expect(values.absoluteCaptureTime == 0x0102_0304_0506_0708)
                    #expect(values.hasCaptureClockOffset == record.flags.contains(.captureOffset))
                }
                #expect(
                    values.has(.videoOrientation)
                        == (has(.videoOrientation) && record.flags.contains(.orientation))
                )
                #expect(
                    values.has(.playoutDelay) == (has(.playoutDelay) && record.flags.contains(.playoutDelay))
                )
            }
        }
    }

    @Test func idsThatNeedTheTwoByteFormAreLeftOut() {
        var template = HeaderTemplate(section: section([HeaderExtensionID(.mid, id: 15)]), ssrc: 1)
        #expect(template.length(with: []) == RTPHeader.fixedLength)
    }
}
