// Where a client's session stands between its first hello and its end. Knows no sockets and no time.

enum SessionStage: String, CaseIterable, Sendable {
    case new
    /// A socket has it, whose hello is accepted; what the hello offered is being answered.
    case greeting
    /// Its socket has the welcome.
    case attached
    /// It has no socket, and waits for one.
    case detached
    case ended

    enum Step: String, CaseIterable, Sendable {
        case join
        /// Made from what the gateway before this one had left with the media plane.
        case rebuild
        case welcome
        /// Another socket of its client, with its resume token.
        case resume
        /// The socket is gone.
        case lose
        case end
    }

    /// nil: a session that stands here cannot take this step.
    func after(_ step: Step) -> SessionStage? {
        switch (self, step) {
        case (.new, .join): .greeting
        case (.new, .rebuild): .detached
        case (.greeting, .welcome): .attached
        case (.greeting, .resume), (.attached, .resume), (.detached, .resume): .greeting
        case (.greeting, .lose), (.attached, .lose): .detached
        case (.greeting, .end), (.attached, .end), (.detached, .end): .ended
        default: nil
        }
    }
}

/// A step that a session took.
struct SessionTransition: Hashable, Sendable {
    var from: SessionStage
    var step: SessionStage.Step

    /// Every one that there can be.
    static let all: [SessionTransition] = SessionStage.allCases.flatMap { stage in
        SessionStage.Step.allCases
            .filter { stage.after($0) != nil }
            .map { SessionTransition(from: stage, step: $0) }
    }
}
