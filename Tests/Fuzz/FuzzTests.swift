import Foundation
import TestSupport
import Testing

/// The corpus, and changes of it that are drawn from a seed: what `Tools/fuzz` does for hours, for
/// some seconds. KEYFOLD_FUZZ_RUNS is how many changes each target gets (2,000).
@Suite struct FuzzTests {
    static let corpus =
        URL(filePath: #filePath).deletingLastPathComponent().path() + "Corpus"

    private static func inputs(_ target: FuzzTarget) throws -> [[UInt8]] {
        let directory = corpus + "/" + target.name
        let files = try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
        return try files.map { Array(try Data(contentsOf: URL(filePath: directory + "/" + $0))) }
    }

    @Test(arguments: FuzzTarget.all.map(\.name))
    func `the corpus and seeded changes of it are borne`(_ name: String) throws {
        let target = try #require(FuzzTarget.named(name))
        let inputs = try Self.inputs(target) + target.samples()
        try #require(!inputs.isEmpty)
        for input in inputs { target.run(input) }
        let runs =
            ProcessInfo.processInfo.environment["KEYFOLD_FUZZ_RUNS"].flatMap { Int($0) } ?? 2000
        var source = RandomSource(seed: 1)
        for _ in 0..<runs {
            var bytes = inputs[source.number(0..<inputs.count)]
            for _ in 0..<source.number(1..<4) { Self.change(&bytes, &source, inputs) }
            target.run(bytes)
        }
    }

    /// Every sample is what its target accepts; else the target would look at nothing.
    @Test func `the corpus holds every target's samples`() throws {
        for target in FuzzTarget.all {
            let files = try Self.inputs(target)
            #expect(files.count >= target.samples().count, "\(target.name)")
        }
    }

    private static func change(
        _ bytes: inout [UInt8], _ source: inout RandomSource, _ inputs: [[UInt8]]
    ) {
        let at = source.number(0..<bytes.count + 1)
        let end = min(bytes.count, at + source.number(0..<40))
        switch source.number(0..<6) {
        case 0 where at < bytes.count: bytes[at] ^= 1 << UInt8(source.number(0..<8))
        case 1 where at < bytes.count: bytes[at] = [0, 1, 0x7f, 0x80, 0xff][source.number(0..<5)]
        case 2: bytes.removeSubrange(at..<end)
        case 3: bytes.insert(contentsOf: source.bytes(source.number(0..<40)), at: at)
        case 4: bytes.replaceSubrange(at..<end, with: source.bytes(end - at))
        default:
            let other = inputs[source.number(0..<inputs.count)]
            let start = source.number(0..<other.count + 1)
            bytes.replaceSubrange(at..<end, with: other[start...].prefix(60))
        }
    }
}
