/// Numbers that follow from a seed, so that a failing run can be repeated (SplitMix64).
package struct RandomSource: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) {
        state = seed
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    package mutating func bytes(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count {
            let word = next()
            for shift in stride(from: UInt64(0), to: 64, by: 8) {
                bytes.append(UInt8(truncatingIfNeeded: word >> shift))
            }
        }
        bytes.removeLast(bytes.count - count)
        return bytes
    }

    package mutating func number(_ range: Range<Int>) -> Int {
        Int.random(in: range, using: &self)
    }

    /// True once in `count` times.
    package mutating func isOne(in count: Int) -> Bool {
        number(0..<count) == 0
    }
}

/// Bytes that tell where they belong: repeatable, and different at every offset and for every seed.
package func pattern(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var source = RandomSource(seed: seed)
    return source.bytes(count)
}
