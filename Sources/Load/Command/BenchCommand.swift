// The command line of the load client, `sfu bench`: options become plans.
import ArgumentParser
import Foundation
import Glibc
import RTP

public struct BenchCommand: ParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Loads a server with many real sessions, and says what they got and what it cost.",
        discussion: """
            Every session has a UDP socket, ICE, DTLS and SRTP of its own. Packets carry
            stamps, so that loss, latency (to the kernel's receipt) and the forwarded
            layer are known, not guessed.

            SCENARIOS
              broadcast  one publisher, many subscribers, by WHIP and WHEP
              rooms      rooms of 10; everybody hears, and with --video sees, all others
              meeting    25 cameras in three layers; everybody sees --last-n of them
              voices     1000 microphones in one room, a few take turns speaking
              storm      sessions come and go while the media of others is measured
              soak       a long run: the server's memory and gaps by interval
              broadcast, storm and soak load any server with WHIP and WHEP, the others
              one of this project.

            EXAMPLES
              sfu bench                        one publisher, 50 listeners
              sfu bench --subscribers 400 --server-pid $(pgrep -x sfu)
              sfu bench --audio-kbps 0 --video vp8 --layers 1000
              sfu bench --scenario rooms --rooms fit
              sfu bench --scenario meeting --video h264 --last-n 24
              sfu bench --scenario storm --rate 500
              sfu bench --scenario soak --seconds 86400 --interval 600 --json
              sfu bench --whip /in/{room} --whep /out/{room} --token-file jwt

            HTTP/1.1 without TLS only. Targets other than loopback are refused without
            --allow-remote: load only servers that are yours. Ctrl-C ends a run early, with a
            report. The exit status is 0 where everybody joined and was heard.
            """
    )

    @OptionGroup(title: "What") var size: SizeOptions
    @OptionGroup(title: "Target") var target: TargetOptions
    @OptionGroup(title: "Media") var media: MediaOptions
    @OptionGroup(title: "Run") var running: RunOptions
    @OptionGroup(title: "Voices") var voices: VoicesOptions
    @OptionGroup(title: "Without signaling") var keys: KeyOptions

    public init() {}

    public func validate() throws {
        guard media.audioKbps > 0 || hasVideo else {
            throw ValidationError("--audio-kbps 0 without --video: no media")
        }
        guard keys.keys == nil || scenario == .broadcast else {
            throw ValidationError("--keys is for the scenario broadcast")
        }
        guard scenario != .rooms || (Int(size.rooms) ?? 1) * people <= Limits.Load.sessions else {
            throw ValidationError("--rooms times --people: at most \(Limits.Load.sessions)")
        }
        guard scenario != .voices || media.audioKbps > 0 else {
            throw ValidationError("voices need --audio-kbps")
        }
    }

    private var scenario: Scenario { size.scenario }
    private var hasVideo: Bool { media.video != nil || scenario == .meeting }

    public func run() throws {
        do {
            if keys.writeKeys != nil { return try keys.write(subscribers: size.subscribers ?? 50) }
            raiseDescriptorLimit()
            let report = try makeReport()
            print(running.json ? try report.json() : report.table, terminator: running.json ? "\n" : "")
            guard report.isGood else { throw ExitCode.failure }
        } catch let error as LoadError {
            // Not how the command is used, but what became of it.
            FileHandle.standardError.write(Data("Error: \(error)\n".utf8))
            throw ExitCode.failure
        }
    }

    private func makeReport() throws -> any PrintableReport {
        guard scenario != .voices else {
            return try VoicesRun(try voicesPlan(), progress: Progress(isWanted: !running.quiet)).run()
        }
        return try CallRun(try callPlan(), progress: Progress(isWanted: !running.quiet)).run()
    }

    // MARK: Plans

    func callPlan() throws -> CallPlan {
        let keyFile = try keys.read()
        var plan = CallPlan(
            scenario: scenario,
            signaling: keyFile == nil ? try signaling() : nil,
            keys: keyFile,
            cast: [],
            audio: media.audio(talkPercent: scenario == .meeting ? max(1, 200 / people) : 100),
            video: media.video(scenario == .meeting ? .vp8 : nil),
            hasFeedback: running.feedback,
            sampling: .oneIn(UInt16(running.verify)),
            mergesDatagrams: running.gro,
            readsMedia: !keys.noReceive,
            seconds: running.seconds ?? (scenario == .soak ? 600 : 15),
            warmUp: running.warmUp,
            joinsAtOnce: running.joins,
            serverPID: running.serverPid,
            mediaThreads: running.mediaThreads
        )
        arrange(&plan)
        return plan
    }

    private var people: Int { size.people ?? (scenario == .meeting ? 25 : 10) }

    private func arrange(_ plan: inout CallPlan) {
        let hasAudio = plan.audio.bitsPerSecond > 0
        let hasVideo = !plan.video.layers.isEmpty
        switch scenario {
        case .broadcast, .voices, .storm, .soak:
            let standard = scenario == .storm ? 200 : 50
            plan.cast = CallPlan.broadcast(
                subscribers: plan.keys?.subscribers.count ?? size.subscribers ?? standard,
                room: target.room,
                hasAudio: hasAudio,
                hasVideo: hasVideo
            )
        case .rooms:
            let count = Int(size.rooms)
            plan.cast = CallPlan.rooms(
                0..<(count ?? Growth.firstRooms),
                people: people,
                prefix: target.room,
                hasAudio: hasAudio,
                hasVideo: hasVideo
            )
            if count == nil {
                plan.growth = Growth(
                    roomsAtMost: min(500, Limits.Load.sessions / people),
                    people: people
                )
            }
        case .meeting:
            plan.cast = CallPlan.meeting(
                people: people,
                room: target.room,
                audioSlots: hasAudio ? 3 : 0,
                lastN: min(size.lastN, people - 1)
            )
            plan.hasViews = true
        }
        if scenario == .storm { plan.churn = Churn(perSecond: size.rate ?? 100, stay: size.stay ?? 2) }
        if scenario == .soak {
            plan.churn = Churn(perSecond: size.rate ?? 1, stay: size.stay ?? 10)
            plan.interval = size.interval
        }
    }

    private func signaling() throws -> SignalingPlan {
        switch scenario {
        case .rooms, .meeting, .voices: try target.signaling { _ in .room }
        case .broadcast, .storm, .soak: try target.signaling { _ in .whip(target.endpoints) }
        }
    }

    private func voicesPlan() throws -> VoicesPlan {
        VoicesPlan(
            url: try ServerURL(target.url),
            room: target.room,
            token: try target.bearer(),
            participants: voices.participants,
            speakers: voices.speakers,
            overlap: voices.overlap,
            slots: voices.slots,
            silence: voices.silence,
            silentLevel: UInt8(voices.silentLevel),
            listeners: voices.listeners,
            seed: voices.seed,
            seconds: running.seconds ?? 15,
            warmUp: running.warmUp,
            joinsAtOnce: running.joins,
            payloadBytes: media.audio().payloadBytes,
            serverPID: running.serverPid,
            allowsRemote: target.allowRemote
        )
    }

    /// A socket for each session, and one for its signaling.
    private func raiseDescriptorLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
