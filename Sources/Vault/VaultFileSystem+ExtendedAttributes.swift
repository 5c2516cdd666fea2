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
        guard let link = inode.links.first else { return rootKeys }
        return try identity(of: link.parent).domain.keys
    }

    private var rootKeys: DomainKeys {
        guard let identity = root.state.withLock({ $0.directory }) else {
            preconditionFailure("BUG: the root's identity is set at init")
        }
        return identity.domain.keys
    }

    private func passesThrough(_ name: [UInt8]) -> String? {
        let text = String(decoding: name, as: UTF8.self)
        return text == "system.posix_acl_access" || text == "system.posix_acl_default" ? text : nil
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
            guard case .keys = error else { throw error }
            keys = nil
        }
        let node = try node(inode)
        let stored = try system { () throws(Errno) in try node.extendedAttributeNames() }
        return stored.compactMap { name in
            if passesThrough(Array(name.utf8)) != nil { return Array(name.utf8) }
            return try? keys?.openAttributeName(name)
        }
    }

    package func setExtendedAttribute(
        _ name: [UInt8], of id: InodeID, to value: [UInt8], flags: Int32
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
        try system { () throws(Errno) in
            try node.setExtendedAttribute(sealed.name, to: sealed.value, flags: flags)
        }
        inode.openContent?.noteAttributes()
        if acl != nil { inode.state.withLock { $0.hasDefaultACL = nil } }
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
