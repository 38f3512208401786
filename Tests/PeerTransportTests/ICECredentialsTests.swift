import PeerTransport
import RTP
import Testing

@Suite struct ICECredentialsTests {
    @Test func namesTheWorker() {
        var generator = SimulatedICEClient.Generator(seed: 11)
        for worker in [0, 1, 63, 64, 1000, ICECredentials.workers - 1] {
            let credentials = ICECredentials.generate(worker: worker, using: &generator)
            #expect(ICECredentials.worker(ofUsernameFragment: credentials.usernameFragment) == worker)
        }
    }

    @Test func isLongEnoughAndMadeOfICECharacters() {
        var generator = SimulatedICEClient.Generator(seed: 12)
        let allowed = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var seen = Set<UInt8>()
        for _ in 0..<200 {
            let credentials = ICECredentials.generate(worker: 3, using: &generator)
            #expect(credentials.usernameFragment.utf8.count <= Limits.Transport.localUsernameFragmentBytes)
            #expect(credentials.password.utf8.count >= 22)
            #expect(credentials.usernameFragment.utf8.allSatisfy(allowed.contains))
            #expect(credentials.password.utf8.allSatisfy(allowed.contains))
            seen.formUnion(credentials.password.utf8)
        }
        #expect(seen == allowed)
    }

    @Test func isUnique() {
        var generator = SimulatedICEClient.Generator(seed: 13)
        let made = (0..<10_000).map { _ in ICECredentials.generate(worker: 0, using: &generator) }
        #expect(Set(made.map(\.usernameFragment)).count == made.count)
        #expect(Set(made.map(\.password)).count == made.count)
    }

    @Test func refusesForeignFragments() {
        for fragment in ["", "AB", "evtj", "ABserver0", "ABserver012", "A:server01", "\u{e4}server01"] {
            #expect(ICECredentials.worker(ofUsernameFragment: fragment) == nil, "\(fragment)")
        }
    }
}
