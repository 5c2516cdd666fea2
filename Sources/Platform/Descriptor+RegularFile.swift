extension Descriptor {
    /// Opens one name in this directory that must be a regular file, for reading. Where somebody
    /// has put a FIFO, nobody waits for its other end.
    ///
    /// - Throws: `ENXIO` for anything else than a regular file, `ELOOP` for a symbolic link.
    package func openRegularFile(_ name: FileName) throws(Errno) -> Descriptor {
        let file = try open(name, OpenFlag.nonBlocking)
        guard try file.status().kind == .regular else { throw .noDeviceOrAddress }
        return file
    }
}
