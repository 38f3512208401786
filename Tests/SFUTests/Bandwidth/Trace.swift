// Writes what subscribers of a simulation saw as CSV, one line per 100 ms, where SFU_TRACE names a directory.
import Foundation
import RTP

@testable import SFU

enum Trace {
    @TaskLocal static var name = "run"
    private static let directory = ProcessInfo.processInfo.environment["SFU_TRACE"]

    static func write(_ downlinks: [SimulatedDownlink], seed: UInt64) {
        guard let directory else { return }
        for downlink in downlinks {
            let title = name.map { $0.isLetter || $0.isNumber ? $0 : "-" }
            let path = "\(directory)/\(String(title))-\(seed)-\(downlink.flow).csv"
            try? text(downlink).write(toFile: path, atomically: true, encoding: .utf8)
        }
    }

    private static func text(_ downlink: SimulatedDownlink) -> String {
        var text = "s,link,sent,came,dropped,lost,estimate,target,bound,spatial,temporal,queue,pacer,probe\n"
        for (index, slice) in downlink.slices.enumerated() {
            let fields = [
                slice.link / 1000, slice.sent * 80 / 1000, slice.delivered * 80 / 1000, slice.droppedPackets,
                Int(slice.loss * 10), slice.estimate / 1000, slice.target / 1000, Int(slice.bound.rawValue),
                slice.spatial, slice.temporal, Int(slice.queue.milliseconds), Int(slice.pacer.milliseconds),
                slice.probe,
            ]
            text += "\(Double(index) / 10)," + fields.map(String.init).joined(separator: ",") + "\n"
        }
        return text
    }
}
