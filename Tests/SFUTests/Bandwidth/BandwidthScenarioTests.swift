// The acceptance scenarios over several seeds. SFU_SEEDS=20 runs the full number and prints all figures; SFU_TRACE names a
// directory for one CSV file per subscriber of each run.
import Acceptance
import Foundation
import RTP
import Testing

@testable import SFU

@Suite struct BandwidthScenarioTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let seeds = environment["SFU_SEEDS"].flatMap { UInt64($0) }

    @Test(arguments: Scenarios.all)
    func mustHolds(_ scenario: Scenario) {
        let figures = Trace.$name.withValue(scenario.name) {
            scenario.measure(seeds: 1..<(1 + (Self.seeds ?? 3)))
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
