// The acceptance scenarios of the estimator on virtual time: each runs once per seed and gives figures, each figure has a
// bar that must hold and a goal.
import Acceptance
import RTP

@testable import SFU

struct Scenario: CustomStringConvertible, Sendable {
    var name: String
    var figures: @Sendable () -> [Figure]
    /// One value per figure.
    var run: @Sendable (_ seed: UInt64) -> [Double]
    var description: String { name }

    func measure(seeds: Range<UInt64>) -> [Figure] {
        var figures = figures()
        for seed in seeds {
            let values = run(seed)
            precondition(values.count == figures.count)
            for index in figures.indices { figures[index].values.append(values[index]) }
        }
        return figures
    }
}

extension SimulatedDownlink.Slice {
    var isTop: Bool { spatial == 2 && temporal == 2 }
}

enum Scenarios {
    static let all: [Scenario] =
        [
            coldJoin, joinSlow, drop(.milliseconds(100)), drop(.milliseconds(50)), drop(.milliseconds(250)),
            drop(.milliseconds(100), delay: .milliseconds(100)), steady,
            twoSubscribers, twoFollowers, withTransfer, twoWithTransfer, withShortTransfer, withTransfers,
            randomLoss(0.02), randomLoss(0.05), randomLoss(0.10), jitter,
            lostFeedback, silentFeedback, alternating, burstAfterIdle, probing, narrow, wide, wideWithLoss,
            narrower, burstsOfLoss, policed(.following(most: 6_000_000), "following the estimate"),
            policed(.camera, "a camera"), latencyJump,
        ] + transfersOnOtherPaths

    static let coldJoin = Scenario(
        name: "C1 cold join on 5 Mbit/s",
        figures: { [Figure("top layer after, s", .atMost, must: 4, goal: 2)] },
        run: { seed in
            let downlink = SimulatedDownlink(seed: seed)
            simulate(PathConditions(), [downlink], seconds: 6, seed: seed)
            return [downlink.time(from: 0) { $0.isTop }]
        }
    )

    static let joinSlow = Scenario(
        name: "join on 600 kbit/s, queue 22.5 kB",
        figures: {
            [
                Figure("packets dropped in 10 s, %", .atMost, must: 4, goal: 2),
                Figure("queue p95, ms", .atMost, must: 150, goal: 100),
            ]
        },
        run: { seed in
            let downlink = SimulatedDownlink(seed: seed)
            simulate(
                PathConditions(rates: [(.zero, 600_000)], queue: 22_500),
                [downlink],
                seconds: 11,
                seed: seed
            )
            return [
                downlink.dropPercent(from: 0, to: 10), downlink.queuePercentile(95, from: 0, to: 10),
            ]
        }
    )

    static func drop(_ feedback: Interval, delay: Interval = .milliseconds(20)) -> Scenario {
        Scenario(
            name: "C2–C4 5 Mbit/s → 600 kbit/s (30 s) → 5 Mbit/s, delay \(delay.milliseconds) ms, "
                + "feedback every \(feedback.milliseconds) ms",
            figures: {
                [
                    Figure("sent ≤ 110 % of the link after, s", .atMost, must: 1.5, goal: 0.7),
                    Figure("peak after the drop ÷ rate before", .atMost, must: 1.3, goal: 1.2),
                    Figure("packets dropped 0–3 s, %", .atMost, must: 50, goal: 35),
                    Figure("packets dropped 3–30 s, %", .atMost, must: 2, goal: 0.5),
                    Figure("audio dropped 0–3 s, %", .atMost, must: 5, goal: 1),
                    Figure("audio dropped or later than 200 ms 0–3 s, %", .atMost, must: 35, goal: 1),
                    Figure("queue p95 3–30 s, ms", .atMost, must: 100, goal: 100),
                    Figure("used 10–30 s, %", .atLeast, must: 60, goal: 80),
                    Figure("top layer again after, s", .atMost, must: 10, goal: 3),
                ]
            },
            run: { seed in
                let downlink = SimulatedDownlink(feedback: feedback, delay: delay, seed: seed)
                simulate(
                    PathConditions(
                        rates: [(.zero, 5_000_000), (.seconds(15), 600_000), (.seconds(45), 5_000_000)],
                        queue: 22_500,
                        delay: delay
                    ),
                    [downlink],
                    seconds: 60,
                    seed: seed
                )
                let before = downlink.sentRate(from: 13, to: 15)
                let peak = downlink.slices(from: 15, to: 45).map { Double($0.sent) * 80 }.max() ?? 0
                return [
                    settled(downlink, from: 15, below: 660_000), peak / before,
                    downlink.dropPercent(from: 15, to: 18), downlink.dropPercent(from: 18, to: 45),
                    downlink.audioDropPercent(from: 15, to: 18), downlink.audioGonePercent(from: 15, to: 18),
                    downlink.queuePercentile(95, from: 18, to: 45),
                    downlink.goodput(from: 25, to: 45) / 6000, downlink.time(from: 45) { $0.isTop },
                ]
            }
        )
    }

    /// Seconds until what is sent within 500 ms stays below.
    private static func settled(_ downlink: SimulatedDownlink, from: Double, below rate: Double) -> Double {
        var time = 0.0
        while time < 30 {
            if downlink.sentRate(from: from + time, to: from + time + 0.5) <= rate { return time }
            time += 0.1
        }
        return .infinity
    }

    static let steady = Scenario(
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
            let downlink = SimulatedDownlink(seed: seed)
            simulate(PathConditions(rates: [(.zero, 2_000_000)]), [downlink], seconds: 60, seed: seed)
            let estimates = downlink.slices(from: 10, to: 60).map { Double($0.estimate) / 20_000 }
            return [
                Double(downlink.switches.count { $0.at > .zero + .seconds(10) }),
                percentile(estimates, 5), percentile(estimates, 95),
                downlink.goodput(from: 10, to: 60) / 15_572,
                downlink.dropPercent(from: 0, to: 60),
            ]
        }
    )

    static let twoSubscribers = Scenario(
        name: "C6 two cameras behind one queue of 2 Mbit/s",
        figures: {
            [
                Figure("Jain's index", .atLeast, must: 0.85, goal: 0.95),
                Figure("used together, %", .atLeast, must: 55, goal: 85),
                Figure("packets dropped, %", .atMost, must: 2, goal: 0.5),
            ]
        },
        run: { seed in sharing(.camera, seed: seed) }
    )

    static let twoFollowers = Scenario(
        name: "C6 two that follow the estimate behind one queue of 2 Mbit/s",
        figures: {
            [
                Figure("Jain's index", .atLeast, must: 0.85, goal: 0.95),
                Figure("used together, %", .atLeast, must: 70, goal: 85),
                Figure("packets dropped, %", .atMost, must: 2, goal: 0.5),
            ]
        },
        run: { seed in sharing(.following(most: 3_000_000), seed: seed) }
    )

    private static func sharing(_ content: SimulatedDownlink.Content, seed: UInt64) -> [Double] {
        let first = SimulatedDownlink(content, flow: 0, seed: seed)
        let second = SimulatedDownlink(content, flow: 1, start: .zero + .seconds(3), seed: seed + 1000)
        simulate(PathConditions(rates: [(.zero, 2_000_000)]), [first, second], seconds: 63, seed: seed)
        let a = first.goodput(from: 13, to: 63)
        let b = second.goodput(from: 13, to: 63)
        return [
            (a + b) * (a + b) / (2 * (a * a + b * b)), (a + b) / 20_000,
            max(first.dropPercent(from: 3, to: 63), second.dropPercent(from: 3, to: 63)),
        ]
    }

    static func randomLoss(_ loss: Double) -> Scenario {
        let isHeavy = loss > 0.06
        return Scenario(
            name: "C8, C9 random loss \(Int(loss * 100)) % on 5 Mbit/s",
            figures: {
                [
                    Figure(
                        "top layer, % of the time after 8 s",
                        .atLeast,
                        must: isHeavy ? 0 : 95,
                        goal: isHeavy ? 80 : 95
                    ),
                    Figure("rate after 8 s, Mbit/s", .atLeast, must: 1, goal: isHeavy ? 2.0 : 2.3),
                ]
            },
            run: { seed in
                let downlink = SimulatedDownlink(seed: seed)
                simulate(PathConditions(loss: .random(loss)), [downlink], seconds: 40, seed: seed)
                return [
                    100 * downlink.share(from: 8, to: 40) { $0.isTop },
                    downlink.sentRate(from: 8, to: 40) / 1_000_000,
                ]
            }
        )
    }

    static let jitter = Scenario(
        name: "C10 jitter ± 20 ms on 5 Mbit/s",
        figures: { [Figure("top layer, % of the time after 5 s", .atLeast, must: 90, goal: 98)] },
        run: { seed in
            let downlink = SimulatedDownlink(seed: seed)
            simulate(PathConditions(jitter: .milliseconds(40)), [downlink], seconds: 65, seed: seed)
            return [100 * downlink.share(from: 5, to: 65) { $0.isTop }]
        }
    )

    static let lostFeedback = Scenario(
        name: "C12 feedback loss 30 % on 5 Mbit/s",
        figures: {
            [
                Figure("least estimate, % of that before", .atLeast, must: 50),
                Figure("top layer, % of the time after 5 s", .atLeast, must: 90, goal: 98),
            ]
        },
        run: { seed in
            let downlink = SimulatedDownlink(seed: seed)
            downlink.receiver.faults.loss = 0.3
            simulate(PathConditions(), [downlink], seconds: 40, seed: seed)
            let estimates = downlink.slices(from: 5, to: 40).map { Double($0.estimate) }
            return [
                100 * (estimates.min() ?? 0) / percentile(estimates, 50),
                100 * downlink.share(from: 5, to: 40) { $0.isTop },
            ]
        }
    )

    static let silentFeedback = Scenario(
        name: "C12 no feedback for 2 s on 5 Mbit/s",
        figures: {
            [
                Figure("cut after, s", .atMost, must: 0.6),
                Figure("least target, % of what was used", .atLeast, must: 50),
                Figure("top layer again after, s", .atMost, must: 6, goal: 3),
            ]
        },
        run: { seed in
            let downlink = SimulatedDownlink(seed: seed)
            downlink.receiver.faults.silence = 20_000_000...22_000_000
            simulate(PathConditions(), [downlink], seconds: 30, seed: seed)
            let used = downlink.sentRate(from: 15, to: 20)
            let before = Double(downlink.slices(from: 19, to: 20).last?.target ?? 0)
            let least = downlink.slices(from: 20, to: 23).map { Double($0.target) }.min() ?? 0
            return [
                downlink.time(from: 20) { Double($0.target) < before * 0.9 }, 100 * least / used,
                downlink.time(from: 22) { $0.isTop },
            ]
        }
    )

    static let alternating = Scenario(
        name: "C13 3 s of 4 Mbit/s, 3 s of 1 Mbit/s, in turn",
        figures: {
            [
                Figure("packets dropped, %", .atMost, must: 3),
                Figure("raises to the top size", .atMost, must: 10),
                Figure("of them after 30 s", .atMost, must: 4, goal: 3),
            ]
        },
        run: { seed in
            let downlink = SimulatedDownlink(seed: seed)
            let rates = (0..<20).map { (Interval.seconds($0 * 3), $0 % 2 == 0 ? 4_000_000 : 1_000_000) }
            simulate(PathConditions(rates: rates), [downlink], seconds: 60, seed: seed)
            let raises = downlink.switches.filter { $0.spatial == 2 }
            return [
                downlink.dropPercent(from: 0, to: 60), Double(raises.count),
                Double(raises.count { $0.at > .zero + .seconds(30) }),
            ]
        }
    )

    static let burstAfterIdle = Scenario(
        name: "C14 audio alone for 60 s, then 2.5 Mbit/s at once, on 5 Mbit/s",
        figures: {
            [
                Figure("packets dropped in the first 3 s, %", .atMost, must: 2),
                Figure("estimate before, % of the burst", .atLeast, must: 80, goal: 100),
                Figure("longest time between probes, s", .atMost, must: 6),
            ]
        },
        run: { seed in
            let downlink = SimulatedDownlink(.burst(at: .zero + .seconds(60), rate: 2_500_000), seed: seed)
            simulate(PathConditions(), [downlink], seconds: 64, seed: seed)
            var longest = 0.0
            var last = 0.0
            for (index, slice) in downlink.slices.enumerated() where slice.probe > 0 && index < 600 {
                longest = max(longest, Double(index) / 10 - last)
                last = Double(index) / 10
            }
            return [
                downlink.dropPercent(from: 60, to: 63),
                Double(downlink.slices[599].estimate) / 25_000, max(longest, 60 - last),
            ]
        }
    )

    static let probing = Scenario(
        name: "C16 probes on 600 kbit/s for 60 s",
        figures: {
            [
                Figure("probes, % of the link", .atMost, must: 5),
                Figure("packets dropped, %", .atMost, must: 0.5),
                Figure("used, %", .atLeast, must: 60, goal: 80),
            ]
        },
        run: { seed in
            let downlink = SimulatedDownlink(seed: seed)
            simulate(
                PathConditions(rates: [(.zero, 600_000)], queue: 22_500),
                [downlink],
                seconds: 70,
                seed: seed
            )
            let bytes = downlink.slices(from: 10, to: 70).reduce(0) { $0 + $1.probe }
            return [
                Double(bytes) * 8 / 60 / 6000, downlink.dropPercent(from: 10, to: 70),
                downlink.goodput(from: 10, to: 70) / 6000,
            ]
        }
    )

    // MARK: What browsers' own tests ask of their estimators

    static let narrow = Scenario(
        name: "500 kbit/s, 100 ms, then 800 kbit/s, following the estimate",
        figures: {
            [
                Figure("estimate at 25 s, least kbit/s", .atLeast, must: 350),
                Figure("estimate at 25 s, most kbit/s", .atMost, must: 550),
                Figure("20 s later, least kbit/s", .atLeast, must: 600),
                Figure("20 s later, most kbit/s", .atMost, must: 900),
                Figure("pacer p95, ms", .atMost, must: 150),
            ]
        },
        run: { seed in
            let downlink = SimulatedDownlink(
                .following(most: 3_000_000),
                delay: .milliseconds(100),
                seed: seed
            )
            simulate(
                PathConditions(
                    rates: [(.zero, 500_000), (.seconds(25), 800_000)],
                    delay: .milliseconds(100)
                ),
                [downlink],
                seconds: 46,
                seed: seed
            )
            let first = Double(downlink.slices[249].estimate) / 1000
            let second = Double(downlink.slices[449].estimate) / 1000
            let pacer = percentile(downlink.slices.map { Double($0.pacer.microseconds) / 1000 }, 95)
            return [first, first, second, second, pacer]
        }
    )

    static let narrower = Scenario(
        name: "800 kbit/s, 50 ms, then 100 kbit/s, 200 ms, following the estimate",
        figures: {
            [
                Figure("estimate at 70 s, least kbit/s", .atLeast, must: 60),
                Figure("estimate at 70 s, most kbit/s", .atMost, must: 115),
            ]
        },
        run: { seed in
            let downlink = SimulatedDownlink(
                .following(most: 3_000_000),
                delay: .milliseconds(50),
                seed: seed
            )
            simulate(
                PathConditions(
                    rates: [(.zero, 800_000), (.seconds(20), 100_000)],
                    delay: .milliseconds(50),
                    laterDelay: (.seconds(20), .milliseconds(200))
                ),
                [downlink],
                seconds: 71,
                seed: seed
            )
            let estimate = Double(downlink.slices[699].estimate) / 1000
            return [estimate, estimate]
        }
    )

    static let wide = Scenario(
        name: "2 Mbit/s, 50 ms, following the estimate",
        figures: {
            [
                Figure("estimate at 10 s, Mbit/s", .atLeast, must: 1.5),
                Figure("used after 10 s, %", .atLeast, must: 75, goal: 90),
                Figure("queue p95 after 10 s, ms", .atMost, must: 150, goal: 100),
            ]
        },
        run: { seed in
            let downlink = SimulatedDownlink(
                .following(most: 6_000_000),
                delay: .milliseconds(50),
                seed: seed
            )
            simulate(
                PathConditions(rates: [(.zero, 2_000_000)], delay: .milliseconds(50)),
                [downlink],
                seconds: 40,
                seed: seed
            )
            return [
                Double(downlink.slices[99].estimate) / 1_000_000,
                downlink.goodput(from: 10, to: 40) / 20_000,
                downlink.queuePercentile(95, from: 10, to: 40),
            ]
        }
    )

    static let wideWithLoss = Scenario(
        name: "2 Mbit/s, 50 ms, random loss 10 %, following the estimate",
        figures: {
            [
                Figure("rate after 10 s, kbit/s", .atLeast, must: 100, goal: 1000),
                Figure("queue p95 after 10 s, ms", .atMost, must: 200, goal: 150),
            ]
        },
        run: { seed in
            let downlink = SimulatedDownlink(
                .following(most: 6_000_000),
                delay: .milliseconds(50),
                seed: seed
            )
            simulate(
                PathConditions(rates: [(.zero, 2_000_000)], delay: .milliseconds(50), loss: .random(0.1)),
                [downlink],
                seconds: 40,
                seed: seed
            )
            return [
                downlink.goodput(from: 10, to: 40) / 1000, downlink.queuePercentile(95, from: 10, to: 40),
            ]
        }
    )

    // MARK: Further ones

    static let burstsOfLoss = Scenario(
        name: "bursts of loss, 3 % of all, on 5 Mbit/s",
        figures: { [Figure("top layer, % of the time after 8 s", .atLeast, must: 85, goal: 95)] },
        run: { seed in
            let downlink = SimulatedDownlink(seed: seed)
            simulate(
                PathConditions(loss: .bursts(enter: 0.006, leave: 0.12, loss: 0.6)),
                [downlink],
                seconds: 60,
                seed: seed
            )
            return [100 * downlink.share(from: 8, to: 60) { $0.isTop }]
        }
    )

    /// A queue so short that nothing waits: only loss tells.
    static func policed(_ content: SimulatedDownlink.Content, _ name: String) -> Scenario {
        Scenario(
            name: "2 Mbit/s behind a queue of 6 kB, \(name)",
            figures: {
                [
                    Figure("used after 10 s, Mbit/s", .atLeast, must: 0.5, goal: 1.5),
                    Figure("packets dropped after 10 s, %", .atMost, must: 10, goal: 5),
                ]
            },
            run: { seed in
                let downlink = SimulatedDownlink(content, seed: seed)
                simulate(
                    PathConditions(rates: [(.zero, 2_000_000)], queue: 6_000),
                    [downlink],
                    seconds: 50,
                    seed: seed
                )
                return [
                    downlink.goodput(from: 10, to: 50) / 1_000_000, downlink.dropPercent(from: 10, to: 50),
                ]
            }
        )
    }

    static let latencyJump = Scenario(
        name: "delay 20 ms → 150 ms on 3 Mbit/s",
        figures: {
            [
                Figure("≥ 1 Mbit/s after, s", .atMost, must: 10, goal: 5),
                Figure("top layer again after, s", .atMost, must: 15, goal: 8),
            ]
        },
        run: { seed in
            let downlink = SimulatedDownlink(seed: seed)
            simulate(
                PathConditions(
                    rates: [(.zero, 3_000_000)],
                    laterDelay: (.seconds(15), .milliseconds(150))
                ),
                [downlink],
                seconds: 50,
                seed: seed
            )
            return [
                downlink.time(from: 16) { $0.estimate >= 1_000_000 }, downlink.time(from: 16) { $0.isTop },
            ]
        }
    )
}
