internal import Glibc

// What root makes for somebody else, in a vault or a keystore, belongs to whom the place belongs to:
// a file of mode 0600 that stayed root's would lock its owner out of what is his.
extension Descriptor {
    /// Makes a file in this directory, which must not be there yet, and opens it; where this is root
    /// and the directory somebody else's, it is that user's from the start.
    package func openNew(
        _ name: FileName, _ flags: Int32 = OpenFlag.readWrite, mode: UInt32
    ) throws(Errno) -> Descriptor {
        let file = try open(name, flags | O_CREAT | O_EXCL, mode: mode)
        do throws(Errno) {
            try file.takeOwner(of: self)
        } catch {
            try? unlink(name)
            throw error
        }
        return file
    }

    /// Opens a file in this directory, after making it as ``openNew(_:_:mode:)`` where it is absent.
    package func openOrMake(
        _ name: FileName, _ flags: Int32 = OpenFlag.readWrite, mode: UInt32
    ) throws(Errno) -> Descriptor {
        do throws(Errno) {
            return try open(name, flags)
        } catch {
            guard error == .noSuchFileOrDirectory else { throw error }
        }
        do throws(Errno) {
            return try openNew(name, flags, mode: mode)
        } catch {
            guard error == .fileExists else { throw error }
        }
        return try open(name, flags)
    }

    /// Opens a directory in this one for reading, after making it, mode 0700, where it is absent.
    ///
    /// An empty one of root's in a place of somebody else's becomes that user's. One that is not
    /// empty may be another than the one that was made: whoever owns the place can exchange them.
    package func openOrMakeDirectory(_ name: FileName) throws(Errno) -> Descriptor {
        do throws(Errno) {
            try makeDirectory(name, mode: 0o700)
        } catch {
            if error != .fileExists { throw error }
        }
        let directory = try open(name, OpenFlag.directory)
        if ProcessTable.effectiveUID == 0, try directory.isEmpty() {
            try directory.takeOwner(of: self)
        }
        return directory
    }

    private func isEmpty() throws(Errno) -> Bool {
        var stream = DirectoryStream(try open(FileName("."), OpenFlag.directory))
        while let entry = try stream.next() {
            if !entry.name.isDots { return false }
        }
        return true
    }

    /// Gives this file, which nobody else can have had yet, to the owner and group of the directory
    /// that it was made in. Where the file system gives no file away it stays root's.
    private func takeOwner(of directory: Descriptor) throws(Errno) {
        guard ProcessTable.effectiveUID == 0 else { return }
        let place = try directory.status()
        guard place.uid != 0 else { return }
        do throws(Errno) {
            try changeOwner(uid: place.uid, gid: place.gid)
        } catch {
            guard error == .notPermitted || error == .invalidArgument else { throw error }
        }
    }
}
