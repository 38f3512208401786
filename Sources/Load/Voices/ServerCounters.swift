// What `/metrics` says of the media plane's workers, and the rates between the first and the last change that was seen:
// a worker reports once a second, so that the time of the scrape is not the time of the figure. Must not know HTTP.

/// Counters of one worker.
struct ServerCounters: Equatable {
    /// Datagrams that came in, with those that were given to other workers, where they count again.
    var received: Int64 = 0
    var handedOver: Int64 = 0
    /// RTP packets that were decrypted, and those of them that went on to be forwarded.
    var decrypted: Int64 = 0
    var queued: Int64 = 0
    /// RTP packets sent to subscribers.
    var forwarded: Int64 = 0
    /// Packets of voices that were not among the loudest.
    var notLoudest: Int64 = 0

    /// By worker, from Prometheus' text format.
    static func parse(_ text: String) -> [String: ServerCounters] {
        var workers: [String: ServerCounters] = [:]
        for line in text.split(separator: "\n") where line.hasPrefix("sfu_") {
            guard let open = line.firstIndex(of: "{"), let close = line.lastIndex(of: "}"), open < close,
                let value = line[line.index(after: close)...].split(separator: " ").first.flatMap({
                    Int64($0)
                })
            else { continue }
            let labels = line[line.index(after: open)..<close]
            guard let worker = label("worker", in: labels) else { continue }
            switch line[..<open] {
            case "sfu_datagrams_received_total": workers[worker, default: .init()].received = value
            case "sfu_datagrams_handed_over_total": workers[worker, default: .init()].handedOver = value
            case "sfu_rtp_received_total": workers[worker, default: .init()].decrypted = value
            case "sfu_rtp_queued_total": workers[worker, default: .init()].queued = value
            case "sfu_packets_forwarded_total": workers[worker, default: .init()].forwarded = value
            case "sfu_media_dropped_total" where label("reason", in: labels) == "notLoudest":
                workers[worker, default: .init()].notLoudest = value
            default: continue
            }
        }
        return workers
    }

    private static func label(_ name: String, in labels: Substring) -> String? {
        for pair in labels.split(separator: ",") where pair.hasPrefix(name + "=\"") && pair.hasSuffix("\"") {
            return String(pair.dropFirst(name.count + 2).dropLast())
        }
        return nil
    }

    static func - (a: ServerCounters, b: ServerCounters) -> ServerCounters {
        ServerCounters(
            received: a.received - b.received,
            handedOver: a.handedOver - b.handedOver,
            decrypted: a.decrypted - b.decrypted,
            queued: a.queued - b.queued,
            forwarded: a.forwarded - b.forwarded,
            notLoudest: a.notLoudest - b.notLoudest
        )
    }
}

struct CounterWindow {
    private struct Edge {
        var counters: ServerCounters
        /// Nanoseconds; nil: what stood there when the window opened, of unknown age.
        var at: Int64?
    }

    private var first: [String: Edge] = [:]
    private var last: [String: Edge] = [:]

    mutating func add(_ workers: [String: ServerCounters], at now: Int64) {
        for (worker, counters) in workers {
            guard let newest = last[worker] else {
                last[worker] = Edge(counters: counters, at: nil)
                continue
            }
            guard newest.counters != counters else { continue }
            let edge = Edge(counters: counters, at: now)
            last[worker] = edge
            if first[worker] == nil { first[worker] = edge }
        }
    }

    /// Per second, all workers together; nil: too few scrapes.
    var rates: (received: Double, forwarded: Double)? {
        var sums = (received: 0.0, forwarded: 0.0)
        var isKnown = false
        for (worker, start) in first {
            guard let end = last[worker], let from = start.at, let to = end.at, to > from else { continue }
            let seconds = Double(to - from) / 1e9
            let change = end.counters - start.counters
            sums.received += Double(change.received - change.handedOver) / seconds
            sums.forwarded += Double(change.forwarded) / seconds
            isKnown = true
        }
        return isKnown ? sums : nil
    }

    /// RTP packets that came: how many were never decrypted, of how many. What was decrypted and dropped counts as
    /// decrypted and not loud, so that the share is not flattered.
    var undecrypted: (packets: Int64, of: Int64) {
        var sums: (packets: Int64, of: Int64) = (0, 0)
        for (worker, start) in first {
            guard let end = last[worker] else { continue }
            let change = end.counters - start.counters
            let packets = max(0, change.notLoudest - max(0, change.decrypted - change.queued))
            sums.packets += packets
            sums.of += packets + change.decrypted
        }
        return sums
    }
}
