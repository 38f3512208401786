// The scenarios of `sfu bench` by name.
import ArgumentParser

enum Scenario: String, ExpressibleByArgument, CaseIterable, Codable {
    /// One publisher, many subscribers.
    case broadcast
    /// Small rooms in which everybody hears and sees everybody.
    case rooms
    /// One room with cameras in several layers, of which each person sees a few.
    case meeting
    /// A room of many voices: everybody publishes, a few speak.
    case voices
    /// Sessions come and go, while the media of others is measured.
    case storm
    /// A long run, with the server's memory and the gaps of each interval.
    case soak
}
