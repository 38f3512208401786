// That the real encoders' layers hang together as they say, and that the checks of this folder find what is wrong.
import CBitstreamCodecs
import RTP
import Simulation
import Testing

@Suite struct CodecTests {
    private static let layered: [ClipFormat] = SwitchTests.each

    private func settings(_ format: ClipFormat) -> encoder_settings {
        var settings = encoder_settings()
        settings.codec = format.codec
        settings.width = Int32(RealPublisher.width)
        settings.height = Int32(RealPublisher.height)
        settings.spatial_layers = format.structure == .simulcast ? 1 : 3
        settings.temporal_layers = Int32(format.temporalLayers)
        settings.is_key_mode = format.structure == .keySVC ? 1 : 0
        settings.kilobits = 500
        settings.profile = 66
        return settings
    }

    private func clip(_ format: ClipFormat, keys: Set<Int> = [0, 17]) throws -> [[LayerFrame]] {
        let encoder = try RealEncoder(settings(format))
        return try (0..<30).map { try encoder.encode($0, wantsKey: keys.contains($0)) }
    }

    /// What a viewer of these layers gets of a picture.
    private func part(_ picture: [LayerFrame], _ spatial: Int, _ format: ClipFormat) -> [LayerFrame] {
        let isAlone = format.structure == .keySVC && !picture[0].isKey
        return picture.filter { isAlone ? $0.spatial == spatial : $0.spatial <= spatial }
    }

    @Test(arguments: layered)
    func everyLayerDecodesWithoutThoseAbove(_ format: ClipFormat) throws {
        let clip = try clip(format)
        for spatial in 0..<clip[0].count {
            for temporal in 0..<format.temporalLayers {
                let decoder = try RealDecoder(codec: format.codec)
                for (number, picture) in clip.enumerated() where picture[0].temporal <= temporal {
                    let shown = try decoder.decode(part(picture, spatial, format).flatMap(\.bytes))
                    #expect(shown.hash == picture[spatial].hash)
                    #expect(shown.frame == Int32(number))
                }
            }
        }
    }

    /// Otherwise nothing would be proven where nothing is wrong.
    @Test(arguments: layered)
    func aMissingReferenceIsSeen(_ format: ClipFormat) throws {
        let clip = try clip(format, keys: [0])
        let decoder = try RealDecoder(codec: format.codec)
        let top = clip[0].count - 1
        var faults = 0
        for (number, picture) in clip.enumerated() where number != 8 {
            do {
                let shown = try decoder.decode(part(picture, top, format).flatMap(\.bytes))
                if shown.hash != picture[top].hash { faults += 1 }
            } catch {
                faults += 1
            }
        }
        #expect(faults > 0)
    }

    @Test(arguments: layered)
    func payloadsComeTogetherAgain(_ format: ClipFormat) throws {
        let packets = try packets(of: clip(format), format)
        let pictures = Depacketizer.pictures(packets, codec: format.name)
        #expect(pictures.count == 30)
        var references = ReferenceChecker()
        let decoder = try RealDecoder(codec: format.codec)
        for (number, picture) in pictures.enumerated() {
            #expect(picture.isKey == (number == 0 || number == 17))
            #expect(references.follow(picture, format.name) == [])
            #expect(try decoder.decode(try #require(picture.bytes)).frame == Int32(number))
        }
    }

    /// A number that is missing, a marker in the wrong place and a picture that is left out do not go unnoticed.
    @Test(arguments: layered)
    func wrongPacketsAreSeen(_ format: ClipFormat) throws {
        let packets = try packets(of: clip(format, keys: [0]), format)
        let middle = try #require(packets.firstIndex { $0.timestamp == 8 * 3000 })
        var holed = packets
        holed.remove(at: middle)
        #expect(
            Depacketizer.pictures(holed, codec: format.name).contains { $0.followsGap || $0.bytes == nil }
        )
        var unmarked = packets
        let marked = try #require(packets[middle...].firstIndex { $0.marker })
        unmarked[marked].marker = false
        #expect(Depacketizer.pictures(unmarked, codec: format.name)[8].bytes == nil)
        guard format.name != .h264 else { return }
        // Picture 8 is of the lowest temporal layer, and the others go on behind it as if nothing were missing.
        var references = ReferenceChecker()
        let without = Depacketizer.pictures(packets.filter { $0.timestamp != 8 * 3000 }, codec: format.name)
        #expect(without.contains { !references.follow($0, format.name).isEmpty })
    }

    /// A stream from which layers are filtered as they should be passes every check.
    @Test(arguments: layered.filter { $0.name == .vp9 || $0.name == .av1 })
    func layersThatAreLeftOutAreNotMissed(_ format: ClipFormat) throws {
        let clip = try clip(format)
        for spatial in 0..<clip[0].count {
            for temporal in 0..<format.temporalLayers {
                let packets = try packets(of: clip, format, spatial, temporal)
                var references = ReferenceChecker()
                let decoder = try RealDecoder(codec: format.codec)
                let expected = clip.filter { $0[0].temporal <= temporal }
                let pictures = Depacketizer.pictures(packets, codec: format.name)
                #expect(pictures.count == expected.count)
                for (picture, frames) in zip(pictures, expected) {
                    #expect(references.follow(picture, format.name) == [])
                    let shown = try decoder.decode(try #require(picture.bytes))
                    #expect(shown.hash == frames[spatial].hash)
                }
            }
        }
    }

    /// The packets of what a viewer of these layers gets.
    private func packets(
        of clip: [[LayerFrame]],
        _ format: ClipFormat,
        _ spatial: Int = 2,
        _ temporal: Int = 2
    ) throws -> [ReceivedPacket] {
        var packetizer: any Packetizer
        switch format.name {
        case .vp8: packetizer = VP8Packetizer(.full, encoding: 0)
        case .vp9:
            packetizer = try VP9Packetizer(
                settings(format),
                isFlexible: format.dialect == .other,
                encoding: 0
            )
        case .av1: packetizer = try AV1Packetizer(settings(format), encoding: 0)
        default: packetizer = H264Packetizer(aggregates: true)
        }
        var packets: [ReceivedPacket] = []
        for (number, picture) in clip.enumerated() {
            // The numbers of what is left out stay free.
            let all = packetizer.packetize(picture)
            guard picture[0].temporal <= temporal else { continue }
            let layers = Set(part(picture, spatial, format).map(\.spatial))
            let wanted = all.filter { layers.contains($0.spatial) }
            for (place, payload) in wanted.enumerated() {
                var packet = ReceivedPacket(
                    ssrc: 1,
                    sequence: Int64(packets.count),
                    timestamp: UInt32(number) * 3000,
                    marker: place == wanted.count - 1,
                    payloadType: 96,
                    payload: payload.payload,
                    at: .zero
                )
                packet.descriptor = payload.descriptor
                packets.append(packet)
            }
        }
        return packets
    }
}
