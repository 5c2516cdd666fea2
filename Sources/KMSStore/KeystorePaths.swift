internal import Glibc
internal import Platform

/// The names inside a keystore's directory.
package struct KeystorePaths: Sendable, Hashable {
    package let directory: String

    package init(directory: String) {
        var directory = directory
        while directory.utf8.count > 1, directory.hasSuffix("/") { directory.removeLast() }
        self.directory = directory
    }

    package static let databaseName = "keystore.db"
    package static let logName = "log"
    private static let commitsName = "commits"

    var database: String { "\(directory)/\(KeystorePaths.databaseName)" }
    /// The shared counter of commits (``CommitCounter``).
    var commits: String { "\(directory)/\(KeystorePaths.commitsName)" }
    /// The usage log's own directory.
    package var log: String { "\(directory)/\(KeystorePaths.logName)" }

    /// Whether the directory holds a keystore's database; says nothing about its contents.
    package var holdsKeystore: Bool {
        (try? Descriptor.open(path: database, OpenFlag.path).status().kind) == .regular
    }

    /// The directory itself, which must hold a keystore.
    ///
    /// - Throws: ``KeystoreError/missing(path:)``, ``KeystoreError/notAKeystore(path:reason:)``.
    func openDirectory() throws(KeystoreError) -> Descriptor {
        let place: Descriptor
        do throws(Errno) {
            place = try Descriptor.open(path: directory, O_RDONLY | O_DIRECTORY)
        } catch {
            switch error {
            case .noSuchFileOrDirectory: throw .missing(path: directory)
            case .notDirectory:
                throw .notAKeystore(path: directory, reason: "it is not a directory")
            default: throw KeystoreError(error, path: directory)
            }
        }
        guard holdsKeystore else {
            let isEmpty = (try? DirectoryContents.names(of: place).isEmpty) ?? false
            if isEmpty { throw .missing(path: directory) }
            throw .notAKeystore(
                path: directory, reason: "it holds no \(KeystorePaths.databaseName)")
        }
        return place
    }

    /// Removes what making a keystore here left when it was killed. Nobody may be making one now.
    package func removeUnfinished() {
        StagedDirectory.removeUnfinished(for: directory)
    }

    // MARK: Files that lie with whoever stores the keystore

    /// Opens the file `commits` for reading and writing.
    ///
    /// It is written to, so it must be no way into another file of the user's: who stores a portable
    /// vault may put anything in its place.
    ///
    /// - Throws: ``KeystoreError/tampered(path:what:)`` for anything but a regular file of this user's
    ///   with no other name; root takes those of other users.
    func openCommits() throws(KeystoreError) -> Descriptor {
        try commits { place, name throws(Errno) in try place.open(name, O_RDWR | O_NONBLOCK) }
    }

    /// The same, after making the file, mode 0600, where it is missing.
    func openOrMakeCommits() throws(KeystoreError) -> Descriptor {
        try commits { place, name throws(Errno) in
            try place.openOrMake(name, O_RDWR | O_NONBLOCK, mode: 0o600)
        }
    }

    private func commits(
        _ open: (Descriptor, FileName) throws(Errno) -> Descriptor
    ) throws(KeystoreError) -> Descriptor {
        let file: Descriptor
        let status: FileStatus
        do throws(Errno) {
            file = try open(
                try Descriptor.open(path: directory, O_RDONLY | O_DIRECTORY),
                FileName(KeystorePaths.commitsName))
            status = try file.status()
        } catch {
            switch error {
            case .symbolicLinkLoop, .isDirectory, .noDeviceOrAddress:
                throw .tampered(path: directory, what: "commits is no regular file")
            case .readOnlyFileSystem: throw .readOnly(path: directory)
            default: throw KeystoreError(error, path: commits)
            }
        }
        guard status.kind == .regular else {
            throw .tampered(path: directory, what: "commits is no regular file")
        }
        guard status.linkCount <= 1 else {
            throw .tampered(path: directory, what: "commits has another name elsewhere")
        }
        let user = ProcessTable.effectiveUID
        guard user == 0 || status.uid == user else {
            throw .tampered(path: directory, what: "commits belongs to another user")
        }
        return file
    }

    /// Refuses a keystore whose log lies elsewhere.
    ///
    /// - Parameter place: the keystore's directory.
    /// - Throws: ``KeystoreError/tampered(path:what:)`` for anything but a directory.
    func checkLog(in place: Descriptor) throws(KeystoreError) {
        do throws(Errno) {
            if try place.status(of: FileName(KeystorePaths.logName)).kind == .directory { return }
        } catch {
            if error == .noSuchFileOrDirectory { return }
            throw KeystoreError(error, path: log)
        }
        throw .tampered(path: directory, what: "log is no directory")
    }

    /// The log's directory.
    func openLog() throws(KeystoreError) -> Descriptor {
        let place = try openDirectory()
        try checkLog(in: place)
        return try onSystem(log) { () throws(Errno) in
            try place.open(FileName(KeystorePaths.logName), O_RDONLY | O_DIRECTORY)
        }
    }
}

enum DirectoryContents {
    /// All names but "." and "..".
    static func names(of directory: Descriptor) throws(Errno) -> [FileName] {
        var stream = DirectoryStream(
            try directory.open(FileName("."), O_RDONLY | O_DIRECTORY))
        var names: [FileName] = []
        while let entry = try stream.next() {
            if !entry.name.isDots { names.append(entry.name) }
        }
        return names
    }

    /// Removes a directory with one level of directories in it, as a keystore is.
    static func remove(_ name: FileName, in parent: Descriptor) {
        guard let place = try? parent.open(name, O_RDONLY | O_DIRECTORY) else { return }
        for entry in (try? names(of: place)) ?? [] {
            if (try? place.unlink(entry)) == nil { remove(entry, in: place) }
        }
        try? parent.removeDirectory(name)
    }
}

/// A directory that is built under another name and then takes its place at once, so that no
/// half-made keystore is ever seen.
struct StagedDirectory {
    let parent: Descriptor
    let parentPath: String
    let stagedName: FileName
    let finalName: FileName
    let finalPath: String
    var path: String { "\(parentPath)/\(stagedName.string)" }

    private static func parts(of path: String) -> (parent: String, name: String) {
        let cut = path.lastIndex(of: "/")
        return (
            cut.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? ".",
            cut.map { String(path[path.index(after: $0)...]) } ?? path
        )
    }

    private static func prefix(_ name: String) -> String { name + ".new-" }

    /// Removes those that were built for `path` and never took their place.
    static func removeUnfinished(for path: String) {
        let (parentPath, name) = parts(of: path)
        guard let parent = try? Descriptor.open(path: parentPath, O_RDONLY | O_DIRECTORY) else {
            return
        }
        for entry in (try? DirectoryContents.names(of: parent)) ?? []
        where entry.string.hasPrefix(prefix(name)) {
            DirectoryContents.remove(entry, in: parent)
        }
    }

    /// Makes the parents of `path` (mode 0700) where they are missing, and the staged directory.
    ///
    /// - Throws: ``KeystoreError/exists(path:)`` when there is anything but an empty directory.
    init(for path: String, token: String) throws(KeystoreError) {
        let whole = KeystorePaths(directory: path).directory
        let (parentPath, name) = StagedDirectory.parts(of: whole)
        do throws(Errno) {
            try StagedDirectory.makeParents(parentPath)
            let parent = try Descriptor.open(path: parentPath, O_RDONLY | O_DIRECTORY)
            finalName = FileName(name)
            stagedName = FileName(StagedDirectory.prefix(name) + token)
            finalPath = whole
            self.parentPath = parentPath
            if let old = try? parent.status(of: finalName) {
                guard old.kind == .directory,
                    try DirectoryContents.names(
                        of: try parent.open(finalName, O_RDONLY | O_DIRECTORY)
                    ).isEmpty
                else { throw .fileExists }
            }
            try parent.makeDirectory(stagedName, mode: 0o700)
            self.parent = parent
        } catch {
            throw error == .fileExists ? .exists(path: whole) : KeystoreError(error, path: whole)
        }
    }

    private static func makeParents(_ path: String) throws(Errno) {
        if (try? Descriptor.open(path: path, OpenFlag.path)) != nil { return }
        let (above, name) = parts(of: path)
        if above != "/", above != "." { try makeParents(above) }
        try make(name, in: try Descriptor.open(path: above, O_RDONLY | O_DIRECTORY))
    }

    private static func make(_ name: String, in directory: Descriptor) throws(Errno) {
        do throws(Errno) {
            try directory.makeDirectory(FileName(name), mode: 0o700)
            try directory.synchronize(dataOnly: false)
        } catch {
            if error != .fileExists { throw error }
        }
    }

    /// Syncs the staged directory and gives it its name.
    func commit() throws(KeystoreError) {
        do throws(Errno) {
            let staged = try parent.open(stagedName, O_RDONLY | O_DIRECTORY)
            try staged.synchronize(dataOnly: false)
            // Without flags, rename(2) replaces an empty directory, and nothing else.
            try parent.rename(stagedName, to: parent, finalName)
            try parent.synchronize(dataOnly: false)
        } catch {
            DirectoryContents.remove(stagedName, in: parent)
            throw error == .directoryNotEmpty || error == .fileExists
                ? .exists(path: finalPath) : KeystoreError(error, path: finalPath)
        }
    }

    func discard() {
        DirectoryContents.remove(stagedName, in: parent)
    }
}
