import PeerTransport
import Testing

@testable import SFU

@Suite struct PathTableTests {
    @Test(arguments: 0..<20) func behavesLikeADictionary(seed: UInt64) {
        var random = RandomSource.seeded(seed)
        var table = PathTable(capacity: 4)
        var model: [NetworkPath: Int32] = [:]
        var wrong = 0
        for _ in 0..<3000 {
            let path = NetworkPath(
                remote: IPAddress(v4: UInt32.random(in: 0..<40, using: &random)),
                remotePort: UInt16.random(in: 0..<8, using: &random),
                connection: Bool.random(using: &random) ? -1 : 3
            )
            let session = Int32.random(in: 0..<50, using: &random)
            if UInt8.random(in: 0..<3, using: &random) == 0 {
                let owner = Bool.random(using: &random) ? model[path] ?? session : session
                table.remove(path, of: owner)
                if model[path] == owner { model[path] = nil }
            } else {
                table.set(path, to: session)
                model[path] = session
            }
            if table.count != model.count { wrong += 1 }
        }
        for (path, session) in model where table.find(path) != session { wrong += 1 }
        #expect(wrong == 0, "seed \(seed)")
    }

    @Test func localAddressesMakeDifferentPaths() {
        var table = PathTable()
        let one = NetworkPath(remote: IPAddress(v4: 1), remotePort: 5, local: IPAddress(v4: 9))
        let two = NetworkPath(remote: IPAddress(v4: 1), remotePort: 5, local: IPAddress(v4: 10))
        table.set(one, to: 1)
        #expect(table.find(two) == -1)
    }
}
