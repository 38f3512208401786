// What the tests of sealing share: a key where it may stand, OpenSSL as oracle, memory that is watched.
import CGCM
import COpenSSL
import Glibc

/// An expanded key.
final class GCMTestKey {
    let key: UnsafeMutablePointer<cgcm_key>

    init?(_ bytes: [UInt8], _ variant: cgcm_variant) {
        key = UnsafeMutableRawPointer.allocate(
            byteCount: MemoryLayout<cgcm_key>.size,
            alignment: cgcm_alignment
        )
        .initializeMemory(as: cgcm_key.self, repeating: cgcm_key(), count: 1)
        guard cgcm_expand(key, bytes, variant) == 1 else { return nil }
    }

    deinit { UnsafeMutableRawPointer(key).deallocate() }

    var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: key, count: MemoryLayout<cgcm_key>.size)
    }

    /// `room` begins with the text; behind it is room for the tag.
    func seal(_ iv: [UInt8], _ aad: [UInt8], _ room: UnsafeMutableRawBufferPointer, count: Int) -> Bool {
        aad.withUnsafeBytes { seal(iv, $0, room, count: count) }
    }

    /// `room` begins with the text; behind it is the tag.
    func open(
        _ iv: [UInt8],
        _ aad: UnsafeRawBufferPointer,
        _ room: UnsafeMutableRawBufferPointer,
        count: Int
    ) -> Bool {
        guard let text = room.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return false }
        let associated = aad.baseAddress?.assumingMemoryBound(to: UInt8.self)
        return cgcm_open(key, iv, associated, aad.count, text, count, text + count) == 1
    }

    func open(_ iv: [UInt8], _ aad: [UInt8], _ room: UnsafeMutableRawBufferPointer, count: Int) -> Bool {
        aad.withUnsafeBytes { open(iv, $0, room, count: count) }
    }

    func seal(
        _ iv: [UInt8],
        _ aad: UnsafeRawBufferPointer,
        _ room: UnsafeMutableRawBufferPointer,
        count: Int
    ) -> Bool {
        guard let text = room.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return false }
        let associated = aad.baseAddress?.assumingMemoryBound(to: UInt8.self)
        return cgcm_seal(key, iv, associated, aad.count, text, count, text + count) == 1
    }
}

/// AES-128-GCM of OpenSSL.
final class GCMOracle {
    private let context: OpaquePointer

    init?() {
        guard let context = EVP_CIPHER_CTX_new() else { return nil }
        self.context = context
    }

    deinit { EVP_CIPHER_CTX_free(context) }

    func seal(
        _ key: [UInt8],
        _ iv: [UInt8],
        _ aad: [UInt8],
        _ room: UnsafeMutableRawBufferPointer,
        count: Int
    ) -> Bool {
        guard let text = room.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return false }
        var written: Int32 = 0
        guard EVP_EncryptInit_ex2(context, EVP_aes_128_gcm(), key, iv, nil) == 1,
            aad.isEmpty || EVP_EncryptUpdate(context, nil, &written, aad, Int32(aad.count)) == 1,
            count == 0 || EVP_EncryptUpdate(context, text, &written, text, Int32(count)) == 1,
            EVP_EncryptFinal_ex(context, text + count, &written) == 1
        else { return false }
        return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, text + count) == 1
    }
}

/// Room for the longest text, a tag, and what stands before and behind.
final class GCMTestMemory {
    static let margin = 80
    private static let count = 65_536 + 64 + 16 + 2 * margin
    private let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 64)

    deinit { memory.deallocate() }

    func at(_ place: Int) -> UnsafeMutableRawBufferPointer { .init(rebasing: memory[place...]) }

    func fill(_ count: Int, _ random: inout SRTPTestRandom) {
        for at in stride(from: 0, to: min(count + 8, memory.count - 8), by: 8) {
            memory.storeBytes(of: random.next(), toByteOffset: at, as: UInt64.self)
        }
    }

    func copy(_ other: GCMTestMemory, _ count: Int) {
        memory.copyMemory(from: .init(rebasing: other.memory[..<count]))
    }

    func equals(_ other: GCMTestMemory, _ count: Int) -> Bool {
        guard let own = memory.baseAddress, let theirs = other.memory.baseAddress else { return false }
        return memcmp(own, theirs, count) == 0
    }
}

/// A page between two that must not be touched.
final class GCMTestPage {
    static let size = Int(sysconf(Int32(_SC_PAGESIZE)))
    private let mapped: UnsafeMutableRawPointer

    init?() {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS
        guard let mapped = mmap(nil, 3 * Self.size, PROT_NONE, flags, -1, 0), mapped != MAP_FAILED else {
            return nil
        }
        self.mapped = mapped
        guard mprotect(mapped + Self.size, Self.size, PROT_READ | PROT_WRITE) == 0 else { return nil }
    }

    deinit { munmap(mapped, 3 * Self.size) }

    /// `count` bytes that touch the end or the beginning of the page.
    func part(_ count: Int, isAtEnd: Bool) -> UnsafeMutableRawBufferPointer {
        let start = mapped + Self.size + (isAtEnd ? Self.size - count : 0)
        return UnsafeMutableRawBufferPointer(start: start, count: count)
    }
}
