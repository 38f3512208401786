import PeerTransport
import RTP
import Testing

@testable import MediaIO

extension MediaIOTests {
    @Suite struct ForeignPathsTests {
        private func path(_ n: Int) -> NetworkPath {
            NetworkPath(
                remote: IPAddress(v4: UInt32(0x0a00_0000 + n / 50)),
                remotePort: UInt16(1000 + n % 50),
                local: loopback
            )
        }

        private let start = Instant(microseconds: 5_000_000_000)

        @Test func learnsMovesAndForgets() {
            let table = ForeignPaths(salt: 1)
            #expect(table.owner(of: path(1), at: start) == -1)
            table.confirm(path(1), owner: 2, at: start)
            #expect(table.owner(of: path(1), at: start) == 2)
            #expect(table.owner(of: path(2), at: start) == -1)
            table.confirm(path(1), owner: 3, at: start)
            #expect(table.owner(of: path(1), at: start) == 3)
            #expect(table.count == 1)
            table.forget(path(1), owner: 2)
            #expect(table.owner(of: path(1), at: start) == 3, "only the owner may say that it is gone")
            table.forget(path(1), owner: 3)
            #expect(table.owner(of: path(1), at: start) == -1)
            #expect(table.count == 0)
        }

        @Test func asksAgainAfterAWhile() {
            let table = ForeignPaths(salt: 1)
            #expect(table.wantsConfirmation(of: path(1), from: 2, at: start))
            table.confirm(path(1), owner: 2, at: start)
            #expect(!table.wantsConfirmation(of: path(1), from: 2, at: start + .seconds(14)))
            #expect(table.wantsConfirmation(of: path(1), from: 2, at: start + .seconds(16)))
            #expect(table.wantsConfirmation(of: path(1), from: 0, at: start), "another owner")
        }

        @Test func idlePathsAreSweptAndBusyOnesStay() {
            let table = ForeignPaths(salt: 9)
            for n in 0..<3000 { table.confirm(path(n), owner: 1, at: start) }
            let later = start + .seconds(119)
            for n in stride(from: 0, to: 3000, by: 3) { #expect(table.owner(of: path(n), at: later) == 1) }
            let end = start + .seconds(125)
            for _ in 0..<8 { table.sweep(at: end) }
            #expect(table.count == 1000)
            for n in 0..<3000 { #expect(table.owner(of: path(n), at: end) == (n % 3 == 0 ? 1 : -1)) }
        }

        @Test func theBoundHoldsAndTheLongestUnusedGoFirst() {
            let table = ForeignPaths(limit: 500, salt: 5)
            for n in 0..<500 { table.confirm(path(n), owner: 1, at: start) }
            let later = start + .seconds(60)
            for n in 0..<100 { _ = table.owner(of: path(n), at: later) }
            for n in 500..<700 { table.confirm(path(n), owner: 2, at: later) }
            #expect(table.count == 500)
            let busy = (0..<100).filter { table.owner(of: path($0), at: later) == 1 }.count
            #expect(busy >= 95, "\(busy) of 100 used paths are left")
            for n in 690..<700 { #expect(table.owner(of: path(n), at: later) == 2) }
        }

        @Test(arguments: [1, 2, 3] as [UInt64]) func agreesWithADictionary(seed: UInt64) {
            let table = ForeignPaths(salt: seed)
            var model: [NetworkPath: Int] = [:]
            var state = seed
            for step in 0..<20_000 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                let one = path(Int(state >> 33) % 700)
                if state >> 60 < 6 {
                    table.forget(one)
                    model[one] = nil
                } else {
                    let owner = Int(state >> 50) % 4
                    table.confirm(one, owner: owner, at: start)
                    model[one] = owner
                }
                if step % 500 == 0 {
                    #expect(table.count == model.count, "seed \(seed)")
                    for n in 0..<700 {
                        #expect(table.owner(of: path(n), at: start) == model[path(n)] ?? -1, "seed \(seed)")
                    }
                }
            }
        }
    }
}
