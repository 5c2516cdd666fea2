package import Platform

/// Why a keystore cannot be made, opened, read or changed. Every case names what it is about;
/// none holds a secret.
package enum KeystoreError: Error, Hashable, Sendable {
    /// There is nothing at this path.
    case missing(path: String)
    /// Something is at this path already, and nothing is ever written over.
    case exists(path: String)
    /// What is at this path was not made by Keyfold, or is only a part of it.
    case notAKeystore(path: String, reason: String)
    /// Made by a Keyfold with another format.
    case unsupportedVersion(path: String, version: Int)
    case wrongPassphrase(path: String)
    case wrongRecoveryKey(path: String)
    /// What was typed cannot be any recovery key: a character or its order is wrong.
    case mistypedRecoveryKey
    case wrongKeyFile(path: String)
    /// No slot of the kind that was asked for.
    case noSlotOfKind(path: String, kind: String)
    /// The kernel holds no root key for this keystore.
    case locked(path: String)
    /// A key file holds fewer than 32 or more than 1,048,576 bytes.
    case unusableKeyFile(sizeBytes: Int)
    case emptyPassphrase
    case noSuchSlot(String)
    /// A keystore without a slot could never be opened again.
    case lastSlot(String)
    case tooManySlots(limit: Int)
    /// A record was edited, swapped, rolled back, added or removed outside of Keyfold.
    case tampered(path: String, what: String)
    /// A backup file is not whole.
    case damagedBackup(path: String, reason: String)
    /// No space is left.
    case full(path: String)
    /// On a file system that is read-only, where no use of a key could be logged.
    case readOnly(path: String)
    case system(Errno, path: String)
    /// SQLite's own answer: extended result code and text.
    case database(code: Int, message: String, path: String)
    /// The usage log cannot be read or written.
    case log(String)
}

extension KeystoreError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .missing(let path): "no keystore at \(path)"
        case .exists(let path): "\(path) exists already"
        case .notAKeystore(let path, let reason): "\(path) is not a keystore: \(reason)"
        case .unsupportedVersion(let path, let version):
            "the keystore \(path) has format \(version), which this version does not know"
        case .wrongPassphrase(let path): "wrong passphrase for the keystore \(path)"
        case .wrongRecoveryKey(let path): "wrong recovery key for the keystore \(path)"
        case .mistypedRecoveryKey: "the recovery key is mistyped"
        case .wrongKeyFile(let path): "wrong key file for the keystore \(path)"
        case .noSlotOfKind(let path, let kind): "the keystore \(path) has no slot for a \(kind)"
        case .locked(let path): "the keystore \(path) is locked"
        case .unusableKeyFile(let size):
            "a key file must hold 32 to 1048576 bytes, and this one holds \(size)"
        case .emptyPassphrase: "an empty passphrase protects nothing"
        case .noSuchSlot(let id): "no slot \(id)"
        case .lastSlot(let id): "slot \(id) is the last one and cannot be removed"
        case .tooManySlots(let limit): "a keystore has at most \(limit) slots"
        case .tampered(let path, let what): "the keystore \(path) was tampered with: \(what)"
        case .damagedBackup(let path, let reason): "the backup \(path) is damaged: \(reason)"
        case .full(let path): "no space left for \(path)"
        case .readOnly(let path): "\(path) is on a read-only file system"
        case .system(let errno, let path): "\(path): \(errno)"
        case .database(let code, let message, let path): "\(path): SQLite \(code): \(message)"
        case .log(let text): "usage log: \(text)"
        }
    }
}

extension KeystoreError {
    /// A failed system call on `path`.
    package init(_ errno: Errno, path: String) {
        self =
            errno == .noSpace || errno == .quotaExceeded
            ? .full(path: path)
            : .system(errno, path: path)
    }
}

/// Runs system calls on `path`; their error is told with the path.
func onSystem<Value>(
    _ path: String, _ body: () throws(Errno) -> Value
) throws(KeystoreError) -> Value {
    do throws(Errno) {
        return try body()
    } catch {
        throw KeystoreError(error, path: path)
    }
}
