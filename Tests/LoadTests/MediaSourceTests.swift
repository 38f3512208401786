// What the server's own parsers see in the frames that publishers send.
import RTP
import Testing

@testable import Load

@Suite struct MediaSourceTests {
    private struct Packet {
        var header: RTPHeader
        var bytes: [UInt8]
        var payload: ArraySlice<UInt8> { bytes[header.headerLength...] }
    }

    private func frame(_ source: any MediaSource, sentAt: Int64 = 1) throws -> [Packet] {
        var packets: [Packet] = []
        let room = UnsafeMutablePointer<UInt8>.allocate(capacity: OutgoingStream.packetBytes)
        defer { room.deallocate() }
        source.produce(sentAt: sentAt, into: room) { written in
            guard let header = RTPHeader(parsing: room, length: written.length) else { return }
            #expect(header.headerLength == written.header)
            #expect(header.sequenceNumber == UInt16(truncatingIfNeeded: written.index))
            packets.append(
                Packet(header: header, bytes: Array(UnsafeBufferPointer(start: room, count: written.length)))
            )
        }
        return packets
    }

    private func stamp(_ packet: Packet) -> Stamp? {
        Array(packet.payload).withUnsafeBufferPointer { payload in
            payload.baseAddress.flatMap { Stamp.read($0, length: payload.count) }
        }
    }

    // MARK: Audio

    private func audio(talk: Int = 100, dtx: Bool = false, constant: Bool = false, source: UInt16 = 3)
        -> AudioSource
    {
        AudioSource(
            AudioFormat(bitsPerSecond: 32_000, isConstant: constant, talkPercent: talk, hasDTX: dtx),
            source: source
        )
    }

    @Test func aVoiceHasItsBitRate() throws {
        let source = audio()
        var bytes = 0
        for number in 0..<2000 {
            let packet = try #require(try frame(source).first)
            #expect((60...100).contains(packet.payload.count))
            #expect(stamp(packet) == Stamp(sentAt: 1, source: 3, number: UInt32(number)))
            #expect(packet.header.marker == (number == 0))
            bytes += packet.payload.count
        }
        #expect((78...82).contains(bytes / 2000))
        let constant = audio(constant: true)
        for _ in 0..<50 { #expect(try frame(constant).map(\.payload.count) == [80]) }
    }

    @Test(arguments: [10, 50, 80])
    func talksAsMuchAsItIsTold(percent: Int) throws {
        let source = audio(talk: percent)
        var loud = 0
        let frames = 50_000
        for _ in 0..<frames {
            let packet = try #require(try frame(source).first)
            // One-byte extensions (RFC 8285 §4.2): the level is the first.
            if packet.bytes[17] & 0x7f < 127 { loud += 1 }
        }
        #expect(abs(loud * 100 / frames - percent) <= 10)
    }

    @Test func silenceWithDTXIsSparseAndKeepsItsTime() throws {
        let source = audio(talk: 20, dtx: true)
        var silent = 0
        var sent = 0
        for number in 0..<10_000 {
            let packets = try frame(source)
            guard let packet = packets.first else { continue }
            sent += 1
            #expect(packet.header.timestamp == source.stream.timestamp(at: Int64(number) * 20_000_000))
            if packet.payload.count == AudioSource.silenceBytes { silent += 1 }
        }
        #expect(sent < 4500 && silent > 200 && sent - silent > 500)
    }

    // MARK: Video

    private func video(_ codec: VideoCodec, layers: [Int] = [150_000, 450_000, 1_700_000], layer: Int)
        -> VideoSource
    {
        VideoSource(
            VideoFormat(codec: codec, layers: layers, framesPerSecond: 30, keyFrameSeconds: 0),
            layer: layer,
            source: 9
        )
    }

    private func descriptor(_ packet: Packet) throws -> VP8Descriptor {
        let parsed = Array(packet.payload).withUnsafeBufferPointer { payload in
            payload.baseAddress.flatMap { VP8Descriptor.parse($0, length: payload.count) }
        }
        return try #require(parsed)
    }

    private func unit(_ packet: Packet) throws -> H264Payload {
        let parsed = Array(packet.payload).withUnsafeBufferPointer { payload in
            payload.baseAddress.flatMap { H264Payload.parse($0, length: payload.count) }
        }
        return try #require(parsed)
    }

    @Test(arguments: [(0, 320, 180), (1, 640, 360), (2, 1280, 720)])
    func vp8SaysWhatItIs(layer: Int, width: UInt16, height: UInt16) throws {
        let source = video(.vp8, layer: layer)
        var temporal: [UInt8] = []
        var pictures: [Int32] = []
        for number in 0..<9 {
            if number == 6 { source.requestKeyFrame() }
            let packets = try frame(source)
            let descriptors = try packets.map(descriptor)
            #expect(descriptors[0].startsFrame && !descriptors.dropFirst().contains(where: \.startsFrame))
            #expect(descriptors[0].isKeyFrameStart == (number == 0 || number == 6))
            if number == 0 { #expect((descriptors[0].width, descriptors[0].height) == (width, height)) }
            #expect(packets.map(\.header.marker) == packets.indices.map { $0 == packets.count - 1 })
            #expect(Set(descriptors.map(\.pictureID)).count == 1)
            #expect(packets.allSatisfy { stamp($0)?.layer == UInt8(layer) && stamp($0)?.source == 9 })
            temporal.append(descriptors[0].temporalLayer)
            pictures.append(descriptors[0].pictureID)
        }
        #expect(temporal == [0, 2, 1, 2, 0, 2, 0, 2, 1])
        #expect(zip(pictures, pictures.dropFirst()).allSatisfy { ($0 + 1) & 0x7fff == $1 })
        #expect(source.keyFrames == 2)
    }

    @Test(arguments: [(0, 320, 180), (1, 640, 360), (2, 1280, 720)])
    func h264SaysWhatItIs(layer: Int, width: UInt16, height: UInt16) throws {
        let source = video(.h264, layer: layer)
        for number in 0..<4 {
            if number == 2 { source.requestKeyFrame() }
            let isKey = number == 0 || number == 2
            let packets = try frame(source)
            let units = try packets.map(unit)
            #expect(units[0].startsFrame && units[0].hasSPS == isKey && units[0].hasPPS == isKey)
            #expect(units.contains(where: \.hasIDR) == isKey)
            if isKey { #expect((units[0].width, units[0].height) == (width, height)) }
            #expect(packets.last?.header.marker == true)
            #expect(packets.dropFirst(isKey ? 1 : 0).allSatisfy { stamp($0) != nil })
        }
    }

    @Test(arguments: VideoCodec.allCases)
    func layersHaveTheirBitRate(codec: VideoCodec) throws {
        for (layer, rate) in [150_000, 450_000, 1_700_000].enumerated() {
            let source = video(codec, layer: layer)
            _ = try frame(source)
            var bytes = 0
            for _ in 0..<600 {
                let sizes = try frame(source).map(\.payload.count)
                #expect(sizes.allSatisfy { $0 <= 1120 })
                bytes += sizes.reduce(0, +)
            }
            // Descriptors come on top.
            #expect(
                (rate * 95 / 100...rate * 115 / 100).contains(bytes * 8 / 20),
                "\(rate) \(bytes * 8 / 20)"
            )
        }
    }

    @Test func layersAreToldByRid() throws {
        let packet = try #require(try frame(video(.vp8, layer: 1)).first)
        let map = HeaderExtensionMap([
            HeaderExtensionID(.mid, id: LocalDescription.midID),
            HeaderExtensionID(.rid, id: LocalDescription.ridID),
        ])
        packet.bytes.withUnsafeBufferPointer { bytes in
            guard let base = bytes.baseAddress else { return }
            let values = ExtensionValues.parse(base, header: packet.header, map: map)
            #expect(values.rid.length == 1 && values.rid.start(in: base)[0] == UInt8(ascii: "m"))
            #expect(values.mid.length == 1 && values.mid.start(in: base)[0] == UInt8(ascii: "1"))
        }
    }

    @Test func keyFramesComeByThemselvesWhereThatIsAsked() throws {
        let format = VideoFormat(codec: .vp8, layers: [500_000], framesPerSecond: 10, keyFrameSeconds: 2)
        let source = VideoSource(format, layer: 0, source: 0)
        for _ in 0..<61 { _ = try frame(source) }
        #expect(source.keyFrames == 4)
    }
}
