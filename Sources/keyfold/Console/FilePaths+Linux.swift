import Glibc

/// Paths as the person gives them.
enum FilePaths {
    /// An absolute path without `.`, `..` and doubled slashes; touches no file system, so that a
    /// path whose end does not exist yet has one too.
    static func absolute(_ path: String) -> String {
        let whole = path.hasPrefix("/") ? path : currentDirectory + "/" + path
        var parts: [Substring] = []
        for part in whole.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return "/" + parts.joined(separator: "/")
    }

    /// The same file's path without symbolic links (realpath(3)); nil when it does not exist.
    static func resolved(_ path: String) -> String? {
        // SAFETY: realpath allocates a NUL-terminated string, which is copied and then freed.
        guard let resolved = unsafe realpath(path, nil) else { return nil }
        defer { unsafe free(resolved) }
        return unsafe String(cString: resolved)
    }

    /// `path` itself, or what it names below `directory`.
    static func joined(_ path: String, below directory: String) -> String {
        path.hasPrefix("/") ? path : absolute(directory + "/" + path)
    }

    private static var currentDirectory: String {
        // SAFETY: as above; getcwd with no buffer allocates what it needs.
        guard let path = unsafe getcwd(nil, 0) else { return "/" }
        defer { unsafe free(path) }
        return unsafe String(cString: path)
    }
}

/// Variables that the person set; empty ones count as unset.
enum EnvironmentVariable {
    static func value(_ name: String) -> String? {
        // SAFETY: getenv answers nil or a NUL-terminated string, which is copied at once; nothing
        // in these programs changes the environment.
        guard let text = unsafe getenv(name) else { return nil }
        let value = unsafe String(cString: text)
        return value.isEmpty ? nil : value
    }
}
