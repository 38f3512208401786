// The seam itself: one side orders, the other reports. In one process it is a mailbox, in two a Unix socket.

/// The media plane as the gateway sees it.
public protocol MediaPlane: Sendable {
    /// Hands a command down. Never blocks; false means that the bounded mailbox is full and nothing happened.
    func send(_ command: Command) -> Bool
    /// Sets who hears the events. They come in batches, in order, on a thread of the media plane:
    /// the receiver must only queue them.
    func deliverEvents(to receiver: @escaping @Sendable ([Event]) -> Void)
}
