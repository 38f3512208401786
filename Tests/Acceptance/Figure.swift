// A figure that a scenario is judged by, over several seeds, and how it is printed. Knows no scenario.
import Foundation

public struct Figure: Sendable {
    public enum Direction: Sendable {
        case atMost, atLeast
    }

    public var name: String
    public var direction: Direction
    /// CI fails beyond this.
    public var must: Double
    /// nil: the same.
    public var goal: Double?
    /// One for each seed.
    public var values: [Double] = []

    public init(_ name: String, _ direction: Direction, must: Double, goal: Double? = nil) {
        self.name = name
        self.direction = direction
        self.must = must
        self.goal = goal
    }

    /// The worst but one of twenty.
    public var value: Double { percentile(values, direction == .atMost ? 95 : 5) }
    public var holds: Bool { reaches(must) }
    public var reachesGoal: Bool { reaches(goal ?? must) }

    private func reaches(_ bar: Double) -> Bool { direction == .atMost ? value <= bar : value >= bar }

    /// As bench/scenarios reads it.
    public var line: String {
        let mark = reachesGoal ? "goal" : holds ? "must" : "FAIL"
        let bar = String(format: "%.4g", must) + (goal.map { String(format: " / %.4g", $0) } ?? "")
        let median = percentile(values, 50)
        return "  \(mark)  \(name): " + String(format: "%.3f (median %.3f, bar \(bar))\n", value, median)
    }
}

/// The value below which so many percent are.
public func percentile(_ values: [Double], _ percent: Double) -> Double {
    guard !values.isEmpty else { return .nan }
    let sorted = values.sorted()
    return sorted[Int((Double(sorted.count - 1) * percent / 100).rounded(.up))]
}
