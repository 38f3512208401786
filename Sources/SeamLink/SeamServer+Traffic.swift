// Events up and commands down, once a gateway is connected, each at the pace of who takes them.
import Logging
import NIOCore
import RTP
import Seam

extension SeamServer {
    func write(_ bytes: ByteBuffer, to channel: any Channel) {
        channel.writeAndFlush(bytes, promise: nil)
    }

    // MARK: Events

    /// Sends what waits, as much as the socket takes. What it does not take stays in the bounded queue.
    func sendEvents() {
        guard let gateway else {
            guard case .state(let state) = queue.take(1) else { return }
            queue.close()
            return foundOrphans(state)
        }
        while gateway.channel.isWritable, self.gateway?.id == gateway.id {
            do throws(LinkFault) {
                guard try sendSome(to: gateway.channel) else { return }
            } catch {
                // A value that cannot be encoded: the other side has to hear the state again.
                logger.error("cannot write to the gateway", metadata: ["reason": "\(error)"])
                return gateway.channel.close(promise: nil)
            }
        }
    }

    /// False where nothing waits.
    private func sendSome(to channel: any Channel) throws(LinkFault) -> Bool {
        if var cutter = gateway?.cutter {
            let bytes = try cutter.take(coder, bytes: Limits.Link.stateFrameBytes)
            gateway?.cutter = bytes == nil ? nil : cutter
            if let bytes { write(bytes, to: channel) }
            return true
        }
        switch queue.take(Limits.Link.eventsPerFrame) {
        case .nothing: return false
        case .state(let state): gateway?.cutter = StateCutter(state)
        case .events(let events): write(try coder.bytes(.events, events.map(counted)), to: channel)
        case .overflowed:
            logger.warning("the gateway is too slow; it is told the whole state")
            queue.begin()
            _ = plane.send(.reportState)
        }
        return true
    }

    /// The first worker's counters take ours along.
    private func counted(_ event: Event) -> Event {
        guard case .counters(var counters) = event, counters.worker == 0 else { return event }
        counters.counts["link_events_dropped"] = queue.dropped
        counters.counts["link_overflows"] = queue.overflows
        counters.counts["link_accepted"] = counts.connects
        counters.counts["link_refused"] = counts.refused
        counters.counts["link_sessions_orphaned"] = counts.orphansClosed
        return .counters(counters)
    }

    // MARK: Commands

    func take(_ commands: [Command]) {
        guard let wasStalled = gateway?.isStalled else { return }
        gateway?.waiting += commands
        if !wasStalled { handDown(wasStalled: false) }
    }

    /// In order. Where the media plane is full, reading stops: the gateway's queue fills, and it is told so.
    private func handDown(wasStalled: Bool) {
        guard let gateway else { return }
        let sent = gateway.waiting.firstIndex { !plane.send($0) } ?? gateway.waiting.count
        self.gateway?.waiting.removeFirst(sent)
        let isStalled = sent < gateway.waiting.count
        if isStalled != wasStalled {
            gateway.channel.setOption(.autoRead, value: !isStalled).whenFailure { _ in }
        }
        guard isStalled else { return }
        let id = gateway.id
        eventLoop.scheduleTask(in: .microseconds(Limits.Link.mailboxRetry.microseconds)) { [weak self] in
            self?.assumeIsolated { server in
                if server.gateway?.id == id { server.retry() }
            }
        }
    }

    private func retry() {
        guard gateway?.isStalled == true else { return }
        handDown(wasStalled: true)
    }
}
