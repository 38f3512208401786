// What a subscriber is to be sent: a camera of three simulcast layers with three temporal layers each, or a stream that
// follows the target exactly.
import RTP

@testable import SFU

struct CameraSource {
    /// Bits per second on the wire, all temporal layers.
    static let rates = [150_000, 500_000, 2_500_000]
    static let sizes: [(UInt16, UInt16)] = [(320, 180), (640, 360), (1280, 720)]
    /// Up to a temporal layer, percent.
    static let shares = [40, 60, 100]
    static let picture = Interval.microseconds(33_333)
    private static let cycle = [0, 2, 1, 2]
    private static let weights = [1.6, 0.8, 0.8]
    private static let keyFrame = 4.0
    private static let packet = 1150

    static func layers() -> [TrackLayer] {
        var layers: [TrackLayer] = []
        for spatial in 0..<3 {
            for temporal in 0..<3 {
                let rate = rates[spatial] * shares[temporal] / 100
                layers.append(
                    TrackLayer(
                        encoding: Int8(spatial),
                        temporal: UInt8(temporal),
                        measured: rate,
                        planned: rate,
                        width: sizes[spatial].0,
                        height: sizes[spatial].1,
                        picturesPerSecond: [8, 15, 30][temporal]
                    )
                )
            }
        }
        return layers
    }

    private(set) var spatial = -1
    private(set) var temporal = 2
    /// What it is to change to.
    private(set) var wanted: (spatial: Int, temporal: Int) = (-1, 2)
    private var keyFrameAt = Instant.distantFuture
    private var nextPicture: Instant
    private var pictures = 0
    private var dice: Dice

    init(seed: UInt64) {
        dice = Dice(seed: seed ^ 0xCA3E)
        nextPicture = .zero + .microseconds(Int64(dice.unit() * 33_000))
    }

    /// `layer`: place in `layers()`, nil: nothing.
    mutating func aim(at layer: Int?, room: Int, at now: Instant) {
        guard let layer else {
            spatial = -1
            wanted = (-1, 2)
            return
        }
        let aim = (spatial: layer / 3, temporal: layer % 3)
        if aim.spatial == spatial {
            temporal = aim.temporal
            wanted = aim
            return
        }
        if wanted.spatial != aim.spatial { keyFrameAt = now + .milliseconds(70) }
        wanted = aim
        // Never more of a layer that is being left than fits.
        guard aim.spatial < spatial else { return }
        temporal = 0
        if CameraSource.rates[spatial] * CameraSource.shares[0] / 100 > room { spatial = -1 }
    }

    /// Sizes of the packets of the pictures that are due; the flag says that the picture may be left out.
    mutating func packets(at now: Instant) -> [(size: Int, temporal: Int)] {
        guard now >= nextPicture else { return [] }
        nextPicture = nextPicture + CameraSource.picture
        pictures += 1
        var isKey = false
        if wanted.spatial != spatial, wanted.spatial >= 0, now >= keyFrameAt {
            spatial = wanted.spatial
            temporal = wanted.temporal
            isKey = true
            pictures = 0
        }
        guard spatial >= 0 else { return [] }
        let layer = CameraSource.cycle[pictures % 4]
        guard layer <= temporal else { return [] }
        let average = Double(CameraSource.rates[spatial]) / 240
        let weight = isKey ? CameraSource.keyFrame : CameraSource.weights[layer]
        var left = Int(average * weight * (0.85 + 0.3 * dice.unit()))
        var packets: [(Int, Int)] = []
        while left > 0 {
            let size = min(left, CameraSource.packet)
            packets.append((max(size, 100), layer))
            left -= size
        }
        return packets
    }
}

/// Fills a rate with packets of one size.
struct FollowingSource {
    private var saved = 0.0
    private var last: Instant?

    mutating func packets(target: Int, at now: Instant) -> [(size: Int, temporal: Int)] {
        let elapsed = last.map { Double((now - $0).microseconds) } ?? 0
        last = now
        saved += elapsed * Double(target) / 8_000_000
        var packets: [(Int, Int)] = []
        while saved >= 1200 {
            saved -= 1200
            packets.append((1200, 0))
        }
        return packets
    }
}
