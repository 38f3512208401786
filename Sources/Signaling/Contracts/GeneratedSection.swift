// A part of a file that a program writes between two marked lines, in a file that people write. Must not know what is in it.

/// The lines that carry `begin generated NAME` and `end generated NAME` stay; what is between them is replaced.
enum GeneratedSection {
    struct Missing: Error, CustomStringConvertible {
        var name: String
        var description: String {
            "no lines \"begin generated \(name)\" and \"end generated \(name)\" in this order"
        }
    }

    /// Throws `Missing` where a mark is missing.
    static func replace(_ name: String, with text: String, in file: String) throws(Missing) -> String {
        let lines = file.split(separator: "\n", omittingEmptySubsequences: false)
        guard let begin = lines.firstIndex(where: { $0.contains("begin generated \(name)") }),
            let end = lines[begin...].firstIndex(where: { $0.contains("end generated \(name)") })
        else { throw Missing(name: name) }
        let new = text.split(separator: "\n", omittingEmptySubsequences: false)
        return (lines[...begin] + new + lines[end...]).joined(separator: "\n")
    }
}
