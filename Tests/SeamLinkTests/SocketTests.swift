import Glibc
import RTP
import Testing

@testable import SeamLink

@Suite struct SocketTests {
    private func mode(_ path: String) -> mode_t? {
        var status = stat()
        return lstat(path, &status) == 0 ? status.st_mode : nil
    }

    private func touch(_ path: String) throws {
        let descriptor = open(path, O_CREAT | O_WRONLY, 0o600)
        try #require(descriptor >= 0)
        close(descriptor)
    }

    @Test func onlyItsOwnerMayConnect() async throws {
        try await LinkFixture.run { link in
            let mask = umask(0)
            let socket = try ListeningSocket(path: link.path)
            umask(mask)
            #expect(mode(link.path) == S_IFSOCK | 0o600)
            #expect(mode(link.path + ".lock") == S_IFREG | 0o600)
            close(socket.descriptor)
            socket.release()
            #expect(mode(link.path) == nil)
        }
    }

    @Test func aSecondMediaPlaneIsRefused() async throws {
        try await LinkFixture.run { link in
            try await link.server(FakePlane())
            let error = await #expect(throws: LinkSocketError.self) { try await link.server(FakePlane()) }
            #expect(error?.description == "another media plane listens on \(link.path)")
            let (_, events) = try await link.client()
            #expect(await events.states(1) == ["e"])
        }
    }

    /// Somebody listens who does not know of the lock.
    @Test func aSocketThatAnswersIsNotTaken() async throws {
        try await LinkFixture.run { link in
            let first = try ListeningSocket(path: link.path)
            unlink(link.path + ".lock")
            let error = #expect(throws: LinkSocketError.self) { try ListeningSocket(path: link.path) }
            #expect(error?.description == "another media plane listens on \(link.path)")
            close(first.descriptor)
            first.release()
        }
    }

    @Test func whatACrashLeftIsReplaced() async throws {
        try await LinkFixture.run { link in
            // A socket file that nobody listens on, and a lock file that nobody holds.
            let crashed = try ListeningSocket(path: link.path)
            close(crashed.descriptor)
            let hidden = link.path + "x"
            try #require(rename(link.path, hidden) == 0)
            crashed.release()
            try #require(rename(hidden, link.path) == 0)
            try await link.server(FakePlane())
            let (_, events) = try await link.client()
            #expect(await events.states(1) == ["e"])
        }
    }

    @Test func aFileThatIsNoSocketIsLeftAlone() async throws {
        try await LinkFixture.run { link in
            try touch(link.path)
            let error = #expect(throws: LinkSocketError.self) { try ListeningSocket(path: link.path) }
            #expect(error?.description == "\(link.path) exists and is no socket; it is left alone")
            #expect(mode(link.path).map { $0 & S_IFMT } == S_IFREG)
        }
    }

    @Test func pathsThatCannotBeAreNamed() throws {
        let long = "/tmp/" + String(repeating: "x", count: Limits.Link.pathBytes)
        let error = #expect(throws: LinkSocketError.self) { try ListeningSocket.check(long) }
        #expect(error?.description.contains("at most 107 are possible") == true)
        #expect(throws: LinkSocketError.self) { try ListeningSocket.check("") }
        let missing = #expect(throws: LinkSocketError.self) {
            try ListeningSocket(path: "/nonexistent/media.sock")
        }
        #expect(missing?.description.contains("No such file or directory") == true)
    }
}
