// Keys from a file: what is written can be read, and what is wrong is said without a key.
import CLinux
import Foundation
import PeerTransport
import Testing

@testable import Load

@Suite struct KeyFileTests {
    private func file(_ profile: SRTPProfile = .aeadAES128GCM, subscribers: Int = 3) throws -> KeyFile {
        let server = try #require(clinux_address(text: "127.0.0.1:17990"))
        return try KeyFile(profile: profile, server: server, subscribers: subscribers)
    }

    @Test(arguments: [SRTPProfile.aeadAES128GCM, .aes128CMSHA1_80])
    func whatIsWrittenIsRead(profile: SRTPProfile) throws {
        let written = try file(profile)
        let read = try KeyFile(parsing: "# a comment\n\n" + written.text + "\n")
        #expect(read.profile == profile && read.text == written.text)
        #expect(read.subscribers.map(\.address.port) == [17_992, 17_993, 17_994])
        #expect(read.publisher.address.port == 17_991 && read.server.port == 17_990)
        #expect(read.publisher.outgoing.count == profile.keyLength + profile.saltLength)
        #expect(written.text.split(separator: "\n").allSatisfy { $0.utf8.count <= 300 })
    }

    @Test func everybodyHasOtherKeys() throws {
        let file = try file()
        let keys = (file.subscribers + [file.publisher]).flatMap { [$0.outgoing, $0.incoming] }
        #expect(Set(keys).count == 8)
    }

    @Test func theOrderIsFree() throws {
        let lines = try file().text.split(separator: "\n").map(String.init)
        let turned = [lines[0]] + lines.dropFirst().reversed()
        let read = try KeyFile(parsing: turned.joined(separator: "\r\n"))
        #expect(read.subscribers.map(\.address.port) == [17_994, 17_993, 17_992])
    }

    @Test(arguments: [
        ("sfu-keys 1", "sfu-keys 2", "begin with"), ("profile AEAD_AES_128_GCM", "profile NULL", "line 2"),
        ("server 127.0.0.1:17990", "server host:1", "line 3"), ("publisher", "subscriber", "publisher"),
        ("subscriber 127.0.0.1:17993", "subscriber 127.0.0.1", "line 6"),
        ("subscriber 127.0.0.1:17993 ", "subscriber 127.0.0.1:17993 0", "line 6"),
        ("subscriber 127.0.0.1:17993", "viewer 127.0.0.1:17993", "line 6"),
    ])
    func saysWhatIsWrong(from: String, to: String, reason: String) throws {
        let text = try file().text
        let place = try #require(text.range(of: from))
        let key = try #require(text.split(separator: " ").last).prefix(56)
        do {
            _ = try KeyFile(parsing: text.replacingCharacters(in: place, with: to))
            Issue.record("it was taken")
        } catch let error as LoadError {
            #expect(error.description.contains(reason), "\(error)")
            #expect(!error.description.contains(key))
        }
    }

    @Test func portsHaveAnEnd() throws {
        let server = try #require(clinux_address(text: "[::1]:65500"))
        #expect(throws: LoadError.self) {
            try KeyFile(profile: .aeadAES128GCM, server: server, subscribers: 35)
        }
        let file = try KeyFile(profile: .aeadAES128GCM, server: server, subscribers: 34)
        #expect(try KeyFile(parsing: file.text).server.isLoopback)
        #expect(file.server.text == "[::1]:65500")
    }
}
