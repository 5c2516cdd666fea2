import Platform
import SealedFormat
import Synchronization

// Extended attributes: sealed, and stored under "user.", whatever their own namespace is. POSIX
// ACLs pass through, because the file system below enforces their inheritance.
extension VaultFileSystem {
    /// Answered by the mount's root itself; never listed or stored.
    package static let statusAttribute = "user.keyfold.status"

    /// What a directory or file of no domain's own takes its attribute keys from.
    private func attributeKeys(of inode: Inode) throws(VaultError) -> DomainKeys {
        if inode.kind == .directory { return try identity(of: inode).domain.keys }
        return try domain(of: inode).keys
    }

    private static let accessACL = "system.posix_acl_access"

    private func passesThrough(_ name: [UInt8]) -> String? {
        let text = String(decoding: name, as: UTF8.self)
        return text == Self.accessACL || text == "system.posix_acl_default" ? text : nil
    }

    /// The stored name of an attribute that does not pass through.
    private func stored(_ name: [UInt8], _ keys: DomainKeys) throws(VaultError) -> String {
        if name.starts(with: Array("system.".utf8)) { throw .system(.notSupported) }
        guard !name.isEmpty, !name.contains(0) else { throw .system(.invalidArgument) }
        let stored = keys.sealAttributeName(name)
        guard stored.utf8.count <= 255 else { throw .system(.outOfRange) }
        return stored
    }

    package func extendedAttribute(
        _ name: [UInt8], of id: InodeID
    ) throws(VaultError) -> [UInt8] {
        let inode = try inode(id)
        if id == .root, name == Array(Self.statusAttribute.utf8) { return status().json }
        if let text = passesThrough(name) {
            let node = try node(inode)
            return try system { () throws(Errno) in try node.extendedAttribute(text) }
        }
        let keys = try attributeKeys(of: inode)
        let stored = try stored(name, keys)
        let node = try node(inode)
        let value = try system { () throws(Errno) in try node.extendedAttribute(stored) }
        return try format { () throws(FormatError) in
            try keys.openAttributeValue(value, name: name)
        }
    }

    /// The root of a domain whose key can't be had shows no names of that domain, so that listing
    /// the directory above it fails for nobody.
    package func extendedAttributeNames(of id: InodeID) throws(VaultError) -> [[UInt8]] {
        let inode = try inode(id)
        let keys: DomainKeys?
        do throws(VaultError) {
            keys = try attributeKeys(of: inode)
        } catch {
            guard error.isOfKeys else { throw error }
            keys = nil
        }
        let node = try node(inode)
        let stored = try system { () throws(Errno) in try node.extendedAttributeNames() }
        return stored.compactMap { name in
            if passesThrough(Array(name.utf8)) != nil { return Array(name.utf8) }
            return try? keys?.openAttributeName(name)
        }
    }

    /// - Parameter requester: nil for the mount itself.
    package func setExtendedAttribute(
        _ name: [UInt8], of id: InodeID, to value: [UInt8], flags: Int32,
        as requester: Requester? = nil
    ) throws(VaultError) {
        try requireWritable()
        let inode = try inode(id)
        let acl = passesThrough(name)
        let sealed: (name: String, value: [UInt8])
        if let acl {
            sealed = (acl, value)
        } else {
            let keys = try attributeKeys(of: inode)
            sealed = (try stored(name, keys), keys.sealAttributeValue(value, name: name))
        }
        let node = try node(inode)
        if let requester, acl == Self.accessACL {
            try clearSetGroupID(of: node, inode, as: requester)
        }
        try system { () throws(Errno) in
            try node.setExtendedAttribute(sealed.name, to: sealed.value, flags: flags)
        }
        inode.openContent?.noteAttributes()
        if acl != nil { inode.state.withLock { $0.hasDefaultACL = nil } }
    }

    /// An access ACL sets mode bits, and set-group-id is not for who is not in the group: what the
    /// kernel does where it sets ACLs itself (posix_acl_update_mode), it leaves to us. Before the ACL,
    /// so that a failure in between leaves too little and not too much.
    private func clearSetGroupID(
        of node: Descriptor, _ inode: Inode, as requester: Requester
    ) throws(VaultError) {
        let status = try system { () throws(Errno) in try node.status() }
        guard status.mode & 0o2000 != 0, requester.uid != 0,
            !requester.isMember(ofGroup: status.gid)
        else { return }
        try system { () throws(Errno) in try node.changeMode(to: status.mode & 0o5777) }
        tellOfAttributes(of: inode)
    }

    package func removeExtendedAttribute(
        _ name: [UInt8], of id: InodeID
    ) throws(VaultError) {
        try requireWritable()
        let inode = try inode(id)
        let stored: String
        if let acl = passesThrough(name) {
            stored = acl
        } else {
            stored = try self.stored(name, try attributeKeys(of: inode))
        }
        let node = try node(inode)
        try system { () throws(Errno) in try node.removeExtendedAttribute(stored) }
        inode.openContent?.noteAttributes()
        if passesThrough(name) != nil { inode.state.withLock { $0.hasDefaultACL = nil } }
    }
}

extension Requester {
    /// More than a process with all the 65,536 groups that it may have takes (proc(5)).
    private static let maximumStatusBytes = 1 << 20

    /// Whether the process is in a group, as far as /proc shows it: of one in another PID namespace
    /// only its own group is known.
    func isMember(ofGroup group: UInt32) -> Bool {
        if gid == group { return true }
        guard pid > 0,
            let bytes = try? Descriptor.open(path: "/proc/\(pid)/status", 0)
                .readAll(limitBytes: Self.maximumStatusBytes)
        else { return false }
        let title = Array("Groups:".utf8)
        let lines = bytes.split(separator: UInt8(ascii: "\n"))
        guard let line = lines.first(where: { $0.starts(with: title) }) else { return false }
        let numbers = String(decoding: line.dropFirst(title.count), as: UTF8.self)
        return numbers.split { $0.isWhitespace }.contains { UInt32($0) == group }
    }
}
