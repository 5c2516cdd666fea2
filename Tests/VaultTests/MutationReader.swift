import Platform
import TestSupport

@testable import Vault

/// Everything that a mount shows of a vault, also where it is damaged: what can't be read is nil.
struct MutationReader {
    struct File: Equatable {
        var sizeBytes: UInt64
        /// By block; nil for one that can't be read.
        var blocks: [[UInt8]?]
        var attributes: [String: [UInt8]?]
    }

    struct Shown: Equatable {
        /// By path; nil for a file that can't be opened.
        var files: [String: File?] = [:]
        var links: [String: [UInt8]?] = [:]
        /// Directories that can't be listed.
        var closed: Set<String> = []
        var directories: Set<String> = []
        var others: Set<String> = []
        var undecodable = 0
    }

    private let vault: VaultFileSystem
    private var shown = Shown()

    static func read(_ vault: VaultFileSystem) -> Shown {
        var reader = MutationReader(vault: vault)
        reader.list("", .root)
        reader.shown.undecodable = vault.counters.undecodableNames.withLock { $0.count }
        return reader.shown
    }

    private init(vault: VaultFileSystem) {
        self.vault = vault
    }

    private mutating func list(_ directory: String, _ inode: InodeID) {
        var names: [FileName] = []
        do throws(VaultError) {
            let handle = try vault.openDirectory(inode)
            defer { vault.releaseDirectory(handle) }
            try vault.readDirectory(handle, from: 0) { entry in
                if !entry.name.isDots { names.append(entry.name) }
                return true
            }
        } catch {
            shown.closed.insert(directory)
        }
        for name in names {
            let path = directory.isEmpty ? name.string : directory + "/" + name.string
            guard let entry = try? vault.lookup(name, in: inode) else {
                shown.files[path] = .some(nil)
                continue
            }
            add(path, entry)
        }
    }

    private mutating func add(_ path: String, _ entry: Entry) {
        switch entry.attributes.mode & 0o170000 {
        case 0o040000:
            shown.directories.insert(path)
            list(path, entry.inode)
        case 0o120000:
            shown.links[path] = .some(try? vault.readSymbolicLink(entry.inode))
        case 0o100000:
            shown.files[path] = .some(file(entry))
        default:
            shown.others.insert(path)
        }
    }

    private func file(_ entry: Entry) -> File? {
        let size = entry.attributes.sizeBytes
        guard size < 1 << 24 else { return nil }
        guard
            let handle = try? vault.open(
                entry.inode, flags: OpenFlags(rawValue: 0), as: VaultWorkbench.requester)
        else { return nil }
        defer { vault.release(handle) }
        var file = File(sizeBytes: size, blocks: [], attributes: [:])
        for offset in stride(from: UInt64(0), to: size, by: 4096) {
            let count = Int(min(4096, size - offset))
            let block = try? vault.contents(handle, at: offset, count: count)
            file.blocks.append(block?.count == count ? block : nil)
        }
        for name in (try? vault.extendedAttributeNames(of: entry.inode)) ?? [] {
            file.attributes[String(decoding: name, as: UTF8.self)] =
                .some(try? vault.extendedAttribute(name, of: entry.inode))
        }
        return file
    }
}
