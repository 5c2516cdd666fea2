internal import Glibc

/// What the system says of paths.
package enum SystemPath {
    /// The same file's path without symbolic links (realpath(3)); nil when it does not exist.
    package static func resolved(_ path: String) -> String? {
        // SAFETY: realpath allocates a NUL-terminated string, which is copied and then freed.
        guard let resolved = unsafe realpath(path, nil) else { return nil }
        defer { unsafe free(resolved) }
        return unsafe String(cString: resolved)
    }

    /// The working directory; `/` when it has been removed.
    package static var currentDirectory: String {
        // SAFETY: as above; getcwd with no buffer allocates what it needs.
        guard let path = unsafe getcwd(nil, 0) else { return "/" }
        defer { unsafe free(path) }
        return unsafe String(cString: path)
    }
}

/// Variables that the person set; empty ones count as unset.
package enum EnvironmentVariable {
    package static func value(_ name: String) -> String? {
        // SAFETY: getenv answers nil or a NUL-terminated string, which is copied at once; nothing
        // in these programs changes the environment.
        guard let text = unsafe getenv(name) else { return nil }
        let value = unsafe String(cString: text)
        return value.isEmpty ? nil : value
    }
}
