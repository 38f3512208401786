// Each way to seal that this CPU has: published vectors, OpenSSL as oracle over random texts, and no byte beside the text.
import CGCM
import COpenSSL
import Glibc
import Testing

@testable import PeerTransport

struct GCMTests {
    /// `SRTPSender.Cipher.best` rests on it: variants are numbered from the plainest to the widest.
    static let variants: [cgcm_variant] = [cgcm_aesni, cgcm_vaes512].filter {
        $0.rawValue <= cgcm_best().rawValue
    }

    /// McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B, test cases 1 to 4.
    @Test(arguments: [
        (
            "00000000000000000000000000000000", "000000000000000000000000", "", "", "",
            "58e2fccefa7e3061367f1d57a4e7455a"
        ),
        (
            "00000000000000000000000000000000", "000000000000000000000000", "",
            "00000000000000000000000000000000", "0388dace60b6a392f328c2b971b2fe78",
            "ab6e47d42cec13bdf53a67b21257bddf"
        ),
        (
            "feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", "",
            """
            d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
            1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255
            """,
            """
            42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e\
            21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985
            """, "4d5c2af327cd64a62cf35abd2ba6fab4"
        ),
        (
            "feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
            "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            """
            d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
            1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39
            """,
            """
            42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e\
            21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091
            """, "5bc94fbc3221a5db94fae95ae7121a47"
        ),
    ])
    func vectors(key: String, iv: String, aad: String, text: String, sealed: String, tag: String) throws {
        for variant in Self.variants {
            let gcm = try #require(GCMTestKey(srtpBytes(key), variant))
            var bytes = srtpBytes(text) + [UInt8](repeating: 0, count: 16)
            let count = bytes.count - 16
            let done = bytes.withUnsafeMutableBytes { room in
                gcm.seal(srtpBytes(iv), srtpBytes(aad), room, count: count)
            }
            #expect(done)
            #expect(srtpHex(bytes) == sealed + tag, "\(variant)")
            let isOpen = bytes.withUnsafeMutableBytes { room in
                gcm.open(srtpBytes(iv), srtpBytes(aad), room, count: count)
            }
            #expect(isOpen)
            #expect(srtpHex(bytes) == text + tag, "\(variant)")
        }
    }

    /// All short lengths, then up to a datagram, then a few up to the longest; associated data from none to several registers
    /// of blocks; at any place in memory. Around the text and behind the tag nothing changes.
    @Test(arguments: variants, [UInt64(21), 22])
    func equalsOpenSSL(variant: cgcm_variant, seed: UInt64) throws {
        var random = SRTPTestRandom(state: seed)
        let oracle = try #require(GCMOracle())
        let ours = GCMTestMemory(), theirs = GCMTestMemory()
        for n in 0..<12_000 {
            let length =
                switch n {
                case ..<6020: n % 301
                case ..<11_950: Int.random(in: 301...1500, using: &random)
                default: Int.random(in: 1501...65_535, using: &random)
                }
            let aadLength = Int.random(in: 0...(n % 50 == 0 ? 1000 : 80), using: &random)
            let place = GCMTestMemory.margin + Int.random(in: 0..<64, using: &random)
            let key = random.bytes(16), iv = random.bytes(12), aad = random.bytes(aadLength)
            theirs.fill(place + length + 16 + GCMTestMemory.margin, &random)
            ours.copy(theirs, place + length + 16 + GCMTestMemory.margin)
            let gcm = try #require(GCMTestKey(key, variant))
            try #require(gcm.seal(iv, aad, ours.at(place), count: length))
            try #require(oracle.seal(key, iv, aad, theirs.at(place), count: length))
            try #require(
                ours.equals(theirs, place + length + 16 + GCMTestMemory.margin),
                "seed \(seed), text \(n): \(length) bytes at \(place), \(aadLength) associated"
            )
        }
    }

    /// Text and associated data at both ends of a page between two that nobody may touch.
    @Test(arguments: variants)
    func staysWithinItsMemory(variant: cgcm_variant) throws {
        var random = SRTPTestRandom(state: 23)
        let text = try #require(GCMTestPage()), associated = try #require(GCMTestPage())
        let oracle = try #require(GCMOracle())
        let key = random.bytes(16), iv = random.bytes(12)
        let gcm = try #require(GCMTestKey(key, variant))
        var expected = [UInt8](repeating: 0, count: GCMTestPage.size)
        for length in 0...400 {
            let aad = random.bytes(length % 81), plain = random.bytes(length)
            expected.replaceSubrange(0..<length, with: plain)
            let done = expected.withUnsafeMutableBytes { oracle.seal(key, iv, aad, $0, count: length) }
            try #require(done)
            for isAtEnd in [false, true] {
                let bytes = text.part(length + 16, isAtEnd: isAtEnd)
                let header = associated.part(aad.count, isAtEnd: isAtEnd)
                bytes.copyBytes(from: plain)
                header.copyBytes(from: aad)
                try #require(gcm.seal(iv, UnsafeRawBufferPointer(header), bytes, count: length))
                try #require(bytes.elementsEqual(expected.prefix(length + 16)), "\(length) bytes")
                try #require(header.elementsEqual(aad), "\(length) bytes")
            }
        }
    }

    @Test(arguments: variants)
    func refusesWhatIsTooLong(variant: cgcm_variant) throws {
        let gcm = try #require(GCMTestKey([UInt8](repeating: 3, count: 16), variant))
        let limit = cgcm_longest
        let iv = [UInt8](repeating: 1, count: 12), long = [UInt8](repeating: 2, count: limit + 1)
        var bytes = [UInt8](repeating: 0, count: limit + 17)
        let refused = bytes.withUnsafeMutableBytes { room in
            (gcm.seal(iv, [], room, count: limit + 1), gcm.seal(iv, long, room, count: 0))
        }
        #expect(refused == (false, false))
        #expect(bytes.allSatisfy { $0 == 0 })
        let longest = bytes.withUnsafeMutableBytes { gcm.seal(iv, Array(long.dropLast()), $0, count: limit) }
        #expect(longest)
    }

    @Test func refusesVariantsThatThisCPUHasNot() {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 1024, alignment: 64)
        defer { memory.deallocate() }
        memory.initializeMemory(as: UInt8.self, repeating: 7, count: 1024)
        let key = memory.assumingMemoryBound(to: cgcm_key.self)
        let master = [UInt8](repeating: 1, count: 16)
        for raw in [cgcm_unavailable.rawValue, cgcm_best().rawValue + 1, .max] {
            #expect(cgcm_expand(key, master, cgcm_variant(rawValue: raw)) == 0)
        }
        let misplaced = (memory + 16).assumingMemoryBound(to: cgcm_key.self)
        for variant in Self.variants { #expect(cgcm_expand(misplaced, master, variant) == 0) }
        #expect(UnsafeRawBufferPointer(start: memory, count: 1024).allSatisfy { $0 == 7 })
    }

    @Test(arguments: variants)
    func aKeyThatIsErasedIsZero(variant: cgcm_variant) throws {
        let gcm = try #require(GCMTestKey((1...16).map { $0 }, variant))
        #expect(gcm.bytes.contains { $0 != 0 })
        cgcm_erase(gcm.key)
        #expect(gcm.bytes.allSatisfy { $0 == 0 })
    }
}
