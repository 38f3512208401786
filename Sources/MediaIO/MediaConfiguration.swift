// What an operator may set about the media plane's sockets and threads, and how starting can fail.
import PeerTransport
import RTP

/// Where to listen; UDP and ICE-TCP share the number.
public struct ListenAddress: Sendable, Hashable {
    public var address: IPAddress
    public var port: UInt16
    /// IPv6 zone of a link-local address, else 0.
    public var scope: UInt16
    /// Where false, a kernel without this address family is no error.
    public var isRequired: Bool

    public init(address: IPAddress, port: UInt16, scope: UInt16 = 0, isRequired: Bool = true) {
        self.address = address
        self.port = port
        self.scope = scope
        self.isRequired = isRequired
    }

    /// Reads `1.2.3.4:7882`, `[::1]:7882` or `:7882`, which means every address of both families.
    ///
    /// - Throws: `MediaError.address` where the text is none of these; names are not resolved.
    public static func parse(_ text: String) throws(MediaError) -> [ListenAddress] {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            throw MediaError.address(text, "expected ADDRESS:PORT")
        }
        var host = text[..<colon]
        if host.isEmpty {
            return [
                ListenAddress(address: .unspecified, port: port),
                ListenAddress(address: IPAddress(v6High: 0, low: 0), port: port, isRequired: false),
            ]
        }
        let isBracketed = host.first == "[" && host.last == "]" && host.count > 2
        if isBracketed { host = host.dropFirst().dropLast() }
        guard let parsed = SocketAddress(parsing: String(host), port: port) else {
            throw MediaError.address(text, "not a numeric address; an IPv6 address stands in brackets")
        }
        guard host.contains(":") == isBracketed else {
            throw MediaError.address(text, "an IPv6 address stands in brackets, an IPv4 address does not")
        }
        return [ListenAddress(address: parsed.address, port: port, scope: UInt16(clamping: parsed.scope))]
    }
}

extension ListenAddress {
    /// Loopback and this machine's own IPv4 addresses, as texts that `parse` reads: where a server that somebody
    /// tries out on one machine takes media. Loopback alone would shut out Firefox and GStreamer, whose ICE agents
    /// pair nothing with it.
    public static func ownMachine(port: UInt16) -> [String] {
        let own = NetworkInterface.all().filter {
            $0.isUp && !$0.isLoopback && !$0.isVirtual && !$0.address.isIPv6 && !$0.address.isLinkLocal
        }
        return (["127.0.0.1"] + own.map(\.address.text)).map { "\($0):\(port)" }
    }
}

public struct MediaConfiguration: Sendable {
    public var certificate: DTLSCertificate
    /// Names this run of the media plane; see `ShardConfiguration.epoch`.
    public var epoch: String
    /// Port 0 takes a free one; `MediaServer.port` tells which.
    public var listen: [ListenAddress]
    /// Addresses or names that clients reach us by, behind 1:1 NAT. Where given they replace what the machine's
    /// interfaces say.
    public var announced: [String]
    /// 0: as many as the process may use CPUs.
    public var workers: Int
    /// Ties each worker to one CPU.
    public var pinsWorkers: Bool
    /// Where the CPU is full, media goes first: the workers get a lower nice value; without the privilege for that,
    /// every other thread of the process gets a higher one, for good.
    public var workersGoFirst = false
    public var acceptsTCP: Bool
    /// UDP generic segmentation offload, where the kernel has it.
    public var usesSegmentation: Bool
    /// Bytes of each UDP socket; the kernel may grant less.
    public var receiveBufferBytes: Int
    public var sendBufferBytes: Int
    /// How long an ICE-TCP connection may take until its first authenticated check.
    public var streamCheckTimeout: Interval
    /// How often each worker reports `Event.counters`.
    public var counterInterval = Limits.MediaIO.counterInterval
    /// Sessions of one room on one worker, before the room takes another worker.
    public var roomSeatsPerWorker = Limits.MediaIO.roomSeatsPerWorker
    /// How long audio may wait so that packets of several speakers share one send.
    public var audioWindow = Limits.Media.audioWindow
    /// Subscribers get what their path carries, else all that they want.
    public var limitsBandwidth = true
    /// nil: the system's randomness. A seed is for tests only.
    public var seed: UInt64?

    public init(
        certificate: DTLSCertificate,
        epoch: String,
        listen: [ListenAddress],
        announced: [String] = [],
        workers: Int = 0,
        pinsWorkers: Bool = false,
        acceptsTCP: Bool = true,
        usesSegmentation: Bool = true,
        receiveBufferBytes: Int = Limits.MediaIO.receiveBufferBytes,
        sendBufferBytes: Int = Limits.MediaIO.sendBufferBytes,
        streamCheckTimeout: Interval = Limits.MediaIO.streamCheckTimeout,
        seed: UInt64? = nil
    ) {
        self.certificate = certificate
        self.epoch = epoch
        self.listen = listen
        self.announced = announced
        self.workers = workers
        self.pinsWorkers = pinsWorkers
        self.acceptsTCP = acceptsTCP
        self.usesSegmentation = usesSegmentation
        self.receiveBufferBytes = receiveBufferBytes
        self.sendBufferBytes = sendBufferBytes
        self.streamCheckTimeout = streamCheckTimeout
        self.seed = seed
    }
}

/// Why the media plane cannot start; the text is meant for the operator.
public enum MediaError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A listen address that cannot be read.
    case address(String, String)
    /// Nothing to listen on.
    case noListenAddress
    /// The port could not be opened: network, address with port, reason.
    case bind(network: String, address: String, reason: String)
    /// No address that a client could reach.
    case noCandidate
    /// A system resource is missing: what, reason.
    case system(String, String)
    /// A server runs once: it was started or stopped before.
    case notStartable

    public var description: String {
        switch self {
        case .address(let text, let reason): "cannot listen on \"\(text)\": \(reason)"
        case .noListenAddress: "no listen address is set"
        case .bind(let network, let address, let reason): "cannot open \(network) \(address): \(reason)"
        case .noCandidate: "no network interface has an address to offer; set an announced address"
        case .system(let what, let reason): "\(what): \(reason)"
        case .notStartable: "this media server was started or stopped before"
        }
    }
}
