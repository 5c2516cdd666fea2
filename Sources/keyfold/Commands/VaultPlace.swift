import Console
import KMSCore
import KMSModel
import Platform
import SealedFormat
import Vault

/// A directory that is to become a vault, looked at before anything is made.
struct VaultPlace {
    /// Absolute.
    let directory: String
    let isPortable: Bool

    /// - Throws: a ``Failure`` when the directory is a vault already, holds other things, or lies
    ///   in a vault.
    init(_ path: String, isPortable: Bool) throws(Failure) {
        directory = FilePaths.absolute(path)
        self.isPortable = isPortable
        if let outer = Self.vault(around: directory) {
            throw Failure(
                .usage, directory, "this would be inside another vault, \(outer)",
                wayOut: "choose a directory outside of it")
        }
        do throws(VaultError) {
            _ = try VaultInspection.config(at: directory)
            throw .alreadyAVault(path: directory)
        } catch {
            switch error {
            case .notAVault: try refuseContents()
            case .system(.noSuchFileOrDirectory): break
            case .system, .format, .keys, .missingKeyVersion, .foreignKey, .notEmpty,
                .alreadyAVault, .locked, .unknownDomain, .dataKeyUsedUp, .journal:
                throw Failure(error, object: directory)
            }
        }
    }

    /// The vault's names are sealed: a directory that it did not make is foreign to it.
    private static func vault(around directory: String) -> String? {
        var parts = directory.split(separator: "/")
        while parts.popLast() != nil {
            let outer = "/" + parts.joined(separator: "/")
            if (try? VaultInspection.config(at: outer)) != nil { return outer }
        }
        return nil
    }

    private func refuseContents() throws(Failure) {
        do throws(VaultError) {
            try VaultMaker.check(directory)
        } catch {
            throw Failure(error, object: directory)
        }
    }

    /// Where the new vault's keys are.
    func keyPlace(keystore: String?, service: String?) throws(Failure) -> KeyPlace {
        if !isPortable,
            case .service(let address, let account) = try KeyPlace.find(
                keystore: keystore, service: service)
        {
            return .service(address, account: account)
        }
        return .keystore(try keystoreLocation(option: keystore))
    }

    private func keystoreLocation(option: String?) throws(Failure) -> KeystoreLocation {
        if isPortable {
            do throws(Errno) {
                _ = try Descriptor.openOrMakeDirectory(path: directory, mode: 0o700)
            } catch {
                throw Failure(.system(error), object: directory)
            }
            return KeystoreLocation(
                directory: directory + "/" + KeystoreLocation.portableName)
        }
        let location = try KeystoreLocation.find(option: option)
        guard !(location.directory + "/").hasPrefix(directory + "/") else {
            throw Failure(
                .usage, location.directory, "the keystore would be inside the vault's directory",
                wayOut: "with --portable it may be, under a name that the mount does not show")
        }
        return location
    }

    func makeVault(
        session: ServiceSession, keyARN: String, hint: String, names: NameStorage
    ) throws(Failure) -> VaultConfig {
        var caller = session.caller
        caller.fileActivity = FileActivity(operation: .initialize)
        let plan = VaultMaker.Plan(
            keyARN: keyARN,
            keystoreHint: isPortable ? KeystoreLocation.portableName : hint,
            names: names)
        Keystore.removeUnfinished(at: directory + "/" + KeystoreLocation.portableName)
        do throws(VaultError) {
            return try VaultMaker.create(
                at: directory, plan, service: session.service, now: SystemWallClock().now(),
                as: caller)
        } catch {
            throw Failure(error, object: directory)
        }
    }
}
