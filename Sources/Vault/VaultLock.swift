import Platform
import SealedFormat

/// The lock that keeps a second writer out of a vault: flock(2) on `.keyfold.lock`.
///
/// The kernel drops it when its holder dies in any way, so a stale lock cannot exist; the text in
/// the file only says where its holder has mounted the vault.
package final class VaultLock: Sendable {
    /// Who holds a vault, as the kernel says.
    package struct Holder: Sendable, Hashable {
        package let pid: Int32
        /// As the holder has written it; one that only reads writes nothing.
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
            throw .locked(path: path, holder: holder(of: file))
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

    /// Who holds the vault at `path`; nil when nobody does that can be seen from here.
    package static func holder(ofVaultAt path: String) throws(VaultError) -> Holder? {
        let file: Descriptor
        do throws(Errno) {
            let vault = try Descriptor.open(path: path, OpenFlag.directory)
            file = try vault.open(FileName(ReservedName.lock), OpenFlag.path)
        } catch {
            if error == .noSuchFileOrDirectory { return nil }
            throw .system(error)
        }
        return holder(of: file)
    }

    private static func holder(of file: Descriptor) -> Holder? {
        guard let pids = try? file.lockHolders(), let first = pids.first else { return nil }
        // The text may be that of a mount that has ended.
        if let writer = writer(of: file), pids.contains(writer.pid) { return writer }
        return Holder(pid: first, mountPoint: nil)
    }

    private static func writer(of file: Descriptor) -> Holder? {
        guard
            let bytes = try? file.reopen(OpenFlag.nonBlocking).read(count: 8192, at: 0)
        else { return nil }
        let lines = String(decoding: bytes, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count >= 2, let pid = Int32(lines[0]) else { return nil }
        return Holder(pid: pid, mountPoint: lines[1].isEmpty ? nil : String(lines[1]))
    }
}
