import Platform
import SealedFormat

/// The lock that keeps a second writer out of a vault: flock(2) on `.keyfold.lock`.
///
/// The kernel drops it when its holder dies in any way, so a stale lock cannot exist; the text in
/// the file only says who holds it.
package final class VaultLock: Sendable {
    /// Who holds a vault, as written by the holder itself.
    package struct Holder: Sendable, Hashable {
        package let pid: Int32
        package let mountPoint: String?
    }

    private let file: Descriptor

    private init(_ file: Descriptor) {
        self.file = file
    }

    /// A child that was just started has the descriptor for a moment, and would keep the lock.
    deinit {
        file.unlock()
    }

    /// Takes the lock, or throws ``VaultError/locked(path:holder:)`` at once.
    ///
    /// A read-only vault without a lock file is not locked: nothing can write it here.
    static func acquire(
        in vault: Descriptor, path: String, isShared: Bool, isReadOnly: Bool, mountPoint: String?
    ) throws(VaultError) -> VaultLock? {
        let name = FileName(ReservedName.lock)
        let file: Descriptor
        do throws(Errno) {
            file =
                isReadOnly
                ? try vault.open(name, OpenFlag.nonBlocking)
                : try vault.openOrMake(
                    name, OpenFlag.readWrite | OpenFlag.nonBlocking, mode: 0o600)
        } catch {
            if isReadOnly, error == .noSuchFileOrDirectory || error == .readOnlyFileSystem {
                return nil
            }
            throw .system(error)
        }
        do throws(Errno) {
            try file.tryLock(isShared || isReadOnly ? .shared : .exclusive)
        } catch {
            guard error == .wouldBlock else { throw .system(error) }
            throw .locked(path: path, holder: holder(in: file))
        }
        if !isReadOnly {
            let text = "\(ProcessTable.currentPID)\n\(mountPoint ?? "")\n"
            try system { () throws(Errno) in
                try file.truncate(to: 0)
                try file.write(Array(text.utf8), at: 0)
            }
        }
        return VaultLock(file)
    }

    func release() {
        file.unlock()
    }

    /// Who holds the vault at `path`; nil when nobody does.
    package static func holder(ofVaultAt path: String) throws(VaultError) -> Holder? {
        let file: Descriptor
        do throws(Errno) {
            let vault = try Descriptor.open(path: path, OpenFlag.directory)
            file = try vault.open(FileName(ReservedName.lock), OpenFlag.nonBlocking)
        } catch {
            if error == .noSuchFileOrDirectory { return nil }
            throw .system(error)
        }
        do throws(Errno) {
            try file.tryLock(.exclusive)
            file.unlock()
            return nil
        } catch {
            guard error == .wouldBlock else { throw .system(error) }
            return holder(in: file) ?? Holder(pid: 0, mountPoint: nil)
        }
    }

    private static func holder(in file: Descriptor) -> Holder? {
        guard let bytes = try? file.read(count: 8192, at: 0) else { return nil }
        let lines = String(decoding: bytes, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count >= 2, let pid = Int32(lines[0]) else { return nil }
        return Holder(pid: pid, mountPoint: lines[1].isEmpty ? nil : String(lines[1]))
    }
}
