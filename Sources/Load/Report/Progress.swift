// One line on a terminal that says how far a run is, written over and over; nothing where standard error is no terminal.
import Glibc

final class Progress {
    let isShown: Bool
    private var hasLine = false

    /// - Parameter isWanted: false: nothing is shown, terminal or not.
    init(isWanted: Bool = true) { isShown = isWanted && isatty(STDERR_FILENO) == 1 }

    func show(_ text: String) {
        guard isShown else { return }
        hasLine = true
        write("\r\u{1b}[2K" + String(text.prefix(width - 1)))
    }

    /// Takes the line away.
    func end() {
        guard hasLine else { return }
        hasLine = false
        write("\r\u{1b}[2K")
    }

    private var width: Int {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 10 else { return 80 }
        return Int(size.ws_col)
    }

    private func write(_ text: String) {
        var text = text
        text.withUTF8 { bytes in _ = Glibc.write(STDERR_FILENO, bytes.baseAddress, bytes.count) }
    }
}
