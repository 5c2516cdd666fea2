/// How a vault is mounted.
package struct MountOptions: Sendable, Hashable {
    /// Who may use the mount.
    package enum Audience: Sendable, Hashable {
        /// Only the user that mounts.
        case owner
        /// Everybody whom the files' permissions allow (`allow_other`).
        case everyone
    }

    /// Who else may change the vault while it is mounted.
    package enum Sharing: Sendable, Hashable {
        /// Nobody: names, attributes and data are cached for long, writes are collected.
        case exclusive
        /// Other hosts (`shared`): what an open(2) shows is what the last close(2) left.
        case shared
    }

    package var audience = Audience.owner
    package var sharing = Sharing.exclusive
    package var isReadOnly = false
    /// Whether the kernel checks modes and ACLs (`default_permissions`).
    package var checksPermissions = true
    /// Whether the mount may hide files below the mount point (`nonempty`).
    package var hidesFiles = false
    /// Shown as the mount's source: the vault's directory.
    package var sourceName = ""
    /// Largest read request in bytes; nil lets the kernel choose.
    package var maximumReadBytes: Int?
    /// How long the kernel may use a name without asking; nil chooses by ``sharing``.
    package var entryTimeoutSeconds: Double?
    /// The same for attributes.
    package var attributeTimeoutSeconds: Double?
    /// Flags for mount(2) as they were given: `nosuid`, `noatime`, …; at most one of each.
    package var kernelFlags: [String] = []

    package init() {}

    /// When nobody else changes the vault the kernel may remember for long.
    private static let exclusiveTimeoutSeconds: Double = 86_400

    /// One second where others change the vault, as NFS and libfuse do.
    var effectiveEntryTimeoutSeconds: Double {
        if let entryTimeoutSeconds { return entryTimeoutSeconds }
        return sharing == .shared ? 1 : Self.exclusiveTimeoutSeconds
    }

    /// No time where others change the vault: who opens a file that grew reads no further than the
    /// size that the kernel remembers.
    var effectiveAttributeTimeoutSeconds: Double {
        if let attributeTimeoutSeconds { return attributeTimeoutSeconds }
        return sharing == .shared ? 0 : Self.exclusiveTimeoutSeconds
    }

    /// Whether the kernel may collect writes (FUSE_WRITEBACK_CACHE).
    var collectsWrites: Bool { sharing == .exclusive && !isReadOnly }
}

/// What `-o` asked of Keyfold itself.
package struct KeyfoldMountOptions: Sendable, Hashable {
    /// `keystore=DIR`
    package var keystore: String?
    /// `passphrase_file=FILE`
    package var passphraseFile: String?
    /// `overwrite=inplace`
    package var overwritesInPlace = false
    /// `log_paths`
    package var logsPaths = false
    /// Any other `name=value` that the executable said it knows.
    package var others: [String: String] = [:]

    package init() {}
}
