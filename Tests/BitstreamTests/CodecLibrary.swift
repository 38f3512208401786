// The distribution's encoders and decoders (libvpx, libaom, x264, OpenH264, libavcodec) behind the C of Codecs/, which
// is compiled once per test run: nobody needs these libraries to build the server.
import CBitstreamCodecs
import Foundation

struct CodecLibraryError: Error, CustomStringConvertible {
    var description: String
}

/// The functions of the compiled library.
struct CodecLibrary: Sendable {
    typealias Sink = @convention(c) (UnsafeMutableRawPointer?, UnsafePointer<layer_frame>?) -> Void
    typealias Open = @convention(c) (UnsafePointer<encoder_settings>) -> OpaquePointer?
    typealias Encode =
        @convention(c) (
            OpaquePointer, Int32, Int32, Sink, UnsafeMutableRawPointer?
        ) -> Int32
    typealias Message = @convention(c) (OpaquePointer) -> UnsafePointer<CChar>
    typealias Close = @convention(c) (OpaquePointer) -> Void
    typealias Plan =
        @convention(c) (
            UnsafePointer<encoder_settings>, Int32, Sink, UnsafeMutableRawPointer?
        ) -> Void
    typealias OpenDecoder = @convention(c) (Int32) -> OpaquePointer?
    typealias Decode =
        @convention(c) (
            OpaquePointer, UnsafePointer<UInt8>, Int64, UnsafeMutablePointer<shown_picture>
        ) -> Int32

    let openEncoder: Open
    let encode: Encode
    let encoderError: Message
    let closeEncoder: Close
    let plan: Plan
    let openDecoder: OpenDecoder
    let decode: Decode
    let decoderError: Message
    let closeDecoder: Close

    /// Compiled at first use, kept for the process.
    static let shared = Result { try CodecLibrary(compiling: sources) }

    private static let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Codecs")
    private static let packages = "vpx aom x264 openh264 libavcodec libavutil"

    private init(compiling sources: URL) throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("bitstream-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let library = folder.appendingPathComponent("codecs.so").path
        let command =
            "cd '\(sources.path)' && "
            + "cc -O2 -std=gnu11 -Wall -Wextra -Werror -shared -fPIC -o '\(library)' *.c"
            + " $(pkg-config --cflags --libs \(CodecLibrary.packages))"
        let shell = Process()
        let output = Pipe()
        shell.executableURL = URL(fileURLWithPath: "/bin/sh")
        shell.arguments = ["-c", command]
        shell.standardError = output
        try shell.run()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        shell.waitUntilExit()
        guard shell.terminationStatus == 0 else {
            throw CodecLibraryError(
                description: "The codecs do not compile; `scripts/setup --tests` installs what they need.\n"
                    + String(decoding: text, as: UTF8.self)
            )
        }
        guard let handle = dlopen(library, RTLD_NOW | RTLD_LOCAL) else {
            throw CodecLibraryError(description: "The codecs do not load.")
        }
        func find<T>(_ name: String, as type: T.Type) throws -> T {
            guard let symbol = dlsym(handle, name) else {
                throw CodecLibraryError(description: "\(name) is missing")
            }
            return unsafeBitCast(symbol, to: type)
        }
        openEncoder = try find("encoder_open", as: Open.self)
        encode = try find("encoder_encode", as: Encode.self)
        encoderError = try find("encoder_error", as: Message.self)
        closeEncoder = try find("encoder_close", as: Close.self)
        plan = try find("encoder_plan", as: Plan.self)
        openDecoder = try find("decoder_open", as: OpenDecoder.self)
        decode = try find("decoder_decode", as: Decode.self)
        decoderError = try find("decoder_error", as: Message.self)
        closeDecoder = try find("decoder_close", as: Close.self)
    }
}

/// One layer frame of a real encoder.
struct LayerFrame {
    var spatial: Int
    var temporal: Int
    /// Counts the encoder's layer frames.
    var number: Int
    /// Pictures since the last key picture.
    var position: Int
    var isKey: Bool
    /// Refers to lower temporal layers only.
    var isSync: Bool
    var isInterLayer: Bool
    /// No frame of its own spatial layer refers to it.
    var isUnreferenced: Bool
    /// Numbers; the picture's own lower layer is the last where `isInterLayer`.
    var references: [Int]
    var width: Int
    var height: Int
    /// Of the picture that a decoder shows at this layer.
    var hash: UInt64
    var bytes: [UInt8]

    init(_ c: layer_frame) {
        spatial = Int(c.spatial)
        temporal = Int(c.temporal)
        number = Int(c.number)
        position = Int(c.position)
        isKey = c.is_key != 0
        isSync = c.is_sync != 0
        isInterLayer = c.is_inter_layer != 0
        isUnreferenced = c.is_unreferenced != 0
        let all = [c.references.0, c.references.1, c.references.2, c.references.3]
        references = all.prefix(Int(c.reference_count)).map { Int($0) }
        width = Int(c.width)
        height = Int(c.height)
        hash = c.hash
        bytes = Array(UnsafeBufferPointer(start: c.data, count: Int(c.size)))
    }

    /// References to earlier pictures.
    var earlier: ArraySlice<Int> { references.dropLast(isInterLayer ? 1 : 0) }
}

private final class Collector {
    var frames: [LayerFrame] = []

    static let sink: CodecLibrary.Sink = { context, frame in
        guard let context, let frame else { return }
        Unmanaged<Collector>.fromOpaque(context).takeUnretainedValue().frames.append(
            LayerFrame(frame.pointee)
        )
    }

    var context: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }
}

final class RealEncoder {
    let settings: encoder_settings
    private let library: CodecLibrary
    private let handle: OpaquePointer

    init(_ settings: encoder_settings) throws {
        library = try CodecLibrary.shared.get()
        self.settings = settings
        guard let handle = withUnsafePointer(to: settings, library.openEncoder) else {
            throw CodecLibraryError(description: "no encoder for \(settings)")
        }
        self.handle = handle
    }

    deinit { library.closeEncoder(handle) }

    /// The layer frames of one picture, lowest first.
    func encode(_ frame: Int, wantsKey: Bool) throws -> [LayerFrame] {
        let collector = Collector()
        guard library.encode(handle, Int32(frame), wantsKey ? 1 : 0, Collector.sink, collector.context) == 0
        else {
            throw CodecLibraryError(description: String(cString: library.encoderError(handle)))
        }
        return collector.frames
    }

    /// The frames of this many pictures from a key picture on, as they will hang together.
    static func plan(_ settings: encoder_settings, pictures: Int) throws -> [LayerFrame] {
        let library = try CodecLibrary.shared.get()
        let collector = Collector()
        withUnsafePointer(to: settings) {
            library.plan($0, Int32(pictures), Collector.sink, collector.context)
        }
        return collector.frames
    }
}

final class RealDecoder {
    private let library: CodecLibrary
    private let handle: OpaquePointer

    init(codec: Int32) throws {
        library = try CodecLibrary.shared.get()
        guard let handle = library.openDecoder(codec) else {
            throw CodecLibraryError(description: "no decoder for \(codec)")
        }
        self.handle = handle
    }

    deinit { library.closeDecoder(handle) }

    /// One picture; throws where the decoder has the least complaint.
    func decode(_ bytes: [UInt8]) throws -> shown_picture {
        var shown = shown_picture()
        let result = bytes.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { library.decode(handle, $0, Int64(buffer.count), &shown) } ?? -1
        }
        guard result == 0 else {
            throw CodecLibraryError(description: String(cString: library.decoderError(handle)))
        }
        return shown
    }
}
