package import KMSModel
package import Platform
package import SealedFormat

/// Why an operation on a vault failed; the lower layer's error is carried whole.
package enum VaultError: Error, Sendable {
    /// The file system below refused.
    case system(Errno)
    /// Bytes in the vault are not what a writer of this format wrote.
    case format(FormatError)
    /// The key service refused.
    case keys(KMSError)
    /// A wrapped key is of a version that the service's key has not reached.
    case missingKeyVersion(keyARN: String, version: UInt32, current: UInt32)
    /// A wrapped key is of another account than the keystore's.
    case foreignKey(keyARN: String, account: String)
    /// The directory holds no `keyfold.json`.
    case notAVault(path: String)
    /// `init` was asked for a directory that holds other things.
    case notEmpty(path: String)
    /// `init` was asked for a directory that is a vault already.
    case alreadyAVault(path: String)
    /// Another mount holds the vault.
    case locked(path: String, holder: VaultLock.Holder?)
    /// A directory's record is of another domain than the one that the directory is in.
    case unknownDomain(DomainID)
    /// A file's data key has sealed as many blocks as it may.
    case dataKeyUsedUp
    /// A mount that is gone left a journal that can't be read.
    case journal(path: String, FormatError)
}

extension VaultError {
    /// Whether a key could not be had, which it may be later, or for somebody else.
    var isOfKeys: Bool {
        switch self {
        case .keys, .missingKeyVersion, .foreignKey: true
        case .system, .format, .notAVault, .notEmpty, .alreadyAVault, .locked, .unknownDomain,
            .dataKeyUsedUp, .journal:
            false
        }
    }
}

extension Errno {
    /// The only place where a vault failure becomes an errno. No `default`: a new ``VaultError``
    /// case must choose its errno here before it compiles.
    package init(_ error: VaultError) {
        switch error {
        case .system(let errno): self = errno
        case .format, .unknownDomain: self = .ioError
        case .keys(let error): self = Errno(error)
        case .missingKeyVersion: self = .noKey
        case .foreignKey: self = .accessDenied
        case .notAVault: self = .noSuchFileOrDirectory
        case .notEmpty: self = .directoryNotEmpty
        case .alreadyAVault: self = .fileExists
        case .locked: self = .resourceBusy
        case .dataKeyUsedUp: self = .fileTooLarge
        case .journal: self = .ioError
        }
    }

    /// A key that is switched off is ENOKEY, as kernel fscrypt answers; a denial is EACCES.
    init(_ error: KMSError) {
        switch error.kind {
        case .wrongState, .unavailable, .missing: self = .noKey
        case .denied: self = .accessDenied
        case .timedOut: self = .timedOut
        case .notGenuine, .badRequest, .taken, .limit, .unsupported, .failed, .wouldSucceed:
            self = .ioError
        }
    }
}

/// Runs `body` and carries its system error as a ``VaultError``.
func system<Result>(_ body: () throws(Errno) -> Result) throws(VaultError) -> Result {
    do throws(Errno) {
        return try body()
    } catch {
        throw .system(error)
    }
}

/// Runs `body` and carries its format error as a ``VaultError``.
func format<Result>(_ body: () throws(FormatError) -> Result) throws(VaultError) -> Result {
    do throws(FormatError) {
        return try body()
    } catch {
        throw .format(error)
    }
}

/// Runs `body` and carries its KMS error as a ``VaultError``.
func keys<Result>(_ body: () throws(KMSError) -> Result) throws(VaultError) -> Result {
    do throws(KMSError) {
        return try body()
    } catch {
        throw .keys(error)
    }
}
