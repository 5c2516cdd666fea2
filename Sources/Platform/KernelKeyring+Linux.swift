internal import CLinux
internal import Glibc

/// Small secrets that the kernel keeps for a user while no process runs (keyrings(7)): keys of
/// type `user` in the caller's user keyring.
package enum KernelKeyring {
    /// KEY_SPEC_USER_KEYRING of keyctl(2).
    private static let userKeyring: Int32 = -4
    private static let maximumPayloadBytes = 32_767

    /// Puts a key there, in place of one with the same description.
    ///
    /// - Parameter timeoutSeconds: when the kernel drops it by itself; nil is never.
    package static func add(
        _ description: String, payload: RawSpan, timeoutSeconds: Int?
    ) throws(Errno) {
        let serial = try unsafe FileName(description).withCString { description throws(Errno) in
            try unsafe payload.withUnsafeBytes { payload throws(Errno) in
                // SAFETY: all pointers outlive the call, and the count is the payload's own.
                try systemCall {
                    unsafe keyfold_add_key(
                        "user", description, payload.baseAddress, payload.count, userKeyring)
                }
            }
        }
        do throws(Errno) {
            // The owner may view, read, write, search, link and set attributes also where the
            // session keyring does not lead to the user's (KEY_POS_ALL | KEY_USR_ALL).
            try control(KEYCTL_SETPERM, UInt(serial), 0x3f3f_0000)
            if let timeoutSeconds {
                try control(KEYCTL_SET_TIMEOUT, UInt(serial), UInt(max(1, timeoutSeconds)))
            }
        } catch {
            // A key that would stay for ever is worse than none.
            _ = try? control(KEYCTL_UNLINK, UInt(serial), keyringArgument)
            throw error
        }
    }

    /// - Throws: `ENOKEY` when there is none, or it has expired.
    package static func read(_ description: String) throws(Errno) -> [UInt8] {
        let serial = try find(description)
        var payload = [UInt8](repeating: 0, count: maximumPayloadBytes)
        var span = payload.mutableSpan
        let count = try unsafe span.withUnsafeMutableBytes { buffer throws(Errno) in
            // SAFETY: the buffer's own size is given.
            try systemCall {
                keyfold_keyctl(
                    KEYCTL_READ, UInt(serial), UInt(bitPattern: buffer.baseAddress),
                    UInt(buffer.count), 0)
            }
        }
        let result = Array(payload.prefix(min(count, maximumPayloadBytes)))
        for index in 0..<min(count, maximumPayloadBytes) { payload[index] = 0 }
        return result
    }

    /// Does nothing when there is none.
    package static func remove(_ description: String) throws(Errno) {
        do throws(Errno) {
            try control(KEYCTL_UNLINK, UInt(try find(description)), keyringArgument)
        } catch {
            if error != .noKey { throw error }
        }
    }

    private static var keyringArgument: UInt { UInt(bitPattern: Int(userKeyring)) }

    private static func find(_ description: String) throws(Errno) -> Int {
        do throws(Errno) {
            return try unsafe FileName(description).withCString { description throws(Errno) in
                try unsafe FileName("user").withCString { type throws(Errno) in
                    // SAFETY: both strings outlive the call.
                    try systemCall {
                        keyfold_keyctl(
                            KEYCTL_SEARCH, keyringArgument, UInt(bitPattern: type),
                            UInt(bitPattern: description), 0)
                    }
                }
            }
        } catch {
            // EKEYEXPIRED and EKEYREVOKED: there was one.
            throw [EKEYEXPIRED, EKEYREVOKED].contains(error.rawValue) ? .noKey : error
        }
    }

    @discardableResult
    private static func control(
        _ operation: Int32, _ a: UInt, _ b: UInt
    ) throws(Errno) -> Int {
        try systemCall { keyfold_keyctl(operation, a, b, 0, 0) }
    }
}
