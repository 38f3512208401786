// Where libFuzzer enters. One binary holds all targets: the environment names the one that runs. Knows no property.
import FuzzTargets
import Glibc

private let target: FuzzTarget = {
    let name = getenv("SFU_FUZZ_TARGET").map { String(cString: $0) } ?? ""
    if let target = FuzzTarget.named(name) { return target }
    for target in FuzzTarget.all { print(target.name, target.longestInput) }
    exit(name.isEmpty ? 0 : 2)
}()

/// Lists the targets and ends where the environment names none.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(
    _ count: UnsafeMutablePointer<CInt>?,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>?
) -> CInt {
    _ = target
    return 0
}

/// `bytes` lie in memory of exactly `count` bytes. A violation ends the process: that is how libFuzzer learns of it.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let bytes else { return 0 }
    do {
        try target.run(bytes, count: count)
    } catch {
        print("violation in \(target.name): \(error)")
        fflush(nil)
        abort()
    }
    return 0
}
