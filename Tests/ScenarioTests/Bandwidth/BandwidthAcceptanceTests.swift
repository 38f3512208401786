// The acceptance scenarios of bandwidth over several seeds. SFU_BANDWIDTH_SEEDS=20 runs the full number and prints all
// figures; SFU_TRACE names a directory for one CSV file per viewer of each run. bench/scenarios does both and draws them.
import Acceptance
import Foundation
import RTP
import Testing

@Suite struct BandwidthAcceptanceTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let seeds = environment["SFU_BANDWIDTH_SEEDS"].flatMap { UInt64($0) }

    @Test(arguments: AcceptanceScenario.all)
    func mustHolds(_ scenario: AcceptanceScenario) throws {
        var figures = scenario.figures()
        for seed in 1..<(1 + (Self.seeds ?? 1)) {
            let (values, scene) = try scenario.run(seed)
            try #require(values.count == figures.count)
            for index in figures.indices { figures[index].values.append(values[index]) }
            if let directory = Self.environment["SFU_TRACE"] {
                try BandwidthTrace.write(scene, name: scenario.name, seed: seed, to: directory)
            }
        }
        for figure in figures {
            #expect(
                figure.holds,
                "\(scenario): \(figure.name) is \(figure.value), must be \(figure.must); by seed from 1: \(figure.values)"
            )
        }
        guard Self.seeds != nil else { return }
        print(scenario.name + "\n" + figures.map(\.line).joined())
    }
}

/// What viewers of a scene saw, one line per 100 ms.
enum BandwidthTrace {
    static func write(_ scene: BandwidthScene, name: String, seed: UInt64, to directory: String) throws {
        let title = String(name.map { $0.isLetter || $0.isNumber ? $0 : "-" })
        for viewer in scene.viewers.indices {
            let path = "\(directory)/\(title)-\(seed)-\(viewer).csv"
            try text(scene.slices[viewer]).write(toFile: path, atomically: true, encoding: .utf8)
        }
    }

    private static func text(_ slices: [BandwidthScene.Slice]) -> String {
        var text =
            "s,link,sent,delivered,transferred,audio,video,rtx,padding,dropped,estimate,target,bound,spatial,temporal,"
            + "queue,pacer\n"
        for (index, slice) in slices.enumerated() {
            let rates = [
                slice.link / 1000, slice.sent * 80 / 1000, slice.delivered * 80 / 1000,
                slice.transferred * 80 / 1000, slice.audio * 80 / 1000,
                slice.video * 80 / 1000, slice.rtx * 80 / 1000, slice.padding * 80 / 1000,
                slice.droppedPackets,
                slice.estimate / 1000, slice.target / 1000,
            ]
            text += "\(Double(index) / 10)," + rates.map(String.init).joined(separator: ",")
            text +=
                ",\(slice.bound),\(slice.spatial),\(slice.temporal),\(slice.wait.milliseconds),\(slice.pacerQueue)\n"
        }
        return text
    }
}
