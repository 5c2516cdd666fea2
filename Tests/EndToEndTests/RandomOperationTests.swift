import Platform
import TestSupport
import Testing

extension EndToEnd.Files {
    /// The same random operations on a mount and on a plain directory give the same answers and the
    /// same trees, with caches dropped and the vault mounted anew in between.
    @Suite
    struct RandomOperationTests {
        private static let rounds = 5
        private static let stepsPerRound = 400

        @Test(arguments: [
            (UInt64(1), MountKind.standard), (2, .standard), (3, .plaintextNames), (4, .standard),
        ])
        func `a mount and a plain directory stay equal`(_ seed: UInt64, _ kind: MountKind) throws {
            try VaultFixture.withMount(kind.shape) { fixture in
                let plain = fixture.base.path + "/plain"
                try Disk.makeDirectory(plain)
                try Disk.makeDirectory(fixture.path("tree"))
                var operations = RandomOperator(
                    seed: seed, roots: [plain, fixture.path("tree")])
                for round in 0..<Self.rounds {
                    try operations.run(steps: Self.stepsPerRound)
                    switch round % 3 {
                    case 0: try fixture.dropCaches()
                    case 1: try fixture.remount()
                    default: break
                    }
                    let differences = try FileTree.differences(
                        plain, fixture.path("tree"), [.owners, .attributes, .links])
                    #expect(
                        differences.isEmpty, "seed \(seed), after step \(operations.step)")
                    if !differences.isEmpty { return }
                }
                try fixture.keyfold("log", "verify")
            }
        }

        @Test func `a fresh seed finds nothing either`() throws {
            let seed = UInt64.random(in: 1000 ... .max)
            print("random operations with seed \(seed)")
            try VaultFixture.withMount { fixture in
                let plain = fixture.base.path + "/plain"
                try Disk.makeDirectory(plain)
                try Disk.makeDirectory(fixture.path("tree"))
                var operations = RandomOperator(
                    seed: seed, roots: [plain, fixture.path("tree")])
                try operations.run(steps: 1500)
                try fixture.remount()
                let differences = try FileTree.differences(
                    plain, fixture.path("tree"), [.owners, .attributes, .links])
                #expect(differences.isEmpty, "seed \(seed)")
            }
        }
    }
}
