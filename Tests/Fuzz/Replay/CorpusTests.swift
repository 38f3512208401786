// Every stored input through the property of its target, once: what a fuzzing run has found stays found.
import Foundation
import FuzzTargets
import Testing

private let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
private let corpus = tests.appendingPathComponent("Fuzz/corpus")

private func files(below folder: URL) throws -> [URL] {
    try FileManager.default.subpathsOfDirectory(atPath: folder.path).sorted()
        .map { folder.appendingPathComponent($0) }
        .filter { (try $0.resourceValues(forKeys: [.isRegularFileKey])).isRegularFile == true }
}

@Suite struct CorpusTests {
    @Test(arguments: FuzzTarget.all.map { $0.name })
    func everyPropertyHolds(name: String) throws {
        let target = try #require(FuzzTarget.named(name))
        var inputs = try files(below: corpus.appendingPathComponent(name))
        #expect(!inputs.isEmpty, "a target needs inputs to start from")
        if name == "sdp" { inputs += try files(below: tests.appendingPathComponent("SDPTests/Fixtures")) }
        for file in inputs {
            let bytes = [UInt8](try Data(contentsOf: file))
            do {
                try target.run(bytes)
                // Cut in the middle as well: what the parsers have to survive most.
                try target.run(Array(bytes.prefix(bytes.count / 2)))
            } catch {
                Issue.record("\(name)/\(file.lastPathComponent): \(error)")
            }
        }
    }

    @Test func everyFolderHasItsTarget() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: corpus.path)
        #expect(Set(folders) == Set(FuzzTarget.all.map { $0.name }))
    }

    @Test func emptyInputBreaksNothing() throws {
        for target in FuzzTarget.all { try target.run([]) }
    }
}
