package import KMSCore
package import Platform

extension Failure {
    package init(_ error: KeystoreError) {
        let words = error.words
        self.init(ExitStatus(error), words.object, words.message, wayOut: error.wayOut)
    }

    /// Runs `body` and carries a keystore's error as a ``Failure``.
    package static func carrying<Result>(
        _ body: () throws(KeystoreError) -> Result
    ) throws(Failure) -> Result {
        do throws(KeystoreError) {
            return try body()
        } catch {
            throw Failure(error)
        }
    }
}

extension ExitStatus {
    package init(_ error: KeystoreError) {
        switch error {
        case .missing, .noSuchSlot, .noSlotOfKind: self = .notFound
        case .exists, .readOnly: self = .cannotCreate
        case .notAKeystore, .unsupportedVersion, .tampered, .damagedBackup: self = .damagedData
        case .wrongPassphrase, .wrongRecoveryKey, .wrongKeyFile, .locked: self = .noPermission
        case .mistypedRecoveryKey, .unusableKeyFile, .emptyPassphrase: self = .usage
        case .lastSlot, .tooManySlots: self = .wrongState
        case .full, .database, .log: self = .inputOutput
        case .system(let errno, _): self = ExitStatus(errno)
        }
    }

    /// For system calls on what the person named.
    package init(_ errno: Errno) {
        switch errno {
        case .noSuchFileOrDirectory, .notDirectory: self = .notFound
        case .accessDenied, .notPermitted, .noKey: self = .noPermission
        case .resourceBusy, .wouldBlock: self = .busy
        case .fileExists, .directoryNotEmpty, .readOnlyFileSystem: self = .cannotCreate
        case .timedOut, .noDevice: self = .unavailable
        default: self = .inputOutput
        }
    }
}

extension KeystoreError {
    /// The object, and what happened to it.
    fileprivate var words: (object: String?, message: String) {
        switch self {
        case .missing(let path): (path, "there is no keystore here")
        case .exists(let path): (path, "there is something here already")
        case .notAKeystore(let path, let reason): (path, "this is not a keystore: \(reason)")
        case .unsupportedVersion(let path, let version):
            (path, "the keystore has format \(version), which this Keyfold does not know")
        case .wrongPassphrase(let path): (path, "wrong passphrase")
        case .wrongRecoveryKey(let path): (path, "wrong recovery key")
        case .mistypedRecoveryKey: (nil, "the recovery key is mistyped")
        case .wrongKeyFile(let path): (path, "this key file does not open the keystore")
        case .noSlotOfKind(let path, let kind): (path, "the keystore has no slot for a \(kind)")
        case .locked(let path): (path, "the keystore is locked")
        case .unusableKeyFile(let size):
            (nil, "a key file has 32 to 1048576 bytes, and this one has \(size)")
        case .emptyPassphrase: (nil, "a passphrase can't be empty")
        case .noSuchSlot(let id): (id, "there is no such slot")
        case .lastSlot(let id): (id, "this is the last slot: without it nobody gets in again")
        case .tooManySlots(let limit): (nil, "a keystore has at most \(limit) slots")
        case .tampered(let path, let what): (path, "the keystore was tampered with: \(what)")
        case .damagedBackup(let path, let reason): (path, "the backup is damaged: \(reason)")
        case .full(let path): (path, "no space is left")
        case .readOnly(let path): (path, "the keystore is on a read-only file system")
        case .system(let errno, let path): (path, "\(errno)")
        case .database(let code, let message, let path): (path, "SQLite \(code): \(message)")
        case .log(let text): ("usage log", text)
        }
    }

    fileprivate var wayOut: String? {
        switch self {
        case .missing:
            "'keyfold init VAULT' makes one; --keystore DIR or KEYFOLD_KEYSTORE names another"
        case .exists: "nothing is written over: choose another place, or move this one away"
        case .notAKeystore: "name the keystore's directory with --keystore DIR"
        case .unsupportedVersion: "use the version of Keyfold that made it, or a newer one"
        case .wrongPassphrase:
            "with the recovery key: keyfold slot add passphrase --recovery-key-file FILE"
        case .wrongRecoveryKey, .mistypedRecoveryKey:
            "type it as 'keyfold init' printed it; blanks and dashes don't matter"
        case .wrongKeyFile, .noSlotOfKind, .noSuchSlot:
            "'keyfold slot list' shows what opens the keystore"
        case .locked: "give --passphrase-file FILE, or run 'keyfold unlock' at a terminal"
        case .lastSlot: "add another one first: keyfold slot add"
        case .tooManySlots: "'keyfold slot remove' makes room"
        case .tampered: "put back a backup: keyfold keystore restore FILE --keystore DIR"
        case .damagedBackup: "use another backup"
        case .readOnly:
            "each use of a key is logged in the keystore: copy it where it can be written, and name "
                + "that with --keystore DIR"
        case .full: "make room; what was there before is unharmed"
        case .emptyPassphrase, .unusableKeyFile, .system, .database, .log: nil
        }
    }
}
