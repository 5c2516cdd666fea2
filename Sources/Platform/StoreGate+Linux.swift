internal import Glibc

/// What a call asks of the store; it decides which faults can meet it.
package enum StoreCall: String, Sendable, CaseIterable {
    case open, create, read, write, truncate, allocate, seek
    case synchronize = "sync"
    case status, statistics, lock
    /// Mode, owner and times.
    case setAttributes = "set"
    case readExtended = "getxattr"
    case writeExtended = "setxattr"
    case removeExtended = "removexattr"
    case list, readLink = "readlink"
    /// mkdir, mknod, symlink, link.
    case make
    case rename, unlink
    /// renameat2(2) with flags.
    case renameWithFlags = "rename2"
    /// Removing an empty directory.
    case removeDirectory = "rmdir"
}

/// The way of every call that goes from a ``Descriptor`` to the store.
///
/// Empty in a release build. In a debug build a ``FaultScope`` may count what passes here, and let
/// a call fail; a descriptor hands its gate on to those that are opened through it.
struct StoreGate: Sendable {
    #if DEBUG
        private let faults: FaultScope?

        init() { faults = nil }
        init(path: String) { faults = FaultScope.covering(path) }
    #else
        init() {}
        init(path: String) {}
    #endif

    /// Runs a system call, again while a signal interrupts it.
    @inline(__always)
    @discardableResult
    func call<Value: FixedWidthInteger & SignedInteger>(
        _ call: StoreCall, _ body: () -> Value
    ) throws(Errno) -> Value {
        #if DEBUG
            if let faults { return try faults.meet(call, body) }
        #endif
        return try systemCall(body)
    }

    /// The same for a call that may move fewer bytes than it was asked to.
    @inline(__always)
    func transfer(
        _ call: StoreCall, _ byteCount: Int, _ body: (Int) -> Int
    ) throws(Errno) -> Int {
        #if DEBUG
            if let faults { return try faults.meet(call, byteCount, body) }
        #endif
        return try systemCall { body(byteCount) }
    }
}
