// The server's identity and the judgement over the peer's (RFC 8122).
import RTP
import Testing

@testable import PeerTransport

struct DTLSCertificateTests {
    @Test func generatedCertificatesDiffer() throws {
        let one = try DTLSCertificate.generate()
        let other = try DTLSCertificate.generate()
        #expect(one.fingerprint.algorithm == "sha-256")
        #expect(one.fingerprint.digest.count == 32)
        #expect(one.fingerprint != other.fingerprint)
    }

    @Test func keptAsPEM() throws {
        let original = try DTLSCertificate.generate()
        let certificatePEM = try original.certificatePEM()
        let privateKeyPEM = try original.privateKeyPEM()
        #expect(certificatePEM.hasPrefix("-----BEGIN CERTIFICATE-----"))
        #expect(privateKeyPEM.hasPrefix("-----BEGIN PRIVATE KEY-----"))
        let again = try DTLSCertificate(certificatePEM: certificatePEM, privateKeyPEM: privateKeyPEM)
        #expect(again.fingerprint == original.fingerprint)
        let link = try DTLSFixture.connected(server: DTLSFixture.context(again))
        #expect(link.isConnected)
        #expect(link.client.peerMatches([original.fingerprint]))
    }

    @Test func foreignKeysAndGarbageAreRefused() throws {
        let one = try DTLSCertificate.generate()
        let other = try DTLSCertificate.generate()
        #expect(throws: DTLSError.self) {
            try DTLSCertificate(certificatePEM: one.certificatePEM(), privateKeyPEM: other.privateKeyPEM())
        }
        #expect(throws: DTLSError.self) {
            try DTLSCertificate(certificatePEM: "hello", privateKeyPEM: one.privateKeyPEM())
        }
        #expect(throws: DTLSError.self) {
            try DTLSCertificate(certificatePEM: one.certificatePEM(), privateKeyPEM: "")
        }
    }

    @Test func strongestFingerprintDecides() throws {
        let certificate = try DTLSCertificate.generate()
        let link = try DTLSFixture.connected(client: DTLSFixture.context(certificate))
        let right = certificate.fingerprint
        let wrong = Fingerprint(algorithm: "sha-256", digest: [UInt8](repeating: 1, count: 32))
        let wrongStrong = Fingerprint(algorithm: "sha-512", digest: [UInt8](repeating: 1, count: 64))
        #expect(link.server.peerMatches([right]))
        #expect(link.server.peerMatches([wrong, right]), "several lines of one hash: any may match")
        #expect(link.server.peerMatches([Fingerprint(algorithm: "SHA-256", digest: right.digest)]))
        #expect(link.server.peerMatches([Fingerprint(algorithm: "md2", digest: [1]), right]))
        #expect(!link.server.peerMatches([wrong]))
        #expect(!link.server.peerMatches([]))
        #expect(!link.server.peerMatches([right, wrongStrong]), "the stronger hash alone counts")
        #expect(!link.server.peerMatches([Fingerprint(algorithm: "sha-256", digest: [])]))
        #expect(
            !link.server.peerMatches([
                Fingerprint(algorithm: "sha-256", digest: Array(right.digest.dropLast()))
            ])
        )
    }

    @Test func weakHashesAreRefused() throws {
        let link = try DTLSFixture.connected()
        #expect(
            !link.server.peerMatches([
                Fingerprint(algorithm: "sha-1", digest: [UInt8](repeating: 0, count: 20))
            ])
        )
    }

    @Test(arguments: ["sha-256", "sha-384", "sha-512"])
    func strongHashesAreComputed(algorithm: String) throws {
        let link = try DTLSFixture.connected()
        let length = ["sha-256": 32, "sha-384": 48, "sha-512": 64][algorithm]
        let digest = try #require(link.server.peerDigest(algorithm))
        #expect(digest.count == length)
        #expect(link.server.peerMatches([Fingerprint(algorithm: algorithm, digest: digest)]))
    }

    @Test func nobodyMatchesBeforeTheHandshake() throws {
        let certificate = try DTLSCertificate.generate()
        let link = try DTLSFixture.link(client: DTLSFixture.context(certificate))
        #expect(!link.server.peerMatches([certificate.fingerprint]))
    }
}
