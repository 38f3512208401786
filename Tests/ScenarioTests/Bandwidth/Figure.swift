// A figure that a scenario is judged by, over several seeds.

struct Figure {
    enum Direction {
        case atMost, atLeast
    }

    var name: String
    var direction: Direction
    var must: Double
    var goal: Double?
    var values: [Double] = []

    init(_ name: String, _ direction: Direction, must: Double, goal: Double? = nil) {
        self.name = name
        self.direction = direction
        self.must = must
        self.goal = goal
    }

    /// The worst but one of twenty.
    var value: Double { percentile(values, direction == .atMost ? 95 : 5) }
    func reaches(_ bar: Double) -> Bool { direction == .atMost ? value <= bar : value >= bar }
    var holds: Bool { reaches(must) }
    var reachesGoal: Bool { reaches(goal ?? must) }
}

/// The value below which so many percent are.
func percentile(_ values: [Double], _ percent: Double) -> Double {
    guard !values.isEmpty else { return .nan }
    let sorted = values.sorted()
    return sorted[Int((Double(sorted.count - 1) * percent / 100).rounded(.up))]
}
