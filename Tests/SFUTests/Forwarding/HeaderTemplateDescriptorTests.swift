import RTP
import Testing

@testable import SFU

/// Dependency descriptors in the header, as each subscriber gets them.
@Suite struct HeaderTemplateDescriptorTests {
    struct Sample: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var plan: DescriptorPlan
        var bytes: [UInt8]
        var length: Int
    }

    private static func sample(_ name: String, _ plan: DescriptorPlan, _ bytes: [UInt8]) -> Sample {
        Sample(testDescription: name, plan: plan, bytes: bytes, length: bytes.count)
    }

    private static let samples = [
        sample("template alone", .l1t3, DescriptorPlan.l1t3.bytes(4, number: 7)),
        sample("mask", .l1t3, DescriptorPlan.l1t3.bytes(1, number: 7, mask: 0b111)),
        sample(
            "everything of its own",
            .l1t3,
            DescriptorPlan.l1t3.bytes(
                1,
                number: 7,
                indications: "SSS",
                differences: [4, 300],
                chains: [40],
                mask: 0b011
            )
        ),
        sample("short structure", .l2t1, DescriptorPlan.l2t1.bytes(0, number: 7, withStructure: true)),
        sample("long structure", .l1t3, DescriptorPlan.l1t3.bytes(0, number: 7, withStructure: true)),
        sample(
            "long structure with a mask",
            .l1t3,
            DescriptorPlan.l1t3.bytes(0, number: 7, withStructure: true, mask: 0b001)
        ),
    ]

    private static let extensions: [HeaderExtensionID] = [
        HeaderExtensionID(.absoluteSendTime, id: 2), HeaderExtensionID(.transportSequence, id: 3),
        HeaderExtensionID(.mid, id: 4), HeaderExtensionID(.videoOrientation, id: 5),
        HeaderExtensionID(.absoluteCaptureTime, id: 6), HeaderExtensionID(.playoutDelay, id: 7),
        HeaderExtensionID(.dependencyDescriptor, id: 8), HeaderExtensionID(.videoContentType, id: 9),
        HeaderExtensionID(.colorSpace, id: 10),
    ]

    private static let colorSpace = (0..<28).map { UInt8(0x40 + $0) }

    /// What one packet's header says.
    private struct Written {
        var length: Int
        var foretold: Int
        var header: RTPHeader?
        var values = ExtensionValues()
        var isTwoByte = false
        /// nil: not there, or unreadable.
        var descriptor: DependencyDescriptor?
        var descriptorLength = 0
        var colorSpace: [UInt8] = []
    }

    private func write(
        _ sample: Sample,
        flags: PacketRecord.Flags = [],
        mask: UInt32 = 0,
        extensions: [HeaderExtensionID] = HeaderTemplateDescriptorTests.extensions,
        allowsTwoBytes: Bool = true
    ) throws -> Written {
        let section = MediaSection(
            mid: "12",
            kind: .video,
            codecs: [],
            extensions: extensions,
            allowsMixedExtensions: allowsTwoBytes
        )
        var template = HeaderTemplate(section: section, ssrc: 0xdead_beef)
        var structure = DependencyStructure()
        _ = read(sample.plan.bytes(0, number: 0, withStructure: true), &structure)
        let parsed = read(sample.bytes, &structure)
        let layout = DescriptorLayout(try #require(parsed), length: sample.length)
        var record = PacketRecord()
        record.flags = flags
        record.orientation = 2
        record.captureTime = 0x0102_0304_0506_0708
        record.captureOffset = -5
        record.playoutDelay = 0x00_100a
        record.contentType = 1
        record.descriptor = layout
        var packet = [UInt8](repeating: 0xee, count: 256)
        let colorSpace = HeaderTemplateDescriptorTests.colorSpace
        let length = sample.bytes.withUnsafeBufferPointer { bytes in
            colorSpace.withUnsafeBufferPointer { colorSpace in
                packet.withUnsafeMutableBufferPointer { buffer -> Int in
                    guard let base = buffer.baseAddress else { return 0 }
                    return template.write(
                        to: base,
                        payloadType: 45,
                        marker: false,
                        sequence: 7,
                        timestamp: 8,
                        transportSequence: 0x1234,
                        absoluteSendTime: 0xabcdef,
                        record: &record,
                        descriptor: OutgoingDescriptor(
                            length: mask == 0 ? sample.length : layout.lengthWithMask,
                            bytes: bytes.baseAddress,
                            frameNumber: 0xfffe,
                            mask: mask
                        ),
                        colorSpace: colorSpace.baseAddress
                    )
                }
            }
        }
        let foretold = template.length(
            with: flags,
            descriptor: mask == 0 ? sample.length : layout.lengthWithMask
        )
        return parse(packet, Written(length: length, foretold: foretold), extensions, structure)
    }

    private func read(_ bytes: [UInt8], _ structure: inout DependencyStructure) -> DependencyDescriptor? {
        bytes.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.flatMap {
                DependencyDescriptor.parse($0, length: buffer.count, structure: &structure, isNewest: true)
            }
        }
    }

    private func parse(
        _ packet: [UInt8],
        _ written: Written,
        _ extensions: [HeaderExtensionID],
        _ known: DependencyStructure
    ) -> Written {
        var it = written
        var structure = known
        packet.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress, let header = RTPHeader(parsing: base, length: it.length)
            else {
                return
            }
            it.header = header
            it.isTwoByte = packet[0] & 0x10 != 0 && packet[12] == 0x10
            it.values = ExtensionValues.parse(base, header: header, map: HeaderExtensionMap(extensions))
            it.descriptorLength = Int(it.values.dependencyDescriptor.length)
            it.colorSpace = Array(
                UnsafeBufferPointer(
                    start: it.values.colorSpace.start(in: base),
                    count: Int(it.values.colorSpace.length)
                )
            )
            guard it.descriptorLength > 0 else { return }
            it.descriptor = DependencyDescriptor.parse(
                it.values.dependencyDescriptor.start(in: base),
                length: it.descriptorLength,
                structure: &structure,
                isNewest: true
            )
        }
        return it
    }

    /// For every combination of what a packet may carry, the length is what was foretold and all reads back.
    @Test(arguments: samples, [true, false])
    func readsBackWithEveryCombination(_ sample: Sample, allowsTwoBytes: Bool) throws {
        var wrong: [String] = []
        let colorSpaces: [PacketRecord.Flags] = [[], .colorSpace, [.colorSpace, .highDynamicRange]]
        for raw in UInt16(0)..<512 {
            for (mask, color) in [UInt32(0), 0b01].flatMap({ mask in colorSpaces.map { (mask, $0) } }) {
                let flags = PacketRecord.Flags(rawValue: raw).union(color)
                let it = try write(sample, flags: flags, mask: mask, allowsTwoBytes: allowsTwoBytes)
                let place = "flags \(flags.rawValue), mask \(mask)"
                if it.length != it.foretold || it.length % 4 != 0 { wrong.append("length, \(place)") }
                guard let header = it.header, header.headerLength == it.length, !it.values.isMalformed else {
                    wrong.append("unreadable, \(place)")
                    continue
                }
                let values = it.values
                let isRight =
                    values.transportSequence == 0x1234 && values.absoluteSendTime == 0xabcdef
                    && values.has(.mid) && values.has(.videoOrientation) == flags.contains(.orientation)
                    && values.has(.absoluteCaptureTime) == flags.contains(.captureTime)
                    && values.has(.playoutDelay) == flags.contains(.playoutDelay)
                    && values.has(.videoContentType) == flags.contains(.contentType)
                if !isRight { wrong.append("values, \(place)") }
                if flags.contains(.captureTime) && values.absoluteCaptureTime != 0x0102_0304_0506_0708 {
                    wrong.append("capture time, \(place)")
                }
                let colors = it.colorSpace
                let expectedColor = allowsTwoBytes || flags.colorSpaceLength == 4 ? flags.colorSpaceLength : 0
                if colors != Array(HeaderTemplateDescriptorTests.colorSpace.prefix(expectedColor)) {
                    wrong.append("color space, \(place)")
                }
                let fits = allowsTwoBytes || it.descriptorLength > 0 && it.descriptorLength <= 16
                if fits && it.descriptor?.frameNumber != 0xfffe { wrong.append("frame number, \(place)") }
                if !fits && it.descriptor != nil { wrong.append("descriptor, \(place)") }
            }
        }
        #expect(wrong.isEmpty, "\(wrong.count): \(wrong.prefix(3))")
    }

    /// 16 bytes fit the one-byte form (RFC 8285 §4.2), one more turns the whole block to the other one.
    @Test func aLongDescriptorTurnsTheBlockToTwoBytes() throws {
        let short = HeaderTemplateDescriptorTests.samples[3]
        let long = HeaderTemplateDescriptorTests.samples[4]
        #expect(short.length == 16 && long.length == 17)
        let oneByte = try write(short)
        #expect(!oneByte.isTwoByte && oneByte.descriptorLength == 16)
        let twoByte = try write(long)
        #expect(twoByte.isTwoByte && twoByte.descriptorLength == 17)
        #expect(twoByte.descriptor?.hasStructure == true)
    }

    /// Where the subscriber did not agree to the two-byte form, long descriptors are left out, and nothing else is.
    @Test func withoutTheTwoByteFormLongDescriptorsAreLeftOut() throws {
        let long = try write(HeaderTemplateDescriptorTests.samples[4], allowsTwoBytes: false)
        #expect(!long.isTwoByte && long.descriptorLength == 0 && long.values.transportSequence == 0x1234)
        let short = try write(HeaderTemplateDescriptorTests.samples[3], allowsTwoBytes: false)
        #expect(short.descriptorLength == 16)
        let only = [HeaderExtensionID(.dependencyDescriptor, id: 8)]
        let alone = try write(
            HeaderTemplateDescriptorTests.samples[4],
            extensions: only,
            allowsTwoBytes: false
        )
        #expect(alone.length == RTPHeader.fixedLength && alone.foretold == RTPHeader.fixedLength)
        let kept = try write(HeaderTemplateDescriptorTests.samples[0], extensions: only)
        #expect(kept.descriptor?.temporalLayer == 2 && kept.length == kept.foretold)
    }

    @Test func nothingIsWrittenForWhomItIsNotNegotiated() throws {
        let extensions = HeaderTemplateDescriptorTests.extensions.filter { $0.kind != .dependencyDescriptor }
        for sample in HeaderTemplateDescriptorTests.samples {
            let it = try write(sample, flags: .orientation, mask: 1, extensions: extensions)
            #expect(it.length == it.foretold && !it.isTwoByte && it.values.has(.videoOrientation))
        }
        let template = HeaderTemplate(
            section: MediaSection(mid: "1", kind: .video, codecs: [], extensions: extensions),
            ssrc: 1
        )
        #expect(!template.hasDescriptor)
    }

    /// The mask is put in or replaced; all the rest stays what it was.
    @Test(arguments: samples) func theMaskIsReplacedAndNothingElse(_ sample: Sample) throws {
        let plain = try #require(try write(sample).descriptor)
        let masked = try #require(try write(sample, mask: 0b01).descriptor)
        #expect(masked.hasActiveDecodeTargets && masked.activeDecodeTargets == 0b01)
        #expect(masked.startsFrame == plain.startsFrame && masked.endsFrame == plain.endsFrame)
        #expect(masked.templateID == plain.templateID && masked.hasStructure == plain.hasStructure)
        #expect(masked.spatialLayer == plain.spatialLayer && masked.temporalLayer == plain.temporalLayer)
        #expect(masked.indications == plain.indications && masked.differenceCount == plain.differenceCount)
        #expect((0..<8).allSatisfy { masked.differences[$0] == plain.differences[$0] })
        #expect((0..<4).allSatisfy { masked.chainDifferences[$0] == plain.chainDifferences[$0] })
    }
}
