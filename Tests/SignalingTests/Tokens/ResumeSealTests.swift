import Foundation
import RTP
import Seam
import Testing

@testable import Signaling

@Suite struct ResumeSealTests {
    private let ticket = ResumeTicket(
        session: SessionID("se_1"),
        participant: ParticipantID("pa_1"),
        number: 7,
        room: "Plénum/1",
        user: UserID("alice"),
        name: "Alice",
        device: "d1",
        fixedDevice: nil,
        kind: "web",
        role: .moderator,
        grants: .development,
        duplicates: .replace,
        attributes: ["team": "blue"],
        joinedAt: 5,
        expiresAt: 9
    )

    private func key(_ n: UInt8) -> [UInt8] { [UInt8](repeating: n, count: 32) }

    @Test func whatIsSealedIsRead() throws {
        let seal = ResumeSeal()
        let text = try #require(seal.seal(ticket))
        #expect(seal.open(text) == ticket)
        #expect(
            text.utf8.allSatisfy {
                UInt8(ascii: "-") == $0 || UInt8(ascii: "_") == $0 || isalnum(Int32($0)) != 0
            }
        )
        #expect(!text.contains("alice") && seal.seal(ticket) != text)
    }

    @Test func everyChangedByteIsNoticed() throws {
        let seal = ResumeSeal()
        let text = try #require(seal.seal(ticket))
        for i in text.indices {
            var other = text
            other.replaceSubrange(i...i, with: text[i] == "A" ? "B" : "A")
            // The last character has bits that mean nothing.
            if i != text.index(before: text.endIndex) { #expect(seal.open(other) == nil) }
        }
        for length in 0..<text.count { #expect(seal.open(String(text.prefix(length))) == nil) }
        #expect(seal.open("") == nil && seal.open("=====") == nil && seal.open("é") == nil)
        #expect(seal.open(String(repeating: "A", count: 100_000)) == nil)
    }

    @Test func olderKeysStillOpen() throws {
        let old = try #require(ResumeSeal(keys: [key(1)]))
        let new = try #require(ResumeSeal(keys: [key(2), key(1)]))
        let text = try #require(old.seal(ticket))
        #expect(new.open(text) == ticket)
        #expect(old.open(try #require(new.seal(ticket))) == nil)
        #expect(ResumeSeal(keys: []) == nil && ResumeSeal(keys: [[1, 2]]) == nil)
    }

    private func directory() throws -> String {
        let path = NSTemporaryDirectory() + "seal-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    @Test func keysSurviveInTheirFile() throws {
        let directory = try directory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let path = directory + "/" + SealKeyFile.name
        let text = try #require(try SealKeyFile.load(directory: directory).seal(ticket))
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        #expect(try SealKeyFile.load(directory: directory).open(text) == ticket)
        // When the key is old, another one takes its place, and tokens of the old one are still good.
        let later = Date().timeIntervalSince1970 + 31 * 86_400
        let rotated = try SealKeyFile.load(directory: directory, now: later)
        #expect(rotated.open(text) == ticket)
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        #expect(lines.count == 2 && lines.allSatisfy { $0.count == 64 })
        #expect(try SealKeyFile.load(directory: directory).open(try #require(rotated.seal(ticket))) == ticket)
    }

    @Test func aBrokenFileIsNotOverwritten() throws {
        let directory = try directory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let path = directory + "/" + SealKeyFile.name
        try "not a key\n".write(toFile: path, atomically: true, encoding: .utf8)
        #expect(throws: SealKeyFile.Failure.self) { try SealKeyFile.load(directory: directory) }
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "not a key\n")
    }
}
