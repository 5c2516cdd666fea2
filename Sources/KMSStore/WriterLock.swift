internal import Cryptography
internal import Platform

/// Tells others that a process lives: a lock on one byte of the keystore's file `commits`, far
/// behind its end, which the kernel lets go when the process ends, however it ends.
package struct WriterLock: Sendable {
    /// Which byte; drawn at random, so no two processes have the same.
    package let writer: UInt64
    private let file: Descriptor

    private static let firstByte: UInt64 = 1 << 32

    init(paths: KeystorePaths) throws(KeystoreError) {
        let bytes = Random.bytes(8)
        let number = bytes.reduce(0) { $0 << 8 | UInt64($1) }
        // Positive as an off_t, which it has to be.
        writer = WriterLock.firstByte + number >> 2
        file = try paths.openCommits()
        let (file, writer) = (file, writer)
        try onSystem(paths.commits) { () throws(Errno) in try file.tryLock(byteAt: writer) }
    }

    /// Whether the process with that number lives; true in doubt.
    static func isHeld(_ writer: UInt64, paths: KeystorePaths) -> Bool {
        guard writer <= UInt64(Int64.max), let file = try? paths.openCommits() else { return true }
        return (try? file.isLocked(byteAt: writer)) ?? true
    }
}

extension KeystoreStore {
    /// Lets others know that this process lives, as long as it keeps what this returns.
    package func lockAsWriter() throws(KeystoreError) -> WriterLock {
        try WriterLock(paths: paths)
    }

    /// Whether another process with that number lives; true in doubt.
    package func isAlive(_ writer: UInt64) -> Bool {
        WriterLock.isHeld(writer, paths: paths)
    }
}
