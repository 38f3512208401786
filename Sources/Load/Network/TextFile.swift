// Small files that are read or written whole. Must not know what is in them.
import Foundation
import Glibc
import RTP

enum TextFile {
    /// - Throws: `LoadError` where it cannot be read, or is larger than `Limits.Load.fileBytes`.
    static func read(_ path: String) throws -> String {
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw LoadError("\(path): cannot be read")
        }
        defer { try? handle.close() }
        guard let data = try? handle.read(upToCount: Limits.Load.fileBytes + 1) ?? Data() else {
            throw LoadError("\(path): cannot be read")
        }
        guard data.count <= Limits.Load.fileBytes else {
            throw LoadError("\(path): larger than \(Limits.Load.fileBytes) bytes")
        }
        return String(decoding: data, as: UTF8.self)
    }

    /// For nobody else to read (0600), since there may be keys in it.
    /// - Throws: `LoadError` where it cannot be written.
    static func write(_ text: String, to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw LoadError("\(path): \(HTTPExchange.reason(errno))") }
        fchmod(descriptor, 0o600)
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        do {
            try handle.write(contentsOf: Data(text.utf8))
            try handle.close()
        } catch {
            throw LoadError("\(path): cannot be written")
        }
    }
}
