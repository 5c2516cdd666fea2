import Platform
import SealedFormat

/// What a whole walk saw that keeps single findings from being repaired.
struct CheckRepairLimits {
    /// Beyond this many, no sidecar is taken for one without an entry.
    private static let maximumNames = 1 << 16

    /// Journals name files by their stored paths: nothing may move before they are recovered.
    var hasJournals = false
    /// False for a part of the vault, or where a directory could not be read.
    var isWhole = true
    /// Ids that several directories bear: in at most one of them names can be trusted to fail.
    var sharedDirectories: Set<DirectoryID> = []
    private var entriesWithoutSidecar: Set<FileName> = []
    private var entriesOfOrphans: Set<FileName> = []

    mutating func noteEntryWithoutSidecar(_ name: FileName) {
        if entriesWithoutSidecar.count < Self.maximumNames {
            entriesWithoutSidecar.insert(name)
        } else {
            isWhole = false
        }
    }

    mutating func noteOrphans(_ actions: [CheckRepair.Action]) {
        for action in actions where action.problem.code == .sidecarOrphan {
            entriesOfOrphans.insert(CheckInspector.entry(ofSidecar: action.name))
        }
    }

    /// Why a repair is not made; nil when nothing is against it.
    func refusal(of action: CheckRepair.Action) -> String? {
        let code = action.problem.code
        if code == .temporaryStale { return nil }
        if let id = action.place.directoryID, sharedDirectories.contains(id) {
            return "another directory bears the same record: put the right one back first"
        }
        if code == .sidecarOrphan { return refusalOfOrphan(action) }
        if hasJournals { return "mount the vault first: a journal waits for its recovery" }
        guard action.moves else {
            return action.place.directoryID == nil ? "no record tells what it is called" : nil
        }
        if !action.place.domain.isCertain {
            return "the record above it does not tell its domain"
        }
        if code == .sidecarMissing, entriesOfOrphans.contains(action.name) {
            return "its sidecar is in another directory: it was moved away from there"
        }
        return nil
    }

    /// A sidecar is the only copy of a name, and its entry may be somewhere else.
    private func refusalOfOrphan(_ action: CheckRepair.Action) -> String? {
        if entriesWithoutSidecar.contains(CheckInspector.entry(ofSidecar: action.name)) {
            return "its entry is in another directory: it was moved away from here"
        }
        if !isWhole { return "its entry may be where this check did not look" }
        return action.place.directoryID == nil ? "no record tells whether it is of here" : nil
    }
}
