// Scenarios beside bulk transfers, which fill the queue until something is lost.
import Acceptance
import RTP

@testable import SFU

extension Scenarios {
    /// Bulk transfers from 10 s on behind a queue of 2 Mbit/s.
    private static func besideTransfers(
        _ downlinks: [SimulatedDownlink],
        on path: PathConditions = PathConditions(rates: [(.zero, 2_000_000)]),
        transfers count: Int = 1,
        until end: Int = .max,
        seconds: Int,
        seed: UInt64
    ) {
        var transfers = (0..<count).map {
            BulkTransfer(start: .zero + .seconds(10) + .milliseconds(Int64(seed) * 37 + Int64($0) * 450))
        }
        simulate(
            path,
            downlinks,
            seconds: seconds,
            seed: seed,
            other: { packet, at in
                transfers[packet.flow - downlinks.count].arrived(packet.number, at: at)
            },
            each: { now, path in
                guard now.microseconds < Int64(min(end, seconds)) * 1_000_000 else { return }
                for flow in transfers.indices {
                    transfers[flow].step(at: now) { number in
                        let packet = SimulatedPath.Packet(
                            flow: downlinks.count + flow,
                            number: number,
                            size: BulkTransfer.segment,
                            kind: .video,
                            sentAt: now
                        )
                        _ = path.send(packet, at: now)
                    }
                }
            }
        )
    }

    private static func leastSecond(_ downlink: SimulatedDownlink, from: Int, to: Int) -> Double {
        (from..<to).map { downlink.goodput(from: Double($0), to: Double($0 + 1)) / 1000 }.min() ?? 0
    }

    static let withTransfer = Scenario(
        name: "C7 with one bulk transfer behind 2 Mbit/s",
        figures: {
            [
                Figure("share, least %", .atLeast, must: 20, goal: 35),
                Figure("share, most %", .atMost, must: 75, goal: 65),
                Figure("least in any second, kbit/s", .atLeast, must: 200),
                Figure("packets dropped after 20 s, %", .atMost, must: 2, goal: 0.5),
            ]
        },
        run: { seed in
            let downlink = SimulatedDownlink(.following(most: 3_000_000), seed: seed)
            besideTransfers([downlink], seconds: 70, seed: seed)
            let share = downlink.goodput(from: 20, to: 70) / 20_000
            return [
                share, share, leastSecond(downlink, from: 20, to: 70),
                downlink.dropPercent(from: 20, to: 70),
            ]
        }
    )

    static let twoWithTransfer = Scenario(
        name: "C7 two and one bulk transfer behind 2 Mbit/s",
        figures: {
            [
                Figure("Jain's index", .atLeast, must: 0.8, goal: 0.95),
                Figure("share of both, least %", .atLeast, must: 35, goal: 50),
                // These two bars are what there is: where only one sees that the queue is shared, the other fills it.
                Figure("share of both, most %", .atMost, must: 85, goal: 75),
                Figure("packets dropped after 20 s, %", .atMost, must: 3, goal: 0.5),
            ]
        },
        run: { seed in
            let first = SimulatedDownlink(.following(most: 3_000_000), flow: 0, seed: seed)
            let second = SimulatedDownlink(.following(most: 3_000_000), flow: 1, seed: seed + 1000)
            besideTransfers([first, second], seconds: 70, seed: seed)
            let a = first.goodput(from: 20, to: 70)
            let b = second.goodput(from: 20, to: 70)
            return [
                (a + b) * (a + b) / (2 * (a * a + b * b)), (a + b) / 20_000, (a + b) / 20_000,
                max(first.dropPercent(from: 20, to: 70), second.dropPercent(from: 20, to: 70)),
            ]
        }
    )

    static let withTransfers = Scenario(
        name: "C7 with three bulk transfers behind 2 Mbit/s",
        figures: {
            [
                Figure("share, least %", .atLeast, must: 15, goal: 25),
                Figure("share, most %", .atMost, must: 60, goal: 40),
                Figure("least in any second, kbit/s", .atLeast, must: 200),
            ]
        },
        run: { seed in
            let downlink = SimulatedDownlink(.following(most: 3_000_000), seed: seed)
            besideTransfers([downlink], transfers: 3, seconds: 70, seed: seed)
            let share = downlink.goodput(from: 20, to: 70) / 20_000
            return [share, share, leastSecond(downlink, from: 20, to: 70)]
        }
    )

    static let withShortTransfer = Scenario(
        name: "C7 with a bulk transfer of 20 s behind 2 Mbit/s",
        figures: {
            [
                Figure("share while it is there, least %", .atLeast, must: 20, goal: 35),
                Figure("≥ 1.6 Mbit/s after its end after, s", .atMost, must: 8, goal: 3),
                Figure("queue p95 from 5 s after its end, ms", .atMost, must: 150, goal: 100),
            ]
        },
        run: { seed in
            let downlink = SimulatedDownlink(.following(most: 3_000_000), seed: seed)
            besideTransfers([downlink], until: 30, seconds: 60, seed: seed)
            return [
                downlink.goodput(from: 15, to: 30) / 20_000,
                downlink.time(from: 30) { $0.delivered * 80 >= 1_600_000 },
                downlink.queuePercentile(95, from: 35, to: 60),
            ]
        }
    )

    /// Other paths: their rate, what the queue holds, one way, jitter.
    private static func transfer(_ rate: Int, queue: Int64, delay: Int64, jitter: Int64) -> Scenario {
        Scenario(
            name: "C7 with one bulk transfer behind \(Double(rate) / 1_000_000) Mbit/s, queue \(queue) ms, "
                + "delay \(delay) ms, jitter \(jitter) ms",
            figures: {
                [
                    Figure("share, least %", .atLeast, must: 20, goal: 35),
                    Figure("share, most %", .atMost, must: 75, goal: 65),
                    Figure("least in any second, kbit/s", .atLeast, must: 100, goal: 200),
                    Figure("packets dropped after 20 s, %", .atMost, must: 3, goal: 0.5),
                ]
            },
            run: { seed in
                let most = 6_000_000
                let downlink = SimulatedDownlink(
                    .following(most: most),
                    delay: .milliseconds(delay),
                    seed: seed
                )
                let path = PathConditions(
                    rates: [(.zero, rate)],
                    queue: rate / 8000 * Int(queue),
                    delay: .milliseconds(delay),
                    jitter: .milliseconds(jitter)
                )
                besideTransfers([downlink], on: path, seconds: 70, seed: seed)
                let share = downlink.goodput(from: 20, to: 70) * 100 / Double(rate)
                return [
                    share, share, leastSecond(downlink, from: 20, to: 70),
                    downlink.dropPercent(from: 20, to: 70),
                ]
            }
        )
    }

    static let transfersOnOtherPaths = [
        transfer(2_000_000, queue: 600, delay: 20, jitter: 0),
        transfer(2_000_000, queue: 300, delay: 100, jitter: 0),
        transfer(2_000_000, queue: 300, delay: 20, jitter: 30),
        transfer(1_000_000, queue: 300, delay: 20, jitter: 0),
        transfer(5_000_000, queue: 300, delay: 20, jitter: 0),
    ]
}
