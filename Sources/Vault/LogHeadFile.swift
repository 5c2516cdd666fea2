internal import Cryptography
internal import Glibc
internal import Platform
internal import SealedFormat

/// The file in a vault's root that says how far the keystore's usage log goes. What is in it is the
/// log's business: here it is bytes.
package enum LogHeadFile {
    /// Of any head; a longer file is none.
    private static let maximumBytes = 4096

    /// Below the vault's directory.
    package static let name = ReservedName.logHead

    /// nil when there is none.
    package static func read(inVaultAt directory: String) throws(VaultError) -> [UInt8]? {
        do throws(Errno) {
            let root = try Descriptor.open(path: directory, OpenFlag.directory)
            return try root.openRegularFile(FileName(name)).readAll(limitBytes: maximumBytes)
        } catch {
            if error == .noSuchFileOrDirectory { return nil }
            throw .system(error)
        }
    }

    /// Puts a head in the place of another one: durable, and whole or not at all.
    package static func replace(
        inVaultAt directory: String, with bytes: [UInt8]
    ) throws(VaultError) {
        do throws(Errno) {
            let root = try Descriptor.open(path: directory, OpenFlag.directory)
            let temporary = FileName(
                ReservedName.temporaryPrefix + hexadecimal(Random.bytes(8)))
            let file = try root.openNew(temporary, mode: 0o600)
            do throws(Errno) {
                try file.write(bytes, at: 0)
                try file.synchronize(dataOnly: false)
                try root.rename(temporary, to: root, FileName(name))
                try root.reopen(OpenFlag.directory).synchronize(dataOnly: false)
            } catch {
                try? root.unlink(temporary)
                throw error
            }
        } catch {
            throw .system(error)
        }
    }
}
