// The contracts as files of the repository: what they should be, and whether they are. Written where the environment has
// SFU_WRITE_CONTRACTS, compared otherwise.
import Foundation
import Testing

@testable import Signaling

enum ContractFiles {
    static let command = "SFU_WRITE_CONTRACTS=1 swift test --filter ContractsTests"
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../..").standardized
    static var isWriting: Bool { ProcessInfo.processInfo.environment["SFU_WRITE_CONTRACTS"] != nil }

    static func read(_ path: String) throws -> String {
        try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
    }

    /// All comments of the sources whose types are on the wire.
    static func comments() throws -> SourceComments { try commented.get() }

    private static let commented = Result {
        var sources: [String] = []
        for folder in ["RTP", "Seam", "Signaling"] {
            let url = root.appendingPathComponent("Sources/\(folder)")
            let files = FileManager.default.enumerator(at: url, includingPropertiesForKeys: nil)
            let paths = (files?.compactMap { $0 as? URL } ?? []).filter { $0.pathExtension == "swift" }
            for file in paths.sorted(by: { $0.path < $1.path }) {
                sources.append(try String(contentsOf: file, encoding: .utf8))
            }
        }
        return SourceComments(sources: sources)
    }

    private static let made = Result { try Contract(comments: try comments()) }

    static func contract() throws -> Contract { try made.get() }

    /// Writes the file, or says that it is another one.
    static func check(_ path: String, is text: String, sourceLocation: SourceLocation = #_sourceLocation)
        throws
    {
        let file = root.appendingPathComponent(path)
        let committed = try? String(contentsOf: file, encoding: .utf8)
        guard committed != text else { return }
        guard !isWriting else { return try Data(text.utf8).write(to: file) }
        let place = firstDifference(committed ?? "", text)
        Issue.record(
            "\(path) is not what the sources say (\(place)). Write it anew: \(command)",
            sourceLocation: sourceLocation
        )
    }

    private static func firstDifference(_ old: String, _ new: String) -> String {
        let was = old.split(separator: "\n", omittingEmptySubsequences: false)
        let now = new.split(separator: "\n", omittingEmptySubsequences: false)
        let line = zip(was, now).firstIndex { $0 != $1 } ?? min(was.count, now.count)
        let text = now.indices.contains(line) ? String(now[line].prefix(120)) : "the end"
        return "line \(line + 1) should be: \(text)"
    }
}

extension Sequence {
    fileprivate func firstIndex(where isWanted: (Element) -> Bool) -> Int? {
        for (index, element) in enumerated() where isWanted(element) { return index }
        return nil
    }
}
