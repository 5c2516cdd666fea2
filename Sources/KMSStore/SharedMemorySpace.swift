internal import Glibc
internal import Platform

/// Room on the disk for the shared memory (`-shm`) of a database in WAL mode.
///
/// SQLite maps that file, and makes sure of its room by writing one byte of each page of 4 KiB
/// (`unixShmMap` in os_unix.c). Where the file system's blocks are smaller, the rest of each page
/// is a hole, and a store into a hole on a full disk ends the process (SIGBUS).
struct SharedMemorySpace {
    /// SQLite's unit; more blocks of it follow only with thousands of frames in the WAL.
    private static let regionBytes: UInt64 = 32 << 10
    /// For the region and what a first transaction takes beside it.
    private static let neededBytes: UInt64 = 128 << 10
    private static let pageBytes: UInt64 = 4096

    private let path: String
    private let hasHoles: Bool

    /// - Throws: ``KeystoreError/full(path:)`` where a connection might end the process.
    init(ofDatabase database: String) throws(KeystoreError) {
        path = database + "-shm"
        do throws(Errno) {
            let space = try Descriptor.open(path: database, OpenFlag.path).fileSystemStatistics()
            hasHoles = space.fragmentSizeBytes < SharedMemorySpace.pageBytes
            // Root's own count of blocks holds some that ext4 gives to nobody.
            let freeBytes = space.availableBlocks
                .multipliedReportingOverflow(by: space.fragmentSizeBytes)
            if hasHoles, !freeBytes.overflow,
                freeBytes.partialValue < SharedMemorySpace.neededBytes
            {
                throw .noSpace
            }
        } catch {
            throw KeystoreError(error, path: database)
        }
    }

    /// Fills the holes, once a connection has made the file; changes no byte of it.
    ///
    /// Through SQLite's own descriptor: with another one its locks would go, and the next process
    /// that opens the database would take itself for the first one, and cut the file to nothing
    /// under those that have it mapped (`unixLockSharedMemory` in os_unix.c).
    func reserve() throws(KeystoreError) {
        guard hasHoles else { return }
        try onSystem(path) { () throws(Errno) in
            do throws(Errno) {
                try ForeignDescriptor.allocate(
                    fileAt: path, count: SharedMemorySpace.regionBytes)
            } catch {
                guard error == .notSupported else { throw error }
            }
        }
    }
}
