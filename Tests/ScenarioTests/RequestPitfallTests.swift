// Storms of key-frame requests and of retransmissions, and how not to make them.
import RTP
import Seam
import Simulation
import Testing

@Suite struct RequestPitfallTests {
    /// Who wants more than there is does not ask for it for ever.
    @Test(arguments: ["VP8 L1T3", "H264", "VP9 L3T3_KEY", "AV1 L3T3"])
    func nobodyAsksForALayerThatIsNotThere_livekit3490(format: String) throws {
        let scene = try LayerScene(format)
        scene.view(1080)
        scene.run(1000)
        scene.camera.source.activeSpatialLayers = 1
        scene.camera.source.activeLayers = scene.isSVC ? [0] : [0]
        scene.run(2000)
        let before = scene.camera.keyFrameRequests
        scene.run(6000)
        #expect(scene.camera.keyFrameRequests - before == 0, "\(format)")
        #expect(scene.layerShown() == 0, "\(format)")
    }

    /// A shared screen has a picture a second, or fewer, and is not dead for that.
    @Test(arguments: ["VP8 L1T1", "VP9 L1T3", "AV1 L1T3"])
    func aSlowScreenIsNotADeadLayer_janus3422(format: String) throws {
        let scene = try LayerScene(format, isScreen: true)
        scene.run(2000)
        scene.camera.source.framesPerSecond = 1
        scene.run(1500)
        let before = scene.camera.keyFrameRequests
        let switches = scene.check().switches
        scene.run(10_000)
        #expect(scene.camera.keyFrameRequests == before, "\(format)")
        #expect(scene.check().switches == switches, "\(format)")
        let pictures = scene.decoder().shown.filter { $0.at > scene.call.now - .seconds(8) }
        #expect(pictures.count >= 7, "\(format)")
    }

    /// Whoever asks, and for whatever reason: one request of an encoding in half a second.
    @Test func everyPathAsksThroughOneLimiter_jvb2442() throws {
        let scene = try LayerScene("VP8 L1T1", viewers: 6)
        scene.run(2000)
        let before = scene.camera.keyFrameRequests
        let startedAt = scene.call.now
        for round in 0..<40 {
            for (number, viewer) in scene.viewers.enumerated() {
                viewer.requestKeyFrame(slot: viewer.slots[0].ssrc, at: scene.call.now)
                if round % 5 == number % 5 { scene.view([180, 360, 720][(round + number) % 3], by: number) }
            }
            scene.run(50)
        }
        let halfSeconds = Int((scene.call.now - startedAt).milliseconds / 500) + 1
        #expect(scene.camera.keyFrameRequests - before <= 3 * halfSeconds)
        scene.finish()
        for number in scene.viewers.indices { scene.check(number) }
    }

    @Test func aHundredWhoJoinAtOnceAreOneRequestPerHalfSecond() throws {
        for format in ["VP8 L1T3", "VP9 L3T3_KEY", "AV1 L3T3"] {
            let scene = try LayerScene(format)
            scene.run(1500)
            let before = scene.camera.keyFrameRequests
            let startedAt = scene.call.now
            var joined: [SimulatedPeer] = []
            for number in 0..<100 {
                joined.append(try scene.call.join("guest\(number)") { $0.addSlot(.video) })
                scene.run(10)
            }
            let haveAll = scene.call.run(atMost: .seconds(3)) { joined.allSatisfy { !$0.received.isEmpty } }
            #expect(haveAll, "\(format)")
            let halfSeconds = Int((scene.call.now - startedAt).milliseconds / 500) + 1
            let encodings = scene.camera.source.layerCount
            #expect(scene.camera.keyFrameRequests - before <= encodings * halfSeconds, "\(format)")
            #expect(joined.allSatisfy { $0.received.first?.stamp?.startsKeyFrame == true }, "\(format)")
        }
    }

    // MARK: Retransmissions

    /// The same number again and again is not an answer each time.
    @Test func asksThatCrossTheRepairAreNotAnsweredTwice_livekit440() throws {
        let scene = try LayerScene("VP8 L1T1")
        scene.run(1000)
        scene.viewer.asksTwice = true
        let before = scene.call.counter("packets_resent")
        scene.run(3000)
        let asked = scene.call.counter("nacks_received")
        #expect(asked > 5)
        // Each number was there already: a few copies at most, and never more than asks.
        #expect(scene.call.counter("packets_resent") - before <= asked)
        scene.finish()
        scene.check()
    }

    /// Numbers of the layer before, asked for after a switch, bring what was sent under them.
    @Test(arguments: UInt64(1)...3)
    func whatIsResentAfterASwitchIsWhatWasSentBefore_mediasoup1039(seed: UInt64) throws {
        for format in ["VP8 L1T3", "H264", "AV1 L1T3"] {
            let scene = try LayerScene(format, seed: seed)
            scene.degrade(down: .lossy(0.1, jitter: .milliseconds(30), reorders: true))
            scene.viewer.asksTwice = true
            for turn in 0..<10 {
                scene.view([180, 720, 360][turn % 3])
                scene.run(400)
            }
            scene.degrade()
            scene.finish(2500)
            let checker = scene.check()
            #expect(checker.unrepaired == 0, "\(format), seed \(seed)")
        }
    }

    /// A sender that starts over leaves nothing behind that could be taken for its new packets.
    @Test(arguments: UInt64(1)...3)
    func aRestartedSenderIsNotResentFromItsFormerLife_mediasoup1041(seed: UInt64) throws {
        let scene = try LayerScene("VP8 L1T3", seed: seed)
        scene.degrade(up: .lossy(0.05), down: .lossy(0.1))
        for _ in 0..<4 {
            scene.run(900)
            scene.camera.changeStreams()
        }
        scene.run(900)
        scene.degrade()
        scene.finish(2500)
        scene.check()
    }

    @Test func everyRetransmissionCarriesTheMid_str0m938() throws {
        let scene = try LayerScene("VP8 L1T3")
        scene.degrade(down: .lossy(0.1))
        scene.run(3000)
        let repaired = scene.packets().filter(\.isRecovered)
        #expect(repaired.count > 5)
        #expect(scene.packets().allSatisfy { $0.mid == "s0" })
    }

    /// The first packets of the encodings are lost, so that retransmissions come before anything else.
    @Test(arguments: UInt64(1)...3)
    func aRetransmissionMayComeFirst_livekit2601(seed: UInt64) throws {
        let scene = try LayerScene("VP8 L1T1", seed: seed)
        scene.publisher.fate = { $0.stamp.frame % 2 == 0 ? .lose : .pass }
        scene.camera.changeStreams()
        scene.run(300)
        scene.publisher.fate = nil
        scene.run(1500)
        #expect(scene.layerShown() == 2, "seed \(seed)")
        scene.finish()
        scene.check()
    }
}

@Suite struct H264PitfallTests {
    /// Slices of an IDR picture without its parameter sets are nothing to start with.
    @Test(arguments: ["H264", "H264 non-reference"])
    func anIDRWithoutParameterSetsIsNoSwitchPoint_livekit1016(format: String) throws {
        let scene = try LayerScene(format)
        scene.view(180)
        scene.run(1000)
        let askedAt = scene.call.now
        // The packet with the parameter sets of the first key frame comes never, not even by retransmission.
        scene.publisher.fate = { packet in
            packet.stamp.layer == 2 && packet.stamp.isKey && packet.stamp.part == 0
                ? .delay(.milliseconds(900)) : .pass
        }
        scene.view(720)
        scene.run(250)
        scene.publisher.fate = nil
        scene.run(2000)
        let first = scene.packets().first { $0.at > askedAt && $0.stamp?.layer == 2 }
        #expect(first?.stamp?.startsKeyFrame == true, "\(format)")
        #expect(scene.layerShown() == 2, "\(format)")
        scene.finish()
        scene.check()
    }

    /// A parameter set may be a few bytes long, and may come in any packaging: alone, behind others in an aggregate, or
    /// cut in fragments.
    @Test(
        arguments: [
            [0x67, 0x42], [0x27, 0x42, 0, 0x0a], [0x78, 0, 2, 9, 0x10, 0, 2, 0x67, 0x42],
            [0x78, 0, 1, 6, 0, 2, 0x68, 0xce, 0, 2, 0x67, 0x42, 0, 2, 0x65, 0x88], [0x7c, 0x87, 0x42, 0],
        ] as [[UInt8]]
    )
    func aParameterSetOfAnySizeAndShapeStartsAKeyFrame_janus1965_janus1991(payload: [UInt8]) throws {
        let frame = payload.withUnsafeBufferPointer { bytes in
            bytes.baseAddress.flatMap { FrameInfo.parse(codec: .h264, $0, length: bytes.count) }
        }
        #expect(frame?.isKeyFrameStart == true)
        for other in [[0x65, 0x88], [0x68, 0xce], [0x7c, 0x07, 0x42], [0x7c, 0x85, 0x88]] as [[UInt8]] {
            let its = other.withUnsafeBufferPointer { bytes in
                bytes.baseAddress.flatMap { FrameInfo.parse(codec: .h264, $0, length: bytes.count) }
            }
            #expect(its?.isKeyFrameStart == false, "\(other)")
        }
    }

    @Test(arguments: ["H264", "H264 non-reference"])
    func theSizeOfALayerIsReadFromItsParameterSets_mediasoup283(format: String) throws {
        let scene = try LayerScene(format)
        for (height, layer) in [(180, 0), (360, 1), (720, 2)] {
            scene.view(height)
            scene.run(1000)
            #expect(scene.layerShown() == layer, "\(format)")
            let slot = scene.call.slots(of: scene.viewer)["s0"]
            #expect(slot?.height == [180, 360, 720][layer], "\(format)")
        }
    }

    @Test func framesThatNobodyNeedsAreATemporalLayer() throws {
        let scene = try LayerScene("H264 non-reference")
        scene.run(1000)
        scene.view(720, maxFrameRate: 15)
        scene.run(1000)
        let since = scene.call.now
        scene.run(1000)
        #expect(scene.stamps(since: since).allSatisfy { $0.temporal == 0 })
        #expect(abs(scene.decoder().rate(from: since, to: scene.call.now) - 15) < 2)
        scene.finish()
        scene.check()
    }
}
