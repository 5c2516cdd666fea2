internal import Synchronization

/// Settings of the keystore as a whole.
extension KeystoreStore {
    /// Whether an event of the usage log is on the disk before a key is used.
    package func syncsLog() throws(KeystoreError) -> Bool {
        _ = try snapshot()
        return working.withLock { $0.model.settings?.syncsLog ?? false }
    }

    /// Processes that have the keystore open take it up when they open it next.
    package func setSyncsLog(_ syncs: Bool) throws(KeystoreError) {
        _ = try snapshot()
        guard var settings = working.withLock({ $0.model.settings }),
            settings.syncsLog != syncs
        else { return }
        settings.syncsLog = syncs
        let changed = settings
        _ = try change { _, change throws(Never) in change.settings = changed }
    }
}
