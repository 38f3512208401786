// A DTLS 1.2 association whose handshake is over, in some hundred bytes: hears alerts and repeated Finished messages, says
// goodbye. Knows no handshake, no SRTP and no time.
import COpenSSL
import RTP

/// Belongs to one endpoint.
struct DTLSRemainder: ~Copyable {
    /// What a datagram of the peer means.
    enum On: Equatable {
        case nothing
        /// close_notify.
        case closed
        /// A fatal alert, by number.
        case alert(Int)
    }

    private let rest: UnsafeMutablePointer<sfu_dtls_rest>
    /// Of the newest Finished that was answered: what is recorded and sent again gets one answer, not many.
    private var answered: Int64 = -1

    /// nil where nothing was agreed, or there is no memory. `ssl` must not be used afterwards.
    init?(_ ssl: OpaquePointer, _ pipe: UnsafeMutablePointer<sfu_dtls_pipe>) {
        guard let rest = sfu_dtls_rest_new(ssl, pipe) else { return nil }
        self.rest = rest
    }

    deinit { sfu_dtls_rest_free(rest) }

    /// Reads the records of a datagram (RFC 6347 §4.1); what is not authentic, and application data, is ignored.
    mutating func receive(
        _ datagram: UnsafeBufferPointer<UInt8>,
        send: (UnsafeBufferPointer<UInt8>) -> Void
    ) -> On {
        var at = 0
        while datagram.count - at >= 13 {
            let length = 13 + Int(datagram[at + 11]) << 8 + Int(datagram[at + 12])
            guard length <= datagram.count - at else { return .nothing }
            let record = UnsafeBufferPointer(rebasing: datagram[at..<at + length])
            at += length
            guard record[1] == 0xfe, record[2] == 0xfd, record[3] == 0, record[4] == 1 else { continue }
            switch record[0] {
            case UInt8(SSL3_RT_ALERT):
                let on = readAlert(record)
                if on != .nothing { return on }
            case UInt8(SSL3_RT_HANDSHAKE): readHandshake(record, send)
            default: break
            }
        }
        return .nothing
    }

    private func readAlert(_ record: UnsafeBufferPointer<UInt8>) -> On {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 2) { text in
            guard open(record, into: text) == 2 else { return .nothing }
            if text[1] == UInt8(SSL_AD_CLOSE_NOTIFY) { return .closed }
            return text[0] == UInt8(SSL3_AL_FATAL) ? .alert(Int(text[1])) : .nothing
        }
    }

    /// RFC 6347 §4.2.4: a client that lost our last flight repeats its own, under new record numbers.
    private mutating func readHandshake(
        _ record: UnsafeBufferPointer<UInt8>,
        _ send: (UnsafeBufferPointer<UInt8>) -> Void
    ) {
        guard rest.pointee.flight_length > 0 else { return }
        var number: Int64 = 0
        for i in 5..<11 { number = number << 8 | Int64(record[i]) }
        guard number > answered else { return }
        let isFinished = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 64) { text in
            open(record, into: text) > 0 && text[0] == UInt8(SSL3_MT_FINISHED)
        }
        guard isFinished, let flight = sfu_dtls_rest_flight(rest) else { return }
        answered = number
        DTLSFlight.forEachDatagram(
            of: UnsafeBufferPointer(start: flight, count: rest.pointee.flight_length),
            send
        )
    }

    private func open(
        _ record: UnsafeBufferPointer<UInt8>,
        into text: UnsafeMutableBufferPointer<UInt8>
    ) -> Int {
        ERR_clear_error()
        defer { ERR_clear_error() }
        return Int(
            sfu_dtls_rest_open(rest, record.baseAddress, record.count, text.baseAddress, text.count)
        )
    }

    /// Sends close_notify.
    mutating func sayGoodbye(_ send: (UnsafeBufferPointer<UInt8>) -> Void) {
        sendAlert(UInt8(SSL3_AL_WARNING), SSL_AD_CLOSE_NOTIFY, send)
    }

    mutating func sendFatalAlert(_ description: Int32, _ send: (UnsafeBufferPointer<UInt8>) -> Void) {
        sendAlert(UInt8(SSL3_AL_FATAL), description, send)
    }

    private mutating func sendAlert(
        _ level: UInt8,
        _ description: Int32,
        _ send: (UnsafeBufferPointer<UInt8>) -> Void
    ) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: sfu_dtls_rest_record) {
            ERR_clear_error()
            let number = UInt8(truncatingIfNeeded: description)
            let length = sfu_dtls_rest_alert(rest, level, number, $0.baseAddress)
            ERR_clear_error()
            if length > 0 { send(UnsafeBufferPointer(start: $0.baseAddress, count: length)) }
        }
    }
}

/// The datagrams of a flight, each after its length.
enum DTLSFlight {
    static func forEachDatagram(
        of flight: UnsafeBufferPointer<UInt8>,
        _ body: (UnsafeBufferPointer<UInt8>) -> Void
    ) {
        guard let start = flight.baseAddress else { return }
        var at = 0
        while at + 2 <= flight.count {
            let length = Int(UnsafeRawPointer(start + at).loadUnaligned(as: UInt16.self))
            body(UnsafeBufferPointer(start: start + at + 2, count: length))
            at += 2 + length
        }
    }
}
