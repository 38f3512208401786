// Ctrl-C and SIGTERM as a question that is asked now and then: the first one ends a run early and in order, with goodbyes and
// a report; the second one ends the process.
import Glibc
import Synchronization

enum StopSignal {
    private static let signals = [SIGINT, SIGTERM]
    /// Set by a signal handler: nothing but an atomic may be touched there.
    private static let hasCome = Atomic<Bool>(false)

    /// From now on a signal is noted; the one after it has its usual effect.
    static func arm() {
        hasCome.store(false, ordering: .relaxed)
        for number in signals {
            signal(number) { number in
                StopSignal.hasCome.store(true, ordering: .relaxed)
                signal(number, SIG_DFL)
            }
        }
    }

    static func disarm() {
        for number in signals { signal(number, SIG_DFL) }
    }

    static var isRaised: Bool { hasCome.load(ordering: .relaxed) }
}
