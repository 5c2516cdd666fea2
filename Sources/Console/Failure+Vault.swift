internal import KMSModel
internal import Platform
package import Vault

extension Failure {
    /// - Parameter object: the vault or file that the operation was about.
    package init(_ error: VaultError, object: String) {
        switch error {
        case .system(let errno):
            self.init(ExitStatus(errno), object, "\(errno)", wayOut: errno.wayOut)
        case .format(let error):
            self.init(
                .damagedData, object, "\(error)",
                wayOut: "take it from a backup; the rest of the vault is unharmed")
        case .keys(let error):
            self.init(error, file: object)
        case .foreignKey(let keyARN, let account):
            self.init(
                .noPermission, object,
                "its key is \(keyARN), and this keystore is of account \(account)",
                wayOut: "name the keystore that the vault was made with: --keystore DIR, for a "
                    + "mount -o keystore=DIR")
        case .missingKeyVersion(let keyARN, let version, let current):
            self.init(
                .notFound, object,
                "its wrapped key needs version \(version) of \(keyARN), and this keystore has "
                    + "\(current)",
                wayOut: "the keystore is older than the vault: restore a newer backup of it "
                    + "(keyfold keystore restore BACKUP --keystore DIR)")
        case .notAVault(let path):
            self.init(
                .notFound, path, "this is not a vault: it has no keyfold.json",
                wayOut: "'keyfold init' makes a vault")
        case .notEmpty(let path):
            self.init(
                .cannotCreate, path, "the directory is not empty, and it is not a vault",
                wayOut: "choose a new or an empty directory")
        case .alreadyAVault(let path):
            self.init(
                .cannotCreate, path, "this is a vault already",
                wayOut: "mount it: keyfold mount \(path) MOUNTPOINT")
        case .locked(let path, let holder):
            self.init(.busy, path, Self.lockedWords(holder), wayOut: Self.lockedWayOut(holder))
        case .dataKeyUsedUp:
            self.init(
                .cannotCreate, object, "its data key has sealed all the blocks it may",
                wayOut: "copy the file and rename the copy over it: a new file gets a new key")
        case .journal(let path, let error):
            self.init(
                .damagedData, path, "the journal of a mount that did not end in order: \(error)",
                wayOut: "it may hold what was synced last: keep a copy, then move it out of the "
                    + "vault to mount without it")
        case .unknownDomain(let domain):
            self.init(
                .damagedData, object,
                "a directory belongs to another domain than the one that it is in "
                    + "(\(domain))",
                wayOut: "was it moved here in the store? Take it from a backup")
        }
    }

    private static func lockedWords(_ holder: VaultLock.Holder?) -> String {
        guard let holder else { return "the vault is in use by another mount" }
        guard let place = holder.mountPoint else { return "process \(holder.pid) holds the vault" }
        return "the vault is mounted already at \(place) (process \(holder.pid))"
    }

    private static func lockedWayOut(_ holder: VaultLock.Holder?) -> String {
        let first =
            if let place = holder?.mountPoint {
                "unmount it first: keyfold unmount \(place)"
            } else if holder != nil {
                "unmount what it has mounted ('keyfold status' lists it), or wait for its end"
            } else {
                "unmount it first, on this host or the other"
            }
        return first + "; hosts that share a vault all mount it with -o shared"
    }
}

extension Errno {
    fileprivate var wayOut: String? {
        switch self {
        case .noSpace, .quotaExceeded: "make room; what was there before is unharmed"
        case .accessDenied, .notPermitted: "the directory's owner, or root, may do it"
        case .readOnlyFileSystem: "a vault that can't be written can be mounted with -o ro"
        default: nil
        }
    }
}
