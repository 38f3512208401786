// What forwarding costs beside the kernel and the crypto: a whole call on virtual time, output discarded; and apart from it,
// sending. `bench/gates` runs it, alone and under callgrind, and compares the figures with what they may be. Knows no thresholds.
import AllocationCounter
import Glibc
import MediaIO
import PeerTransport
import RTP
import SFU
import Seam
import Simulation

/// One publisher and its viewers, everybody connected, and packets that wait to be forwarded.
struct Stretch {
    enum Media: String, CaseIterable {
        case audio, video
        /// Ten people in a room, all with audio and video.
        case room
    }

    let call: Call
    private let batchSize: Int
    private var packets: [(path: NetworkPath, datagrams: [[UInt8]])]

    init(_ media: Media, viewers: Int, frames: Int) throws {
        call = try Call(seed: 1)
        batchSize = media == .audio ? 1 : 4
        let formats = Stretch.formats(media)
        var people: [SimulatedPeer] = []
        for number in 0...viewers {
            let isSource = number == 0 || media == .room
            people.append(
                try call.join("person\(number)") { peer in
                    if isSource { formats.forEach { _ = peer.publish($0) } }
                    let slots = media == .room ? viewers : 1
                    if isSource && media != .room { return }
                    for _ in 0..<slots {
                        peer.addSlot(.audio)
                        peer.addSlot(.video)
                    }
                    peer.keepsPackets = false
                }
            )
        }
        let receivers = media == .room ? people : Array(people.dropFirst())
        guard call.run(atMost: .seconds(20), until: { receivers.allSatisfy { $0.mediaCount > 20 } }) else {
            throw CostError.silence
        }
        people.forEach { $0.stopSending() }
        call.run(for: .milliseconds(20))
        packets = []
        for peer in people {
            for publisher in peer.publishers {
                packets.append((peer.path, peer.record(publisher, frames: frames)))
            }
        }
        call.discardsOutput = true
    }

    private static func formats(_ media: Media) -> [MediaSource.Format] {
        // 1 Mbit/s at 30 frames a second: four packets of a frame.
        let camera = MediaSource.VP8Layer(width: 640, height: 360, bitsPerSecond: 1_000_000)
        let video = MediaSource.Format.vp8([camera], framesPerSecond: 30)
        return switch media {
        case .audio: [.opus(bytes: 80)]
        case .video: [video]
        case .room: [.opus(bytes: 80), video]
        }
    }

    var packetCount: Int { packets.reduce(0) { $0 + $1.datagrams.count } }

    /// One batch after the other, of one packet of audio or of a picture's, and each timed; before every second of them `chill`.
    /// - Returns: nanoseconds per forwarded packet, from the least on.
    func times(chill: () -> Void) -> (warm: [Double], cold: [Double]) {
        var times: [[Double]] = [[], []]
        for (path, datagrams) in packets {
            for (i, first) in stride(from: 0, to: datagrams.count, by: batchSize).enumerated() {
                let batch = Array(datagrams[first..<min(first + batchSize, datagrams.count)])
                if i % 2 == 1 { chill() }
                let forwarded = call.counter("packets_forwarded")
                let started = ContinuousClock.now
                call.inject(batch, from: path)
                let taken = (ContinuousClock.now - started) / .nanoseconds(1)
                let count = call.counter("packets_forwarded") - forwarded
                if count > 0 { times[i % 2].append(taken / Double(count)) }
            }
        }
        return (times[0].sorted(), times[1].sorted())
    }

    /// What is measured. Apart, and never inlined: callgrind counts from its entry to its end.
    @inline(never)
    func forwardEverything() {
        for (path, datagrams) in packets { call.inject(datagrams, from: path) }
    }
}

/// Messages on their way into the kernel, which throws them away on loopback.
struct Departing {
    static let packetBytes = 116
    let lone: LoneSender
    let outbox: Outbox
    let messages: Int
    /// Packets of one message.
    let segments: Int

    init(messages: Int, segments: Int) throws {
        let lone = try LoneSender()
        self.lone = lone
        self.messages = messages
        self.segments = segments
        outbox = Outbox { lone.sender.send($0) }
    }

    /// What is measured, as in `Stretch`.
    @inline(never)
    func sendEverything(times: Int) {
        let length = segments * Departing.packetBytes
        for _ in 0..<times {
            for _ in 0..<messages {
                outbox.reserve(length).update(repeating: 1, count: length)
                outbox.commit(
                    length: length,
                    segmentSize: Departing.packetBytes,
                    segments: segments,
                    on: lone.path
                )
            }
            outbox.flush()
        }
    }
}

enum CostError: Error {
    case silence, nobody
    /// The kernel did not take all that was sent.
    case refused
}

@main
struct ForwardingCost {
    static func main() throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        let numbers = arguments.dropFirst().compactMap { Int($0) }.filter { 1...10_000 ~= $0 }
        if arguments.first == "time", arguments.count == 4, numbers.count == 2,
            let media = Stretch.Media(rawValue: arguments[1])
        {
            time(try Stretch(media, viewers: numbers[0], frames: numbers[1]))
        } else if arguments.first == "state", arguments.count == 2, numbers.count == 1 {
            try state(numbers[0])
        } else if arguments.first == "send", arguments.count == 4, numbers.count == 3, numbers[0] <= 1000,
            numbers[1] <= Limits.Media.segmentsPerSend
        {
            try send(try Departing(messages: numbers[0], segments: numbers[1]), times: numbers[2])
        } else if let media = arguments.first.flatMap(Stretch.Media.init), arguments.count == 3,
            numbers.count == 2
        {
            try forward(try Stretch(media, viewers: numbers[0], frames: numbers[1]))
        } else {
            print(
                "usage: ForwardingCost audio|video|room VIEWERS FRAMES\n       ForwardingCost state VIEWERS\n       "
                    + "ForwardingCost time audio|video|room VIEWERS FRAMES\n       "
                    + "ForwardingCost send MESSAGES SEGMENTS TIMES"
            )
            exit(2)
        }
    }

    private static func forward(_ stretch: Stretch) throws {
        let forwarded = stretch.call.counter("packets_forwarded")
        let sends = stretch.call.counter("sends")
        let allocations = sfu_allocation_count()
        stretch.forwardEverything()
        let allocated = sfu_allocation_count() - allocations
        let count = stretch.call.counter("packets_forwarded") - forwarded
        guard count > 0 else { throw CostError.nobody }
        print(
            """
            {"received": \(stretch.packetCount), "forwarded": \(count), \
            "sends": \(stretch.call.counter("sends") - sends), "allocations": \(allocated)}
            """
        )
    }

    private static func send(_ departing: Departing, times: Int) throws {
        let allocations = sfu_allocation_count()
        departing.sendEverything(times: times)
        let allocated = sfu_allocation_count() - allocations
        guard departing.lone.sends == times * departing.messages else { throw CostError.refused }
        print("{\"messages\": \(departing.lone.sends), \"allocations\": \(allocated)}")
    }

    /// As it comes, and after all caches were filled with something else, as the kernel's sends and other programs do.
    private static func time(_ stretch: Stretch) {
        let other = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: 64 << 20)
        other.initialize(repeating: 1)
        let times = stretch.times { for i in stride(from: 0, to: other.count, by: 64) { other[i] &+= 1 } }
        for (name, some) in [("warm", times.warm), ("cold", times.cold)] where !some.isEmpty {
            let (median, low) = (Int(some[some.count / 2]), Int(some[some.count / 10]))
            print("\(name): \(median) ns per forwarded packet, a tenth below \(low)")
        }
    }

    /// What the shard gives back when it closes its audio subscribers, per session: OpenSSL's share included.
    private static func state(_ viewers: Int) throws {
        let call = try Call(seed: 1)
        let publisher = try call.join("publisher") { _ = $0.publish(.opus(bytes: 80)) }
        var people: [SimulatedPeer] = []
        for number in 0..<viewers {
            people.append(
                try call.join("viewer\(number)") { peer in
                    peer.addSlot(.audio)
                    peer.keepsPackets = false
                }
            )
        }
        guard call.run(atMost: .seconds(20), until: { people.allSatisfy { $0.mediaCount > 20 } }) else {
            throw CostError.silence
        }
        publisher.stopSending()
        call.discardsOutput = true
        let before = sfu_heap_bytes()
        // The peers live on: only what the server holds is given back.
        for peer in people { call.shard.apply(.close(peer.session), at: call.now) }
        call.shard.drainEvents { _ in }
        let after = sfu_heap_bytes()
        print("{\"sessions\": \(viewers), \"bytes\": \(Int64(before) - Int64(after))}")
        withExtendedLifetime(people) {}
    }
}
