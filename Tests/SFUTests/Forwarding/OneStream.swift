// One publication with one encoding that no packet came for yet, for tests of what reads a `ReceiveStream`.
import PeerTransport
import RTP
import Seam

@testable import SFU

final class OneStream {
    let source: UnsafeMutablePointer<ReceiveStream>
    private let publication: Publication
    private let session: Session

    init() throws {
        var random = RandomSource.seeded(1)
        let certificate = try DTLSCertificate.generate()
        let remote = RemoteTransport(
            ice: ICECredentials.generate(worker: 1, using: &random),
            fingerprints: [certificate.fingerprint],
            setup: .active
        )
        let local = ICECredentials.generate(worker: 0, using: &random)
        let transport = try Transport(
            local: local,
            remote: remote,
            role: .server,
            context: DTLSContext(certificate: certificate),
            at: .zero
        )
        let room = Room(id: RoomID("r_1"))
        session = Session(
            open: OpenSession(
                session: SessionID("s_1"),
                room: room.id,
                participant: ParticipantID("p_1"),
                user: UserID("u_1"),
                remote: remote
            ),
            room: room,
            index: 0,
            transport: transport,
            local: LocalTransport(
                ice: local,
                candidates: [],
                fingerprints: [certificate.fingerprint],
                setup: .passive
            ),
            timers: TimerQueue(),
            reportSSRC: 1
        )
        let section = MediaSection(
            mid: "0",
            kind: .video,
            codecs: [],
            extensions: [],
            receive: [EncodingParameters(ssrc: 2)]
        )
        publication = Publication(
            id: PublicationID("t_1"),
            media: SectionMedia(section: section, publication: PublicationID("t_1"), source: .camera),
            uplink: session.uplink,
            room: room,
            ordinal: 1
        )
        source = publication.layers
    }
}
