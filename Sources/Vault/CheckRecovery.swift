import KMSModel
import Platform
import SealedFormat

/// What the next mount would do first: torn tails are cut where a journal allows it.
struct CheckRecovery {
    let root: Descriptor
    let config: VaultConfig
    let keys: DomainKeys
    let service: any KeyService
    let caller: Caller

    /// - Returns: what there was to recover, and whether it is; nil when no mount left anything.
    func run() -> CheckFinding? {
        do throws(VaultError) {
            let bootID = try system { () throws(Errno) in try Journal.currentBootID() }
            let recovery = Recovery(
                vault: root, config: config, keys: keys, service: service, caller: caller,
                bootID: bootID, onIncident: { _ in })
            guard recovery.isNeeded else { return nil }
            _ = try recovery.runToTheEnd()
            return left(.repaired)
        } catch {
            if case .journal(let path, let error) = error {
                return CheckFinding(
                    .journalDamaged, storedPath: path, plainPath: nil, detail: "\(error)")
            }
            return left(.notRepaired(Self.reason(error)))
        }
    }

    private func left(_ outcome: CheckFinding.Outcome) -> CheckFinding {
        CheckFinding(
            .journalLeft, storedPath: ReservedName.journal, plainPath: nil, outcome: outcome)
    }

    private static func reason(_ error: VaultError) -> String {
        if case .keys(let error) = error { return "\(error): repair again when the key is usable" }
        if case .format(let error) = error { return "\(error)" }
        let errno = Errno(error)
        switch errno {
        case .accessDenied, .notPermitted: return "\(errno): its owner, or root, may do it"
        case .noSpace, .quotaExceeded: return "\(errno): make room, and repair again"
        default: return "\(errno): nothing of it is lost; repair again"
        }
    }
}
