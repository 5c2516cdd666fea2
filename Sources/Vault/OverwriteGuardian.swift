import Platform
import SealedFormat

/// A change of a file's old blocks, as ``SealedFile`` knows it.
struct OverwriteChange {
    let action: OverwriteRecord.Action
    let fileID: FileID
    let sealedOffset: UInt64
    let sealedBytes: UInt64
    let sealedSizeAfter: UInt64
}

/// Stands by while old blocks change, so that a killed process leaves them old or new.
protocol OverwriteGuardian: Sendable {
    /// Runs `change` once; `payload` holds the change's bytes at its start.
    func protect(
        _ change: OverwriteChange, payload: PageBuffer?, _ body: () throws(VaultError) -> Void
    ) throws(VaultError)
}

extension VaultFileSystem {
    func guardian(of inode: Inode) -> (any OverwriteGuardian)? {
        journal.map { InodeGuardian(inode: inode, journal: $0, renames: renames) }
    }
}

/// Guards one inode's content with the mount's journal.
private struct InodeGuardian: OverwriteGuardian {
    let inode: Inode
    let journal: OverwriteJournal
    let renames: ReadWriteMutex<Void>

    func protect(
        _ change: OverwriteChange, payload: PageBuffer?, _ body: () throws(VaultError) -> Void
    ) throws(VaultError) {
        try renames.withReadLock { _ throws(VaultError) in
            // Without a name there is nothing that a later mount could find.
            guard let path = inode.storedPath else { return try body() }
            try journal.protect(
                change.action,
                OverwriteJournal.Target(
                    fileID: change.fileID, inodeNumber: inode.backing.inodeNumber,
                    sealedOffset: change.sealedOffset, sealedBytes: change.sealedBytes,
                    sealedSizeAfter: change.sealedSizeAfter, path: path),
                payload, payload == nil ? 0 : Int(change.sealedBytes), body)
        }
    }
}

extension Inode {
    /// Stored names from the vault's root down with "/" between them; nil when none is known.
    var storedPath: [UInt8]? {
        var names: [[UInt8]] = []
        var current = self
        while current.id != .root {
            guard let link = current.links.first else { return nil }
            names.append(link.stored.bytes)
            current = link.parent
        }
        return Array(names.reversed().joined(separator: [UInt8(ascii: "/")]))
    }
}
