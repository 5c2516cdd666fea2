extension MountOptions {
    /// Parses the arguments of `-o`: each holds options between commas; `\,` is a comma and `\\` a
    /// backslash within a value.
    ///
    /// - Parameter knownOthers: names of further options that the caller uses itself; those with a
    ///   value or without land in ``KeyfoldMountOptions/others``.
    /// - Returns: the options for the mount, and those for the vault behind it. `shared`, `ro` and
    ///   such that concern both are in the first.
    /// - Throws: ``MountError/unknownOption(_:)``, ``MountError/invalidOption(_:expected:)``.
    package static func parse(
        _ arguments: [String], knownOthers: Set<String> = []
    ) throws(MountError) -> (mount: MountOptions, keyfold: KeyfoldMountOptions) {
        var mount = MountOptions()
        var keyfold = KeyfoldMountOptions()
        for argument in arguments {
            var last: String?
            for option in Self.split(argument) where !option.isEmpty {
                // `key_cache=5m,1000`: no option is a number, so a number goes on with its option.
                if let last, UInt(option) != nil {
                    keyfold.others[last, default: ""] += ",\(option)"
                    continue
                }
                let (name, value) = Self.nameAndValue(option)
                last = nil
                if try mount.apply(name, value) { continue }
                if try keyfold.apply(name, value) { continue }
                guard knownOthers.contains(name) else { throw .unknownOption(name) }
                keyfold.others[name] = value ?? ""
                last = name
            }
        }
        return (mount, keyfold)
    }

    /// As ``parse(_:knownOthers:)``, for callers that need the mount's part only.
    package init(parsing arguments: [String]) throws(MountError) {
        self = try Self.parse(arguments).mount
    }

    static func split(_ argument: String) -> [String] {
        var options = [""]
        var isEscaped = false
        for character in argument {
            if isEscaped {
                options[options.count - 1].append(character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if character == "," {
                options.append("")
            } else {
                options[options.count - 1].append(character)
            }
        }
        return options
    }

    private static func nameAndValue(_ option: String) -> (name: String, value: String?) {
        guard let separator = option.firstIndex(of: "=") else { return (option, nil) }
        return (
            String(option[..<separator]), String(option[option.index(after: separator)...])
        )
    }

    /// Flags of mount(2) that libfuse takes; each pair is a flag and its opposite.
    private static let flagPairs = [
        ("nosuid", "suid"), ("nodev", "dev"), ("noexec", "exec"), ("noatime", "atime"),
        ("nodiratime", "diratime"), ("norelatime", "relatime"), ("nostrictatime", "strictatime"),
        ("sync", "async"), ("dirsync", "nodirsync"),
    ]

    /// What fstab(5) and mount(8) say to each other; the file system has no use for it.
    private static let ignored: Set<String> = [
        "defaults", "auto", "noauto", "user", "nouser", "users", "owner", "group", "nofail",
        "_netdev", "comment",
    ]

    /// - Returns: false for an option that is none of the mount's.
    private mutating func apply(_ name: String, _ value: String?) throws(MountError) -> Bool {
        if Self.ignored.contains(name) || name.hasPrefix("x-") { return true }
        if let flag = Self.flagPairs.first(where: { $0.0 == name || $0.1 == name }) {
            try Self.requireNoValue(name, value)
            kernelFlags.removeAll { $0 == flag.0 || $0 == flag.1 }
            kernelFlags.append(name)
            return true
        }
        switch name {
        case "ro": isReadOnly = true
        case "rw": isReadOnly = false
        case "allow_other": audience = .everyone
        case "noallow_other": audience = .owner
        case "default_permissions": checksPermissions = true
        case "no_default_permissions": checksPermissions = false
        case "nonempty": hidesFiles = true
        case "shared": sharing = .shared
        case "fsname":
            guard let value else { throw .invalidOption(name, expected: "fsname=NAME") }
            sourceName = value
            return true
        case "subtype":
            // mount.fuse3 gives the type again that it was called with.
            guard value == "keyfoldfs" else {
                throw .invalidOption(name, expected: "subtype=keyfoldfs")
            }
            return true
        case "max_read":
            maximumReadBytes = try Self.byteCount(name, value)
            return true
        case "entry_timeout":
            entryTimeoutSeconds = try Self.seconds(name, value)
            return true
        case "attr_timeout":
            attributeTimeoutSeconds = try Self.seconds(name, value)
            return true
        default: return false
        }
        try Self.requireNoValue(name, value)
        return true
    }

    static func requireNoValue(_ name: String, _ value: String?) throws(MountError) {
        if value != nil { throw .invalidOption(name, expected: "\(name) without a value") }
    }

    /// A page at least; more than a request can carry is no error, the kernel limits it.
    private static func byteCount(_ name: String, _ value: String?) throws(MountError) -> Int {
        guard let value, let count = Int(value), (4096...0x7fff_ffff).contains(count) else {
            throw .invalidOption(name, expected: "\(name)=BYTES, 4096 or more")
        }
        return count
    }

    private static func seconds(_ name: String, _ value: String?) throws(MountError) -> Double {
        guard let value, let seconds = Double(value), seconds >= 0, seconds <= 1e9 else {
            throw .invalidOption(name, expected: "\(name)=SECONDS")
        }
        return seconds
    }

    /// The `-o` argument for libfuse.
    var libfuseArgument: String {
        var options = ["subtype=keyfoldfs"]
        if !sourceName.isEmpty {
            options.append("fsname=\(sourceName.escapedForLibfuse)")
        }
        if audience == .everyone { options.append("allow_other") }
        if checksPermissions { options.append("default_permissions") }
        if isReadOnly { options.append("ro") }
        if let maximumReadBytes { options.append("max_read=\(maximumReadBytes)") }
        return (options + kernelFlags).joined(separator: ",")
    }
}

extension KeyfoldMountOptions {
    /// - Returns: false for an option that is none of Keyfold's.
    fileprivate mutating func apply(
        _ name: String, _ value: String?
    ) throws(MountError) -> Bool {
        switch name {
        case "keystore":
            guard let value, !value.isEmpty else {
                throw .invalidOption(name, expected: "keystore=DIRECTORY")
            }
            keystore = value
        case "passphrase_file":
            guard let value, !value.isEmpty else {
                throw .invalidOption(name, expected: "passphrase_file=FILE")
            }
            passphraseFile = value
        case "overwrite":
            guard value == "inplace" else {
                throw .invalidOption(name, expected: "overwrite=inplace")
            }
            overwritesInPlace = true
        case "log_paths":
            try MountOptions.requireNoValue(name, value)
            logsPaths = true
        default: return false
        }
        return true
    }
}

extension String {
    /// As fuse_opt_parse(3) reads it back.
    fileprivate var escapedForLibfuse: String {
        var escaped = ""
        for character in self {
            if character == "," || character == "\\" { escaped.append("\\") }
            escaped.append(character)
        }
        return escaped
    }
}
