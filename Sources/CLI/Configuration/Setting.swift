// The settings of the server, as one table: file key, environment variable, flag, what it means. Documentation and
// `sfu serve --help` follow it; nothing else may be set.
import RTP

struct Setting: Sendable {
    enum Form: Sendable {
        case text, list, whole, flag
    }

    /// In the file, with dots between levels.
    let key: String
    let flag: String?
    let form: Form
    let fallback: String
    let help: String

    /// `http.listen` → `SFU_HTTP_LISTEN`.
    var variable: String {
        "SFU_" + key.uppercased().map { $0 == "." || $0 == "-" ? "_" : String($0) }.joined()
    }

    static let keysPrefix = "keys."

    static let all: [Setting] = [
        Setting(
            key: "http.listen",
            flag: "http",
            form: .list,
            fallback: "127.0.0.1:8080",
            help: "where the page, signaling, WHIP and WHEP are served"
        ),
        Setting(
            key: "http.tls.certificate",
            flag: "tls-certificate",
            form: .text,
            fallback: "",
            help: "PEM file with the certificate and its chain; read again when it changes"
        ),
        Setting(
            key: "http.tls.key",
            flag: "tls-key",
            form: .text,
            fallback: "",
            help: "PEM file with the certificate's private key"
        ),
        Setting(
            key: "http.origins",
            flag: "origin",
            form: .list,
            fallback: "",
            help: "pages of other hosts that may open signaling sockets, such as https://chat.example"
        ),
        Setting(
            key: "http.cors",
            flag: "cors",
            form: .list,
            fallback: "",
            help: "pages of other hosts that may use WHIP and WHEP"
        ),
        Setting(
            key: "http.trusted-proxies",
            flag: "trusted-proxy",
            form: .list,
            fallback: "",
            help: "address ranges whose X-Forwarded-* headers count, such as 10.0.0.0/8"
        ),
        Setting(
            key: "http.metrics-token",
            flag: nil,
            form: .text,
            fallback: "",
            help: "bearer token that /metrics asks for; empty: everybody may read it"
        ),
        Setting(
            key: "http.mint-tokens",
            flag: nil,
            form: .flag,
            fallback: "false",
            help:
                "whether POST /v1/tokens mints join tokens for holders of a server token; meant for prototypes"
        ),
        Setting(
            key: "media.listen",
            flag: "media",
            form: .list,
            fallback: ":7882",
            help: "UDP and ICE-TCP port of all media"
        ),
        Setting(
            key: "media.announce",
            flag: "announce",
            form: .list,
            fallback: "",
            help: "addresses or names that clients reach this machine by, behind 1:1 NAT"
        ),
        Setting(
            key: "media.workers",
            flag: "workers",
            form: .whole,
            fallback: "0",
            help: "media threads; 0: one for each CPU"
        ),
        Setting(
            key: "media.room-seats",
            flag: nil,
            form: .whole,
            fallback: "\(Limits.MediaIO.roomSeatsPerWorker)",
            help: "sessions of one room on one media thread, before it takes another"
        ),
        Setting(
            key: "media.audio-window",
            flag: nil,
            form: .whole,
            fallback: "\(Limits.Media.audioWindow.milliseconds)",
            help: "milliseconds that audio may wait, so that packets of several speakers share a send"
        ),
        Setting(
            key: "media.bandwidth-estimation",
            flag: nil,
            form: .flag,
            fallback: "true",
            help: "whether subscribers get what their path carries; else all that they want"
        ),
        Setting(
            key: "media.tcp",
            flag: "media-tcp",
            form: .flag,
            fallback: "true",
            help: "whether media may come by ICE-TCP"
        ),
        Setting(
            key: "media.segmentation",
            flag: nil,
            form: .flag,
            fallback: "true",
            help: "whether several packets share one send (UDP GSO) where the kernel can"
        ),
        Setting(
            key: "media.max-bitrate.camera",
            flag: nil,
            form: .whole,
            fallback: "\(Limits.BitrateLimit.camera / 1000)",
            help: "kbit/s that a camera may send with all its encodings; 0: no maximum"
        ),
        Setting(
            key: "media.max-bitrate.screen",
            flag: nil,
            form: .whole,
            fallback: "\(Limits.BitrateLimit.screen / 1000)",
            help: "the same of a shared screen"
        ),
        Setting(
            key: "media.max-bitrate.mic",
            flag: nil,
            form: .whole,
            fallback: "\(Limits.BitrateLimit.mic / 1000)",
            help: "the same of a microphone, with redundancy"
        ),
        Setting(
            key: "media.max-bitrate.screen-audio",
            flag: nil,
            form: .whole,
            fallback: "\(Limits.BitrateLimit.screenAudio / 1000)",
            help: "the same of the sound of a screen"
        ),
        Setting(
            key: "link.socket",
            flag: "socket",
            form: .text,
            fallback: "",
            help: "Unix socket between `sfu media` and `sfu gateway`; media.sock in the data directory"
        ),
        Setting(
            key: "data",
            flag: "data",
            form: .text,
            fallback: "sfu-data",
            help: "directory for what outlives the process; $STATE_DIRECTORY under systemd"
        ),
        Setting(
            key: "limits.rooms",
            flag: nil,
            form: .whole,
            fallback: "",
            help: "rooms at a time"
        ),
        Setting(
            key: "limits.participants",
            flag: nil,
            form: .whole,
            fallback: "",
            help: "participants of one room"
        ),
        Setting(
            key: "events.hours",
            flag: nil,
            form: .whole,
            fallback: "",
            help: "how long events of rooms are kept"
        ),
        Setting(
            key: "events.count",
            flag: nil,
            form: .whole,
            fallback: "",
            help: "how many events of rooms are kept"
        ),
        Setting(
            key: "events.megabytes",
            flag: nil,
            form: .whole,
            fallback: "",
            help: "how large the log of events may become"
        ),
        Setting(
            key: "events.return-seconds",
            flag: nil,
            form: .whole,
            fallback: "",
            help: "after a restart, how long people have to come back before they are told as gone"
        ),
        Setting(
            key: "telemetry.endpoint",
            flag: nil,
            form: .text,
            fallback: "",
            help: "collector of traces (OTLP/HTTP), such as http://127.0.0.1:4318; empty: no traces"
        ),
        Setting(
            key: "telemetry.headers",
            flag: nil,
            form: .list,
            fallback: "",
            help: "what goes along to the collector, name=value; secret"
        ),
        Setting(
            key: "telemetry.sample-ratio",
            flag: nil,
            form: .text,
            fallback: "1",
            help: "share of the traces that begin here, 0 to 1; others follow their parent"
        ),
        Setting(
            key: "telemetry.service",
            flag: nil,
            form: .text,
            fallback: "sfu",
            help: "the name of this service in traces"
        ),
        Setting(
            key: "log.level",
            flag: "log-level",
            form: .text,
            fallback: "info",
            help: "trace, debug, info, notice, warning, error or critical"
        ),
        Setting(
            key: "log.format",
            flag: "log-format",
            form: .text,
            fallback: "text",
            help: "text or json"
        ),
    ]

    /// What may stand in a file: settings, the mappings that hold them, and `keys`.
    static let fileKeys: [String] = {
        let levels = all.flatMap { setting in
            let words = setting.key.split(separator: ".")
            return words.indices.map { words[...$0].joined(separator: ".") }
        }
        return Set(levels + ["keys", WebhookSettings.key]).sorted()
    }()

    static func named(_ key: String) -> Setting? { all.first { $0.key == key } }
}

/// What is wrong with the settings, in words for the operator.
struct SettingError: Error, Equatable, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

enum Nearest {
    /// The candidate that a typing error may have meant, nil where none is near.
    static func name(to word: String, in candidates: [String]) -> String? {
        let ranked = candidates.map { ($0, distance(word, $0)) }.min { $0.1 < $1.1 }
        guard let (name, distance) = ranked, distance <= max(2, word.count / 3) else { return nil }
        return name
    }

    /// Levenshtein distance.
    static func distance(_ a: String, _ b: String) -> Int {
        let a = Array(a)
        let b = Array(b)
        var row = Array(0...b.count)
        for i in 0..<a.count {
            var diagonal = row[0]
            row[0] = i + 1
            for j in 0..<b.count {
                let above = row[j + 1]
                row[j + 1] = a[i] == b[j] ? diagonal : 1 + min(diagonal, min(above, row[j]))
                diagonal = above
            }
        }
        return row[b.count]
    }
}
