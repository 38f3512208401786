// People with microphones for the tests of loudest-N: each sends a level every 20 ms, as the room would hear it.
import RTP

@testable import SFU

struct VoiceCrowd {
    var voices = LoudestVoices()
    var people: [VoiceActivity]
    /// −dBov of what each says now; nil: sends nothing (DTX).
    var levels: [UInt8?]
    var now = Instant(microseconds: 5_000_000)
    /// Who was heard in the last 20 ms.
    private(set) var heard: Set<Int> = []
    /// Times that somebody took the place of another.
    private(set) var replacements = 0

    init(_ count: Int, places: Int) {
        people = Array(repeating: VoiceActivity(), count: count)
        levels = Array(repeating: 127, count: count)
        _ = voices.resize(to: places)
    }

    var holders: [Int] { (0..<voices.count).map { Int(voices.id(rank: $0)) } }

    mutating func run(_ duration: Interval) {
        let end = now + duration
        while now < end { step() }
    }

    /// 20 ms. A packet that is not admitted is not read.
    mutating func step() {
        heard = []
        for person in people.indices {
            guard let level = levels[person] else { continue }
            let byte = level < 127 ? 0x80 | level : 127
            guard voices.admits(people[person], byte, at: now) else {
                people[person].noteUnread(byte)
                continue
            }
            let isVoice = people[person].note(byte, at: now)
            switch voices.hear(&people[person], id: UInt64(person), isVoice: isVoice, at: now) {
            case .entered(let replaced):
                if let replaced {
                    people[Int(replaced)].place = -1
                    replacements += 1
                }
                heard.insert(person)
            case .holds, .reranked: heard.insert(person)
            case .notLoudest: break
            }
        }
        now = now + .milliseconds(20)
    }

    /// Begins to speak and returns how much of it nobody hears, at most 2 s.
    mutating func clip(of person: Int, level: UInt8) -> Interval {
        levels[person] = level
        let start = now
        repeat { step() } while !heard.contains(person) && now - start < .seconds(2)
        return now - start - .milliseconds(20)
    }
}
