// Random lives of a session against a client that checks every promise.
import NIOCore
import RTP
import Testing

@testable import Signaling

/// SplitMix64
struct SeededRandom: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

@Suite struct SignalSessionPropertyTests {
    /// What a client holds after reading everything: the newest critical number per snapshot, state by key.
    struct Client {
        var sequence = 0
        var criticals: [Int] = []
        var state: [String: Int] = [:]
        var responses: [Int: Int] = [:]
        var unacked = 0

        /// Returns what is wrong, if anything.
        mutating func read(_ text: String) -> String? {
            let fields = text.dropFirst().dropLast().split(separator: ",").map(String.init)
            if let number = fields.first(where: { $0.hasPrefix("\"seq\":") }).flatMap({ Int($0.dropFirst(6)) }
            ) {
                guard number == sequence + 1 else { return "gap: \(number) after \(sequence)" }
                sequence = number
                unacked += 1
            }
            guard let data = fields.last?.split(separator: ":").map(String.init), data.count >= 2 else {
                return "unreadable: \(text)"
            }
            switch data[0] {
            case "c": criticals.append(Int(data[1]) ?? -1)
            // A snapshot says everything up to its number.
            case "p": criticals = Array(0...(Int(data[1]) ?? -1)); state.removeAll()
            case "s": state[data[1]] = Int(data[2])
            case "r": responses[Int(data[1]) ?? -1, default: 0] += 1
            case "e": break
            default: return "unreadable: \(text)"
            }
            return nil
        }
    }

    /// A server, its session and its client; everything random comes from the seed.
    struct World {
        var random: SeededRandom
        var session = SignalSession(at: .zero)
        var client = Client()
        var now = Instant.zero
        var writable = true
        var criticals = 0
        var state: [String: Int] = [:]
        var requests = 0
        var closed: CloseCode?

        init(seed: UInt64) { random = SeededRandom(seed: seed) }

        func body(_ type: ServerMessage, _ text: String) -> EventBody {
            EventBody(type: type, tail: ByteBuffer(string: text + "}"))
        }

        mutating func step() -> String? {
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<35:
                for _ in 0..<Int.random(in: 1...30, using: &random) {
                    session.queue(critical: body(.roster, "c:\(criticals)"), at: now)
                    criticals += 1
                }
            case 35..<50:
                let key = "k\(Int.random(in: 0..<12, using: &random))"
                let value = Int.random(in: 0..<1_000_000, using: &random)
                state[key] = value
                session.queue(
                    state: body(.conn, "s:\(key):\(value)"),
                    key: StateKey(type: .conn, value: key),
                    at: now
                )
            case 50..<60:
                session.queue(ephemeral: body(.levels, "e:1"), at: now)
            case 60..<68:
                requests += 1
                let id = UInt64(requests)
                if session.received(request: id, at: now) != .gap {
                    session.respond(to: id, with: ByteBuffer(string: "{r:\(id)}"), at: now)
                }
            case 68..<76:
                writable.toggle()
                session.writabilityChanged(isWritable: writable, at: now)
            case 76..<84:
                let upTo = Int.random(in: 0...client.sequence, using: &random)
                if session.received(acknowledge: UInt64(upTo)) == .ahead { return "a sent number is ahead" }
            case 84..<88:
                now = now + .milliseconds(Int64.random(in: 1...3000, using: &random))
                if case .close(let code) = session.advance(to: now) { closed = code }
            default:
                return drain(atMost: Int.random(in: 1...60, using: &random))
            }
            return bounds()
        }

        mutating func drain(atMost limit: Int) -> String? {
            for _ in 0..<limit where writable {
                switch session.drain(at: now) {
                case .idle: return nil
                case .send(let text): if let wrong = client.read(String(buffer: text)) { return wrong }
                case .snapshot:
                    session.queue(snapshot: [body(.snapshot, "p:\(criticals - 1)")], at: now)
                    for (key, value) in state {
                        session.queue(
                            state: body(.conn, "s:\(key):\(value)"),
                            key: StateKey(type: .conn, value: key),
                            at: now
                        )
                    }
                }
            }
            return bounds()
        }

        func bounds() -> String? {
            if session.criticalCount > Limits.Signaling.criticalEvents {
                return "\(session.criticalCount) critical"
            }
            if session.criticalBytes > Limits.Signaling.criticalBytes {
                return "\(session.criticalBytes) bytes"
            }
            if session.ephemeralCount > Limits.Signaling.ephemeralEvents {
                return "\(session.ephemeralCount) ephemeral"
            }
            if session.stateCount > 12 { return "\(session.stateCount) state keys" }
            if session.requests.cachedCount > Limits.Signaling.cachedResponses { return "cache" }
            return nil
        }

        /// Time stands still, the socket takes everything.
        mutating func finish() -> String? {
            writable = true
            session.writabilityChanged(isWritable: true, at: now)
            for _ in 0..<10_000 {
                let before = client.sequence
                if let wrong = drain(atMost: 100) { return wrong }
                if session.received(acknowledge: UInt64(client.sequence)) == .ahead { return "ahead" }
                if before == client.sequence, session.waitingCount == 0, !session.needsSnapshot { break }
            }
            if client.criticals != Array(0..<criticals) {
                return "critical: \(client.criticals.count) of \(criticals)"
            }
            if client.state != state { return "state: \(client.state) instead of \(state)" }
            if client.responses.count != requests {
                return "\(client.responses.count) of \(requests) responses"
            }
            if client.responses.values.contains(where: { $0 != 1 }) { return "a response came twice" }
            return session.criticalCount == 0 ? nil : "the log is not empty"
        }
    }

    @Test func nothingCriticalIsLostAndEverythingIsBounded() {
        var closes = 0
        var overflows = 0
        for seed in 0..<120 as Range<UInt64> {
            var world = World(seed: seed)
            var wrong: String?
            for _ in 0..<600 where wrong == nil && world.closed == nil { wrong = world.step() }
            overflows += world.session.overflows
            if let code = world.closed {
                closes += 1
                #expect(code == .slowConsumer, "seed \(seed)")
            } else if wrong == nil {
                wrong = world.finish()
            }
            #expect(wrong == nil, "seed \(seed): \(wrong ?? "")")
            if wrong != nil { return }
        }
        // The generator reaches what it is there for.
        #expect(closes > 2)
        #expect(overflows > 50)
        #expect(closes < 110)
    }
}
