internal import Platform

/// Paths as the person gives them.
package enum FilePaths {
    /// An absolute path without `.`, `..` and doubled slashes; touches no file system, so that a
    /// path whose end does not exist yet has one too.
    package static func absolute(_ path: String) -> String {
        let whole = path.hasPrefix("/") ? path : SystemPath.currentDirectory + "/" + path
        var parts: [Substring] = []
        for part in whole.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return "/" + parts.joined(separator: "/")
    }

    /// The same file's path without symbolic links; nil when it does not exist.
    package static func resolved(_ path: String) -> String? { SystemPath.resolved(path) }

    /// `path` itself, or what it names below `directory`.
    package static func joined(_ path: String, below directory: String) -> String {
        path.hasPrefix("/") ? path : absolute(directory + "/" + path)
    }
}
