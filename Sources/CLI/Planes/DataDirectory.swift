import class Foundation.FileManager
// The directory for what outlives the process. Must not know what is kept there.
import struct Foundation.ObjCBool

enum DataDirectory {
    /// Makes it where it is missing, for this user alone.
    ///
    /// - Throws: `SettingError` with the reason.
    static func prepare(_ path: String) throws {
        var isDirectory = ObjCBool(false)
        let files = FileManager.default
        if !files.fileExists(atPath: path, isDirectory: &isDirectory) {
            do {
                try files.createDirectory(
                    atPath: path,
                    withIntermediateDirectories: true,
                    attributes: [.posixPermissions: 0o700]
                )
            } catch {
                throw SettingError(
                    "cannot create the data directory \(path) (--data names another one): "
                        + "\(error.localizedDescription)"
                )
            }
        } else if !isDirectory.boolValue {
            throw SettingError("the data directory \(path) is no directory")
        }
        guard files.isWritableFile(atPath: path) else {
            throw SettingError("the data directory \(path) cannot be written to")
        }
    }
}
