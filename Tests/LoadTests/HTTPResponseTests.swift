// Responses as they come: in pieces, chunked, without a length, broken.
import Testing

@testable import Load

@Suite struct HTTPResponseTests {
    private static let created =
        "HTTP/1.1 201 Created\r\nLocation: /whep/r/u/se_1\r\ncontent-length: 5\r\n\r\nv=0\r\n"

    private func read(_ text: String, isEnd: Bool = false) -> HTTPResponse.Reading {
        HTTPResponse.read(Array(text.utf8), isEnd: isEnd)
    }

    @Test func isCompleteOnlyWithItsLastByte() {
        let bytes = Array(Self.created.utf8)
        for length in bytes.indices {
            #expect(HTTPResponse.read(Array(bytes[..<length]), isEnd: false) == .incomplete)
        }
        let whole = HTTPResponse(
            status: 201,
            headers: ["location": "/whep/r/u/se_1", "content-length": "5"],
            body: Array("v=0\r\n".utf8)
        )
        #expect(read(Self.created) == .complete(whole))
    }

    @Test func readsChunks() {
        let text =
            "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nv=0\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n"
        guard case .complete(let response) = read(text) else {
            Issue.record("not complete")
            return
        }
        #expect(String(decoding: response.body, as: UTF8.self) == "v=00123456789")
        #expect(read(String(text.utf8.dropLast(8)) ?? "") == .incomplete)
        #expect(read(String(text.utf8.dropLast(8)) ?? "", isEnd: true) == .malformed)
    }

    @Test func withoutALengthTheEndOfTheConnectionCounts() {
        let text = "HTTP/1.1 200 OK\r\n\r\nabc"
        #expect(read(text) == .incomplete)
        #expect(
            read(text, isEnd: true)
                == .complete(HTTPResponse(status: 200, headers: [:], body: Array("abc".utf8)))
        )
        #expect(
            read("HTTP/1.1 204 No Content\r\n\r\n")
                == .complete(HTTPResponse(status: 204, headers: [:], body: []))
        )
    }

    @Test(arguments: [
        "SSH-2.0-x\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ])
    func refusesGarbage(text: String) {
        #expect(read(text) == .malformed)
    }
}
