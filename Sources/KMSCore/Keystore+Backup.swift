internal import KMSModel
internal import KMSStore
internal import UsageLog

extension Keystore {
    /// Writes one file that holds the whole keystore with its log, consistent while others use
    /// it; it opens with the same slots.
    ///
    /// - Returns: why files of the log are missing in it, if some can't be read.
    /// - Throws: ``KeystoreError/exists(path:)`` when there is a file already.
    package func backup(to file: String) throws(KeystoreError) -> [KeystoreError] {
        try synchronizeLog()
        return try store.backup(to: file) { segment in
            guard let id = SegmentID(bytes: segment.id) else {
                preconditionFailure("BUG: a verified segment has a valid id")
            }
            return id.fileName
        }
    }

    /// Makes a keystore from a backup; the directory appears whole, or not at all.
    ///
    /// - Parameter method: unlocks the backup to verify its seal too; without it, damage is found
    ///   here and edits when the keystore is opened.
    /// - Throws: ``KeystoreError/exists(path:)``, ``KeystoreError/missing(path:)``,
    ///   ``KeystoreError/damagedBackup(path:reason:)``.
    package static func restore(
        from file: String, to directory: String, verifyingWith method: UnlockMethod? = nil
    ) throws(KeystoreError) {
        try KeystoreStore.restore(from: file, to: directory, verifyingWith: method)
    }
}
