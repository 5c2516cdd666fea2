/// Settings of the keystore as a whole.
extension KeystoreStore {
    /// Whether an event of the usage log is on the disk before a key is used.
    package func syncsLog() throws(KeystoreError) -> Bool {
        try snapshot().settings.syncsLog
    }
}

extension KeystoreChange {
    /// Processes that have the keystore open take it up when they open it next. Changes nothing where
    /// it is so already.
    package mutating func setSyncsLog(_ syncs: Bool, in snapshot: KeystoreSnapshot) {
        guard snapshot.settings.syncsLog != syncs else { return }
        var changed = snapshot.settings
        changed.syncsLog = syncs
        settings = changed
    }
}
