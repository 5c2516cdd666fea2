internal import CLinux
internal import Glibc
internal import Synchronization

/// 64 bits in a file that all processes which open it share (mmap(2), MAP_SHARED).
///
/// It is a hint between living processes: it outlives any of them, and a restart of the machine
/// may bring back an older value. Any thread may use it.
@safe package final class SharedWord: Sendable {
    // SAFETY: the page stays mapped until deinit, and is only ever touched as an Atomic.
    private nonisolated(unsafe) let word: UnsafeMutablePointer<Atomic<UInt64>>  // SAFETY: above

    /// Maps a regular file that is open for reading and writing; one that is shorter grows first.
    package init(_ file: Descriptor) throws(Errno) {
        try SharedWord.reserve(file)
        let mapping = unsafe mmap(nil, 8, PROT_READ | PROT_WRITE, MAP_SHARED, file.rawValue, 0)
        guard let mapping = unsafe mapping, unsafe mapping != MAP_FAILED else {
            throw Errno.current
        }
        // SAFETY: the mapping is page-aligned and 8 bytes long, as an Atomic<UInt64> is, and every
        // pattern of bits is one.
        unsafe word = unsafe mapping.assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// Gives the word its place on the disk: on a full one, a store into a hole of a mapped file
    /// ends the process (SIGBUS), as any access behind the file's end does.
    private static func reserve(_ file: Descriptor) throws(Errno) {
        do throws(Errno) {
            // Changes no byte that is there.
            try file.allocate(mode: 0, at: 0, count: 8)
        } catch {
            guard error == .notSupported else { throw error }
            if try file.status().sizeBytes < 8 { try file.truncate(to: 8) }
        }
        guard try file.status().sizeBytes >= 8 else { throw .ioError }
    }

    deinit {
        // SAFETY: nobody else holds the pointer.
        _ = unsafe munmap(word, 8)
    }

    package func load() -> UInt64 {
        unsafe word.pointee.load(ordering: .sequentiallyConsistent)
    }

    package func add(_ amount: UInt64) {
        _ = unsafe word.pointee.wrappingAdd(amount, ordering: .sequentiallyConsistent)
    }

    /// Sets `desired` if the value is `expected` still.
    package func replace(_ expected: UInt64, with desired: UInt64) {
        _ = unsafe word.pointee.compareExchange(
            expected: expected, desired: desired, ordering: .sequentiallyConsistent)
    }
}
