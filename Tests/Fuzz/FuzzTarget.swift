/// A parser of bytes that somebody else may have written.
///
/// `run` traps on what must not be: two encodings of one object, or anything authentic that is not
/// one of the samples. That it neither traps nor hangs on its own is the other half.
struct FuzzTarget: Sendable {
    let name: String
    /// Valid inputs, to begin with; the corpus in the repository is made of them.
    let samples: @Sendable () -> [[UInt8]]
    let run: @Sendable ([UInt8]) -> Void

    static let all: [FuzzTarget] = formatTargets + keyTargets + policyTargets + wireTargets

    static func named(_ name: String) -> FuzzTarget? { all.first { $0.name == name } }
}

/// Bytes of a fixed seed, so that samples are the same in every run.
func sampleBytes(_ count: Int, _ seed: UInt8) -> [UInt8] {
    (0..<count).map { seed &+ UInt8(truncatingIfNeeded: $0 &* 37) }
}

func sameBytes(_ one: [UInt8], _ two: [UInt8], _ what: StaticString) {
    precondition(one == two, "FOUND: \(what) has two encodings")
}
