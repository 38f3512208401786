// The gateway's statistics as Prometheus reads them. Must not know rooms.
import Seam

extension GatewayStatistics {
    func write(to text: inout PrometheusText) {
        for (metric, value) in [
            (MetricCatalog.rooms, rooms), (MetricCatalog.participants, participants),
            (MetricCatalog.publications, publications), (MetricCatalog.mediaSessions, mediaSessions),
            (MetricCatalog.sessions, sessions), (MetricCatalog.detachedSessions, detachedSessions),
            (MetricCatalog.sessionBytes, sessionBytes), (MetricCatalog.queuedEvents, queuedEvents),
            (MetricCatalog.longestQueue, longestQueue),
        ] {
            text.begin(metric.name, metric.kind, help: metric.help)
            text.sample(metric.name, [], value)
        }
        for (metric, value) in [
            (MetricCatalog.joins, joins), (MetricCatalog.requests, requests),
            (MetricCatalog.overflows, overflows),
            (MetricCatalog.mediaEventsDropped, mediaEventsDropped),
            (MetricCatalog.commandsDropped, commandsDropped),
            (MetricCatalog.diagnosisReports, diagnosisReports),
            (MetricCatalog.resumesRefused, resumesRefused),
        ] {
            text.begin(metric.name, metric.kind, help: metric.help)
            text.sample(metric.name, [], value)
        }
        let resume = MetricCatalog.resumeTime
        text.begin(resume.name, resume.kind, help: resume.help)
        text.histogram(
            resume.name,
            [],
            bounds: resume.buckets,
            counts: resumeTime.counts,
            sum: resumeTime.seconds
        )
        quality.write(to: &text)
        Self.write(MetricCatalog.errors, "code", errors.map { ($0.key.rawValue, $0.value) }, to: &text)
        Self.write(MetricCatalog.closes, "code", closes.map { ("\($0.key.rawValue)", $0.value) }, to: &text)
        Self.write(MetricCatalog.resumes, "outcome", resumes.map { ($0.key.rawValue, $0.value) }, to: &text)
        write(MetricCatalog.transitions, transitions, to: &text)
        Self.write(MetricCatalog.shed, "type", shed.map { ($0.key.rawValue, $0.value) }, to: &text)
    }

    private func write(
        _ metric: MetricDescription,
        _ transitions: [SessionTransition: UInt64],
        to text: inout PrometheusText
    ) {
        text.begin(metric.name, metric.kind, help: metric.help)
        for transition in SessionTransition.all {
            text.sample(
                metric.name,
                [("from", transition.from.rawValue), ("step", transition.step.rawValue)],
                transitions[transition, default: 0]
            )
        }
    }

    private static func write(
        _ metric: MetricDescription,
        _ label: String,
        _ values: [(String, UInt64)],
        to text: inout PrometheusText
    ) {
        guard !values.isEmpty else { return }
        text.begin(metric.name, metric.kind, help: metric.help)
        for (value, count) in values.sorted(by: { $0.0 < $1.0 }) {
            text.sample(metric.name, [(label, value)], count)
        }
    }
}

extension QualityStatistics {
    fileprivate func write(to text: inout PrometheusText) {
        let score = MetricCatalog.qualityScore
        text.begin(score.name, score.kind, help: score.help)
        for (direction, values) in [("down", down), ("up", up)] {
            text.histogram(
                score.name,
                [("direction", direction)],
                bounds: values.bounds,
                counts: values.counts,
                sum: values.sum
            )
        }
        let rate = MetricCatalog.downlinkEstimate
        text.begin(rate.name, rate.kind, help: rate.help)
        text.histogram(rate.name, [], bounds: estimate.bounds, counts: estimate.counts, sum: estimate.sum)
        let sessions = MetricCatalog.qualitySessions
        text.begin(sessions.name, sessions.kind, help: sessions.help)
        for isUp in [false, true] {
            for reason in DirectionQuality.Reason.allCases {
                text.sample(
                    sessions.name,
                    [("direction", isUp ? "up" : "down"), ("reason", reason.rawValue)],
                    reasons[Key(isUp: isUp, reason: reason), default: 0]
                )
            }
        }
        let shown = MetricCatalog.slotReasons
        text.begin(shown.name, shown.kind, help: shown.help)
        for reason in SlotState.Reason.allCases {
            text.sample(shown.name, [("reason", reason.rawValue)], slots[reason, default: 0])
        }
    }
}
