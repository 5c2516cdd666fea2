import Platform
import TestSupport
import Testing

@testable import Vault

/// A copy of a ``FaultBench``'s vault that is open, below a scope in which calls can fail.
struct OpenFaultBench {
    let faults: FaultBench
    let copy: VaultWorkbench
    let scope: FaultScope
    let actor: FaultActor
    let committer: Committer

    static func with(_ body: (OpenFaultBench) throws -> Void) throws {
        try FaultBench.with { faults in
            let copy = try faults.copy()
            let scope = FaultScope(below: copy.directory)
            defer { scope.end() }
            let actor = FaultActor(vault: try FaultBench.open(copy))
            defer { actor.vault.close() }
            let committer = try #require(actor.vault.committer)
            try body(
                OpenFaultBench(
                    faults: faults, copy: copy, scope: scope, actor: actor, committer: committer))
        }
    }

    /// What the next mount shows when the process is killed now.
    func contentAfterCrash(_ path: String) throws -> [UInt8]? {
        let crashed = try faults.copy(of: copy)
        defer { faults.discard(crashed) }
        let vault = try FaultBench.open(crashed)
        defer { vault.close() }
        return try FaultSnapshot.take(vault).nodes[path]?.content
    }
}
