import Cryptography
@testable import SealedFormat

/// Numbers that are the same on each run (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: 0...255, using: &self) }
    }

    /// A valid file name of `count` bytes, mostly not UTF-8.
    mutating func name(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in
            let byte = UInt8.random(in: 1...255, using: &self)
            return byte == UInt8(ascii: "/") ? 0xff : byte
        }
    }
}

extension [UInt8] {
    func flippingBit(_ bit: Int) -> [UInt8] {
        var copy = self
        copy[bit / 8] ^= 1 << UInt8(bit % 8)
        return copy
    }

    /// The bits whose flip `accepts` takes all the same.
    func bitsThatFlipUnseen(_ accepts: ([UInt8]) -> Bool) -> [Int] {
        (0..<count * 8).filter { accepts(flippingBit($0)) }
    }
}

enum Fixture {
    static let arn =
        "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

    static func wrappedKey(_ seed: UInt8 = 1, blobBytes: Int = 98) -> WrappedKey {
        WrappedKey(keyARN: arn, blob: [UInt8](repeating: seed, count: blobBytes))
    }

    static func layout(_ headerBytes: Int = 512) throws -> BlockLayout {
        try BlockLayout(headerBytes: headerBytes)
    }

    static func fileKeys(_ fileID: FileID = FileID()) -> FileKeys {
        FileKeys(dataKey: .random(count: 32), fileID: fileID)
    }

    static func domainKeys(_ domainID: DomainID = DomainID()) -> DomainKeys {
        DomainKeys(domainKey: .random(count: 32), domainID: domainID)
    }

    static func config(
        _ domainID: DomainID, keystore: String? = "../keystore", names: NameStorage = .sealed
    ) throws -> VaultConfig {
        VaultConfig(
            vaultID: VaultID(), layout: try layout(), names: names, keystore: keystore,
            defaultKeyARN: arn, rootDomainID: domainID, createdAt: "2026-01-01T00:00:00Z")
    }
}
