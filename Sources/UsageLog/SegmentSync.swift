internal import Platform
internal import Synchronization

/// The only way of an open segment's file to the disk: once it failed, it fails for good.
///
/// The kernel may have dropped the pages that it could not write, and tells of that once, to who
/// asks first (fsync(2)): whoever comes later would hear that all is well. Its lock is the last one
/// that is taken.
final class SegmentSync: Sendable {
    private let file: Descriptor
    private let failure = Mutex<Errno?>(nil)

    init(of file: Descriptor) {
        self.file = file
    }

    var hasFailed: Bool { failure.withLock { $0 != nil } }

    /// - Throws: what the first one that failed was answered, without a call from then on.
    func synchronize(dataOnly: Bool) throws(Errno) {
        try failure.withLock { failure throws(Errno) in
            if let known = failure { throw known }
            do throws(Errno) {
                try file.synchronize(dataOnly: dataOnly)
            } catch {
                failure = error
                throw error
            }
        }
    }
}
