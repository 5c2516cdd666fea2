import Platform
import TestSupport
import Testing

@testable import Vault

/// Every call to the store fails once while a domain is made.
@Suite
struct DomainFaultTests {
    private static let before = ["", "inner"]

    @Test(arguments: ["new", String(repeating: "n", count: 240), "inner/new"])
    func `a domain whose making meets a fault is there, or leaves nothing behind`(
        _ path: String
    ) throws {
        try FaultBench.with { bench in
            _ = try DomainBench.make("inner", in: bench.template)
            for kind in [FaultTests.Kind.eio, .enospc, .eintr, .short] {
                var number = 1
                while try Self.run(kind, number, path, bench) { number += kind.step }
                #expect((2..<500).contains(number))
            }
        }
    }

    /// - Returns: whether there was a call for the fault to meet.
    private static func run(
        _ kind: FaultTests.Kind, _ number: Int, _ path: String, _ bench: FaultBench
    ) throws -> Bool {
        let copy = try bench.copy()
        defer { bench.discard(copy) }
        let scope = FaultScope(below: copy.directory)
        defer { scope.end() }
        scope.arm(kind.script(number))
        let failure = errno { _ = try DomainBench.make(path, in: copy) }
        let isMet = scope.hasFired
        scope.disarm()
        let what: Comment =
            "\(kind) at \(number) of \(path.prefix(9)): \(String(describing: failure))"
        if kind.isHarmless { #expect(failure == nil, what) }
        let found = try DomainList(
            vaultDirectory: copy.directory, service: copy.service, caller: VaultWorkbench.owner
        ).all().map(\.plainPath)
        let isThere = found.contains(path)
        #expect(Set(found) == Set(before + (isThere ? [path] : [])), what)
        #expect(isThere || failure != nil, what)
        let checked = try CheckBench(bench: copy).check(readsData: true)
        #expect(checked.findings == [], what)
        let vault = try FaultBench.open(copy)
        defer { vault.close() }
        let actor = PathActor(vault: vault)
        if isThere { try actor.write(path + "/file", [1]) }
        return isMet
    }
}
