extension KeystoreStore {
    /// SQLite's own check of the whole database; nil when it finds nothing.
    package func integrityProblem() throws(KeystoreError) -> String? {
        try database.integrityProblem()
    }
}
