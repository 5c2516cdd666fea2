import Platform
import SealedFormat

// Directory records and sidecars that the store lost.
extension Recovery {
    /// What was logged for each path, newest last: a directory may have left it, or never come.
    static func metadata(
        _ entries: [JournalEntry]
    ) -> [(path: [UInt8], contents: [[UInt8]])] {
        var order: [[UInt8]] = []
        var contents: [[UInt8]: [[UInt8]]] = [:]
        for entry in entries {
            guard case .metadata(let content) = entry.action else { continue }
            if contents[entry.file.path] == nil { order.append(entry.file.path) }
            contents[entry.file.path, default: []].removeAll { $0 == content }
            contents[entry.file.path, default: []].append(content)
        }
        return order.compactMap { path in contents[path].map { (path: path, contents: $0) } }
    }

    /// Writes a record or a sidecar that the store lost. One that stands there whole stays, since
    /// another directory may have come to the path meanwhile.
    func mendMetadata(_ path: [UInt8], _ contents: [[UInt8]]) throws(VaultError) {
        guard let (directory, name) = try parent(of: path) else { return }
        let isRecord = name.string == ReservedName.directoryRecord
        let isNeeded = isRecord ? true : try isNeededSidecar(name, in: directory)
        guard isNeeded else { return }
        let known = try Self.present { () throws(Errno) in
            try directory.asOwner(0o100) { () throws(Errno) in
                try directory.openRegularFile(name).readAll(limitBytes: 1 << 16)
            }
        }
        if let known, contents.contains(known) || isWhole(known, name) { return }
        guard let content = isRecord ? record(of: contents, in: directory) : contents.last else {
            return
        }
        try system { () throws(Errno) in
            let file = try directory.asOwner(0o300) { () throws(Errno) -> Descriptor in
                // Under a default ACL a record may be one that its owner only reads.
                if known != nil {
                    return try directory.open(name, OpenFlag.path)
                        .reopenAsOwner(OpenFlag.readWrite)
                }
                return try directory.openOrMake(name, mode: 0o600)
            }
            try file.write(content, at: 0)
            try file.truncate(to: UInt64(content.count))
        }
    }

    private func isNeededSidecar(
        _ name: FileName, in directory: Descriptor
    ) throws(VaultError) -> Bool {
        guard let long = ReservedName.long(ofSidecar: name.string) else { return false }
        let status = try Self.present { () throws(Errno) in
            try directory.asOwner(0o100) { () throws(Errno) in
                try directory.status(of: FileName(long))
            }
        }
        return status != nil
    }

    /// Of several directories that were to be at one path, the one that the names in it were made
    /// in; where that can't be told, the one that was to be there last.
    private func record(of contents: [[UInt8]], in directory: Descriptor) -> [UInt8]? {
        guard contents.count > 1 else { return contents.last }
        let names = (try? storedNames(in: directory)) ?? []
        func readable(_ content: [UInt8]) -> Int {
            guard let record = try? DirectoryRecord(decoding: content),
                record.domainID == keys.domainID
            else { return 0 }
            return names.count { (try? keys.openName($0, in: record.directoryID)) != nil }
        }
        // The last of those that read most.
        return contents.reversed().map { ($0, readable($0)) }
            .reduce(nil) { best, next in
                best.map { $0.1 >= next.1 ? $0 : next } ?? next
            }?.0
    }

    /// As many are enough.
    private static let maximumNames = 64

    private func storedNames(in directory: Descriptor) throws(Errno) -> [String] {
        try directory.asOwner(0o500) { () throws(Errno) in
            var stream = DirectoryStream(try directory.reopen(OpenFlag.directory))
            var names: [String] = []
            while names.count < Self.maximumNames, let entry = try stream.next() {
                if !ReservedName.isReserved(entry.name.string) { names.append(entry.name.string) }
            }
            return names
        }
    }

    /// Other domains' keys are not at hand here, but a record that was cut does not decode: its end
    /// is under a hash.
    private func isWhole(_ content: [UInt8], _ name: FileName) -> Bool {
        guard name.string == ReservedName.directoryRecord else { return false }
        guard let record = try? DirectoryRecord(decoding: content) else { return false }
        return record.domainID != keys.domainID
            || (try? record.authenticate(content, with: keys)) != nil
    }
}
