import Platform

// The mount of an ordinary user passes no mode of the store's files, as root's does, and has to do
// its work in files of mode 0444 (git's objects) and directories of mode 0555 all the same.
extension Descriptor {
    /// Runs `body`; where a mode keeps us out and this file is our own, once more while its mode
    /// has these bits of its owner's. What `body` did before it was refused is done twice.
    ///
    /// A process that is killed meanwhile leaves the file open to its owner, who might have opened
    /// it himself, and to nobody else. A set-group-id bit for a group that we are not in goes with
    /// the change (chmod(2)).
    ///
    /// - Throws: `EACCES` when that is no help, or the file is somebody else's.
    func asOwner<Result>(
        _ bits: UInt32, _ body: () throws(Errno) -> Result
    ) throws(Errno) -> Result {
        do throws(Errno) {
            return try body()
        } catch {
            guard error == .accessDenied else { throw error }
        }
        let before = try status()
        guard before.uid == ProcessTable.effectiveUID else { throw .accessDenied }
        // Another thread may be at the same file.
        guard before.mode & bits != bits else { return try body() }
        try changeMode(to: before.mode | bits)
        defer { takeBack(bits, of: before) }
        return try body()
    }

    /// A mode that somebody else has set meanwhile stays.
    private func takeBack(_ bits: UInt32, of before: FileStatus) {
        guard let now = try? status(), now.mode & 0o777 == (before.mode | bits) & 0o777 else {
            return
        }
        try? changeMode(to: before.mode)
    }

    /// As ``reopen(_:)``, also where the file's mode keeps out its owner.
    func reopenAsOwner(_ flags: Int32) throws(Errno) -> Descriptor {
        try asOwner(0o600) { () throws(Errno) in try reopen(flags) }
    }
}
