// The acceptance scenarios C1–C16 of bandwidth with the whole server between publisher and viewer: each runs once per seed
// and gives figures, each figure has a bar that must hold and a goal.
import Acceptance
import RTP
import Simulation

@testable import SFU

struct AcceptanceScenario: CustomStringConvertible, Sendable {
    var name: String
    var figures: @Sendable () -> [Figure]
    /// One value per figure.
    var run: @Sendable (_ seed: UInt64) throws -> ([Double], BandwidthScene)
    var description: String { name }
}

extension AcceptanceScenario {
    static let all: [AcceptanceScenario] = [
        coldJoin, joinSlow, joinSlowUneven, drop(feedback: 100), drop(feedback: 50), steady, sharing,
        withTransfer, loss(2),
        loss(5),
        loss(10), jitter,
        fourTracks, lostFeedback, silentFeedback, alternating, burst, publisherStops, probing,
    ]

    static let coldJoin = AcceptanceScenario(
        name: "C1 cold join on 5 Mbit/s",
        figures: {
            [
                Figure("top layer shown after, s", .atMost, must: 4, goal: 2),
                Figure("packets dropped, %", .atMost, must: 2, goal: 0.5),
            ]
        },
        run: { seed in
            let scene = try BandwidthScene(seed: seed)
            try scene.join(BandwidthScene.link(5_000_000))
            scene.run(seconds: 6)
            return ([scene.shown(after: 0) { $0.layer == 2 }, scene.dropped(from: 0, to: 6)], scene)
        }
    )

    /// - Parameter camera: 360 lines of it and audio take more than 90 % of the link.
    private static func joinSlow(_ name: String, _ camera: MediaSource.Format) -> AcceptanceScenario {
        AcceptanceScenario(
            name: name,
            figures: {
                [
                    Figure("packets dropped in 10 s, %", .atMost, must: 4, goal: 2),
                    Figure("longest gap, s", .atMost, must: 1, goal: 0.5),
                    Figure("queue p95 after 3 s, ms", .atMost, must: 150, goal: 100),
                    Figure("360 lines shown, % of the time after 10 s", .atLeast, must: 80, goal: 95),
                ]
            },
            run: { seed in
                let scene = try BandwidthScene(seed: seed, cameras: [camera])
                try scene.join(BandwidthScene.link(600_000, queue: 22_500))
                scene.run(seconds: 30)
                return (
                    [
                        scene.dropped(from: 0, to: 10), scene.longestGap(from: 1, to: 11),
                        scene.wait95(from: 3, to: 30), scene.share(from: 10, to: 30) { $0.layer == 1 },
                    ], scene
                )
            }
        )
    }

    static let joinSlow = joinSlow("join on 600 kbit/s, queue of 22.5 kB", BandwidthScene.camera)

    /// Large key frames, and no picture is like the one before.
    static let joinSlowUneven = joinSlow(
        "join on 600 kbit/s, uneven pictures",
        BandwidthScene.camera([115_000, 397_000, 1_500_000], keyFrameShare: 8, variation: 40)
    )

    static func drop(feedback: Int64) -> AcceptanceScenario {
        AcceptanceScenario(
            name: "C2–C4 5 Mbit/s → 600 kbit/s (30 s) → 5 Mbit/s, feedback every \(feedback) ms",
            figures: {
                [
                    Figure("sent ≤ 110 % of the link after, s", .atMost, must: 1.5, goal: 0.7),
                    Figure("peak after the drop ÷ rate before", .atMost, must: 1.3, goal: 1.2),
                    Figure("smaller layer shown after, s", .atMost, must: 1.5, goal: 1.2),
                    Figure("longest gap, s", .atMost, must: 1.5, goal: 0.6),
                    Figure("packets dropped 0–3 s, %", .atMost, must: 50, goal: 35),
                    Figure("packets dropped 3–30 s, %", .atMost, must: 2, goal: 0.5),
                    Figure("audio dropped or later than 200 ms 0–3 s, %", .atMost, must: 20, goal: 8),
                    Figure("audio dropped or later than 200 ms 3–30 s, %", .atMost, must: 1, goal: 0.2),
                    Figure("queue p95 3–30 s, ms", .atMost, must: 100, goal: 100),
                    Figure("used 10–30 s, %", .atLeast, must: 60, goal: 80),
                    Figure("pictures per second 10–30 s", .atLeast, must: 14, goal: 28),
                    Figure("top layer shown again after, s", .atMost, must: 10, goal: 3),
                ]
            },
            run: { seed in
                let scene = try BandwidthScene(seed: seed)
                try scene.join(
                    BandwidthScene.link(5_000_000, queue: 22_500),
                    feedback: .milliseconds(feedback)
                )
                scene.run(seconds: 60) { second in
                    if second == 15 { scene.viewers[0].down.conditions.rate = 600_000 }
                    if second == 45 { scene.viewers[0].down.conditions.rate = 5_000_000 }
                }
                let before = scene.rate(from: 13, to: 15) { $0.sent }
                let peak = scene.slices(from: 15, to: 45).map { Double($0.sent) * 80 }.max() ?? 0
                let decoder = scene.decoder()
                return (
                    [
                        scene.settled(from: 15, below: 660_000), peak / before,
                        scene.shown(after: 15) { $0.layer < 2 }, scene.longestGap(from: 15, to: 45),
                        scene.dropped(from: 15, to: 18), scene.dropped(from: 18, to: 45),
                        scene.audioGone(from: 15, to: 18), scene.audioGone(from: 18, to: 45),
                        scene.wait95(from: 18, to: 45),
                        scene.rate(from: 25, to: 45) { $0.delivered } / 6000,
                        decoder.rate(from: scene.instant(25), to: scene.instant(45)),
                        scene.shown(after: 45) { $0.layer == 2 },
                    ], scene
                )
            }
        )
    }

    static let steady = AcceptanceScenario(
        name: "C5 steady 2 Mbit/s",
        figures: {
            [
                Figure("spatial switches after 10 s", .atMost, must: 2, goal: 0),
                Figure("estimate, least % of the link after 10 s", .atLeast, must: 70),
                Figure("estimate, most % of the link", .atMost, must: 105),
                Figure("used, % of the best layers that fit", .atLeast, must: 70, goal: 85),
                Figure("packets dropped, %", .atMost, must: 1, goal: 0.5),
            ]
        },
        run: { seed in
            let scene = try BandwidthScene(seed: seed)
            try scene.join(BandwidthScene.link(2_000_000))
            scene.run(seconds: 60)
            let estimates = scene.slices(from: 10, to: 60).map { Double($0.estimate) / 20_000 }
            let spatial = scene.slices(from: 10, to: 60).map(\.spatial)
            let switches = zip(spatial, spatial.dropFirst()).filter { $0 != $1 }.count
            // 720p with two of three temporal layers, and audio.
            let best = 1_400_000.0
            return (
                [
                    Double(switches), percentile(estimates, 5), percentile(estimates, 95),
                    scene.rate(from: 10, to: 60) { $0.delivered } * 100 / best,
                    scene.dropped(from: 0, to: 60),
                ], scene
            )
        }
    )

    static let sharing = AcceptanceScenario(
        name: "C6 two viewers behind one queue of 2 Mbit/s",
        figures: {
            [
                Figure("Jain's index", .atLeast, must: 0.85, goal: 0.95),
                Figure("used together, %", .atLeast, must: 55, goal: 85),
                Figure("packets dropped, %", .atMost, must: 2, goal: 0.5),
                Figure("longest gap of either, s", .atMost, must: 2, goal: 0.6),
            ]
        },
        run: { seed in
            let scene = try BandwidthScene(seed: seed)
            let bottleneck = Bottleneck()
            try scene.join(BandwidthScene.link(2_000_000), bottleneck: bottleneck)
            scene.run(seconds: 3)
            try scene.join(BandwidthScene.link(2_000_000), bottleneck: bottleneck)
            scene.run(seconds: 60)
            // The second's slices begin three seconds later.
            let a = scene.rate(0, from: 13, to: 63) { $0.delivered }
            let b = scene.rate(1, from: 10, to: 60) { $0.delivered }
            return (
                [
                    (a + b) * (a + b) / (2 * (a * a + b * b)), (a + b) / 20_000,
                    max(scene.dropped(0, from: 3, to: 63), scene.dropped(1, from: 0, to: 60)),
                    max(scene.longestGap(0, from: 4, to: 63), scene.longestGap(1, from: 4, to: 63)),
                ], scene
            )
        }
    )

    static let withTransfer = AcceptanceScenario(
        name: "C7 one viewer and a bulk transfer (CUBIC) behind 2 Mbit/s",
        figures: {
            [
                Figure("share of the link, least %", .atLeast, must: 20, goal: 35),
                Figure("share of the link, most %", .atMost, must: 75, goal: 65),
                Figure("least within any second, kbit/s", .atLeast, must: 200),
            ]
        },
        run: { seed in
            let scene = try BandwidthScene(seed: seed)
            let bottleneck = Bottleneck()
            let link = BandwidthScene.link(2_000_000)
            try scene.join(link, bottleneck: bottleneck)
            scene.run(seconds: 10)
            scene.beginTransfer(through: bottleneck, link, seed: seed)
            scene.run(seconds: 60)
            let share = scene.rate(from: 20, to: 70) { $0.delivered } / 20_000
            let least = (20..<70).map { scene.rate(from: Double($0), to: Double($0 + 1)) { $0.delivered } }
                .min()
            return ([share, share, (least ?? 0) / 1000], scene)
        }
    )

    static func loss(_ percent: Int) -> AcceptanceScenario {
        AcceptanceScenario(
            name: percent < 10
                ? "C8 random loss \(percent) % on 5 Mbit/s" : "C9 random loss \(percent) % on 5 Mbit/s",
            figures: {
                percent < 10
                    ? [
                        Figure(
                            "top layer shown, % of the time after 5 s",
                            .atLeast,
                            must: percent == 2 ? 95 : 90,
                            goal: 95
                        ),
                        Figure("missing after repair, %", .atMost, must: 0.1),
                    ]
                    : [
                        Figure("sent after 8 s, Mbit/s", .atLeast, must: 1),
                        Figure("top layer shown, % of the time after 8 s", .atLeast, must: 0, goal: 90),
                    ]
            },
            run: { seed in
                let scene = try BandwidthScene(seed: seed)
                var link = BandwidthScene.link(5_000_000)
                link.loss = .random(Double(percent) / 100)
                try scene.join(link)
                scene.run(seconds: 30)
                let top = scene.share(from: percent < 10 ? 5 : 8, to: 30) { $0.layer == 2 }
                let viewer = scene.viewers[0]
                let sent = viewer.numbersSent[viewer.slots[0].ssrc]?.numbers ?? []
                let came = Set(viewer.packets(on: 0).map(\.sequence))
                let void = viewer.receivers[viewer.slots[0].ssrc]?.void ?? []
                // What left before the viewer had its keys it cannot miss, and the last second may still be on its way.
                let due = sent.subtracting(void).filter {
                    $0 >= (came.min() ?? 0) && $0 < (sent.max() ?? 0) - 400
                }
                let missing = due.filter { !came.contains($0) }.count
                let share = Double(missing) * 100 / Double(max(1, due.count))
                if percent < 10 { return ([top, share], scene) }
                return ([scene.rate(from: 8, to: 30) { $0.sent } / 1_000_000, top], scene)
            }
        )
    }

    static let jitter = AcceptanceScenario(
        name: "C10 jitter of 20 ms on 5 Mbit/s",
        figures: { [Figure("top layer shown, % of the time after 5 s", .atLeast, must: 90, goal: 98)] },
        run: { seed in
            let scene = try BandwidthScene(seed: seed)
            var link = BandwidthScene.link(5_000_000)
            link.jitter = .milliseconds(40)
            link.reorders = false
            try scene.join(link)
            scene.run(seconds: 30)
            return ([scene.share(from: 5, to: 30) { $0.layer == 2 }], scene)
        }
    )

    static let lostFeedback = AcceptanceScenario(
        name: "C12 30 % of the feedback is lost",
        figures: {
            [
                Figure("least estimate, % of that before", .atLeast, must: 50),
                Figure("top layer shown, % of the time after 5 s", .atLeast, must: 90, goal: 98),
            ]
        },
        run: { seed in
            let scene = try BandwidthScene(seed: seed)
            try scene.join(BandwidthScene.link(5_000_000))
            var dice = SimulatedICEClient.Generator(seed: seed)
            scene.run(seconds: 30) { second in
                guard second == 5 else { return }
                scene.viewers[0].onFeedback = { UInt8.random(in: 0..<100, using: &dice) < 30 ? [] : [$0] }
            }
            let before = Double(scene.slices(from: 4, to: 5).map(\.estimate).min() ?? 1)
            let least = Double(scene.slices(from: 5, to: 30).map(\.estimate).min() ?? 0)
            return ([least * 100 / before, scene.share(from: 5, to: 30) { $0.layer == 2 }], scene)
        }
    )

    static let silentFeedback = AcceptanceScenario(
        name: "C12 no feedback for 2 s",
        figures: {
            [
                Figure("cut after, s", .atMost, must: 0.6),
                Figure("top layer shown again after, s", .atMost, must: 6, goal: 3),
            ]
        },
        run: { seed in
            let scene = try BandwidthScene(seed: seed)
            try scene.join(BandwidthScene.link(5_000_000))
            scene.run(seconds: 20) { second in
                if second == 8 { scene.viewers[0].onFeedback = { _ in [] } }
                if second == 10 { scene.viewers[0].onFeedback = nil }
            }
            let before = scene.slices(from: 7.9, to: 8).first?.estimate ?? 0
            let cut = scene.slices(from: 8, to: 10).firstIndex { $0.estimate < before * 95 / 100 }
            return (
                [
                    cut.map { Double($0 + 1) / 10 - 8 } ?? .infinity,
                    scene.shown(after: 10) { $0.layer == 2 },
                ], scene
            )
        }
    )

    static let alternating = AcceptanceScenario(
        name: "C13 3 s of 4 Mbit/s, 3 s of 1 Mbit/s, for 60 s",
        figures: {
            [
                Figure("packets dropped, %", .atMost, must: 3),
                Figure("raises to the top size", .atMost, must: 10),
                Figure("of them after 30 s", .atMost, must: 5, goal: 3),
            ]
        },
        run: { seed in
            let scene = try BandwidthScene(seed: seed)
            try scene.join(BandwidthScene.link(4_000_000, queue: 150_000))
            scene.run(seconds: 60) { second in
                let isNarrow = Int(second / 3) % 2 == 1
                scene.viewers[0].down.conditions.rate = isNarrow ? 1_000_000 : 4_000_000
                scene.viewers[0].down.conditions.queue = isNarrow ? 37_500 : 150_000
            }
            func raises(_ from: Double, _ to: Double) -> Double {
                let layers = scene.slices(from: from, to: to).map(\.spatial)
                return Double(zip(layers, layers.dropFirst()).filter { $0 < 2 && $1 == 2 }.count)
            }
            return ([scene.dropped(from: 0, to: 60), raises(3, 60), raises(30, 60)], scene)
        }
    )

    static let publisherStops = AcceptanceScenario(
        name: "C15 the publisher stops its top layer for 5 s",
        figures: {
            [
                Figure("smaller layer shown after, s", .atMost, must: 1),
                Figure("top layer shown again after, s", .atMost, must: 1),
            ]
        },
        run: { seed in
            let scene = try BandwidthScene(seed: seed)
            try scene.join(BandwidthScene.link(5_000_000))
            scene.run(seconds: 20) { second in
                if second == 8 { scene.stopped = [2] }
                if second == 13 { scene.stopped = [] }
            }
            return (
                [scene.shown(after: 8) { $0.layer == 1 }, scene.shown(after: 13) { $0.layer == 2 }], scene
            )
        }
    )

    static let probing = AcceptanceScenario(
        name: "C16 what probes cost on 1.2 Mbit/s, 60 s",
        figures: {
            [
                Figure("probes, % of the link", .atMost, must: 5),
                Figure("packets dropped, %", .atMost, must: 0.5),
                Figure("used, %", .atLeast, must: 40),
            ]
        },
        run: { seed in
            let scene = try BandwidthScene(seed: seed)
            try scene.join(BandwidthScene.link(1_200_000))
            scene.run(seconds: 63)
            return (
                [
                    scene.rate(from: 3, to: 63) { $0.rtx + $0.padding } / 12_000,
                    scene.dropped(from: 3, to: 63), scene.rate(from: 3, to: 63) { $0.delivered } / 12_000,
                ], scene
            )
        }
    )

    // MARK: Several tracks

    private static let screen: MediaSource.Format = BandwidthScene.camera([115_000, 300_000, 600_000])
    private static let small: MediaSource.Format = BandwidthScene.camera([115_000, 405_000, 2_060_000])

    static let fourTracks = AcceptanceScenario(
        name: "C11 screen, speaker and two tiles on 1.2 Mbit/s",
        figures: {
            [
                Figure("the screen's best layer, % of the time after 8 s", .atLeast, must: 80, goal: 90),
                Figure("cameras shown, of three", .atLeast, must: 3),
                Figure("packets dropped after 3 s, %", .atMost, must: 1, goal: 0.5),
            ]
        },
        run: { seed in
            let scene = try BandwidthScene(seed: seed, cameras: [screen, small, small, small], screens: 1)
            try scene.join(BandwidthScene.link(1_200_000), cameras: 4)
            scene.run(seconds: 25)
            let viewer = scene.viewers[0]
            let screenSource = scene.publisher.publishers[0].source.id
            var best = 0.0
            var shown = 0.0
            for slot in 0..<4 {
                let pictures = viewer.packets(on: slot).filter { $0.at > scene.instant(8) }.compactMap(
                    \.stamp
                )
                if pictures.first?.source == screenSource {
                    let top = pictures.filter { $0.layer == 2 }.count
                    best = Double(top) * 100 / Double(max(1, pictures.count))
                } else if pictures.count > 100 {
                    shown += 1
                }
            }
            return ([best, shown, scene.dropped(from: 3, to: 25)], scene)
        }
    )

    static let burst = AcceptanceScenario(
        name: "C14 an idle screen, then 2 Mbit/s at once",
        figures: {
            [
                Figure("packets dropped in the 3 s after, %", .atMost, must: 2),
                Figure("shown at its best after, s", .atMost, must: 3, goal: 1),
            ]
        },
        run: { seed in
            let scene = try BandwidthScene(
                seed: seed,
                cameras: [
                    .vp8([.init(width: 1280, height: 720, bitsPerSecond: 1_800_000)], framesPerSecond: 30)
                ],
                screens: 1
            )
            try scene.join(BandwidthScene.link(5_000_000))
            scene.run(seconds: 5)
            scene.camera.source.skips = 0.97
            scene.run(seconds: 30)
            scene.camera.source.skips = 0
            scene.run(seconds: 5)
            let shown = scene.shown(after: 35.2) { _ in true }
            return ([scene.dropped(from: 35, to: 38), shown], scene)
        }
    )
}
