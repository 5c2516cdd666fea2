internal import Glibc
internal import Platform

/// Files that hold a passphrase, a recovery key or a key.
package enum SecretFile {
    /// No passphrase and no recovery key is longer.
    static let lineLimitBytes = 4096
    /// No key file is longer.
    private static let limitBytes = 1 << 20

    /// The first line without its newline; the caller wipes it.
    package static func firstLine(of path: String, purpose: String) throws(Failure) -> [UInt8] {
        var bytes = try contents(of: path, purpose: purpose)
        if let newline = bytes.firstIndex(of: UInt8(ascii: "\n")) {
            let tail = bytes.count - newline
            for index in newline..<bytes.count { bytes[index] = 0 }
            bytes.removeLast(tail)
        }
        if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        guard (1...lineLimitBytes).contains(bytes.count) else {
            let isEmpty = bytes.isEmpty
            erase(&bytes)
            throw Failure(
                .usage, path,
                "the \(purpose) file's first line is \(isEmpty ? "empty" : "too long")",
                wayOut: "put the \(purpose) on the first line of the file")
        }
        return bytes
    }

    /// The whole file; the caller wipes it. Warns when other users can read the file.
    package static func contents(of path: String, purpose: String) throws(Failure) -> [UInt8] {
        do throws(Errno) {
            let file = try Descriptor.open(path: path, O_RDONLY)
            try warnIfOpenToOthers(file, path)
            // One byte more than allowed, so that a longer file is seen.
            var bytes = [UInt8](repeating: 0, count: limitBytes + 1)
            let count = try file.readNext(into: &bytes)
            bytes.removeLast(bytes.count - count)
            if count > limitBytes {
                erase(&bytes)
                throw .fileTooLarge
            }
            return bytes
        } catch {
            throw Failure(
                error == .noSuchFileOrDirectory ? .notFound : .noPermission, path,
                "the \(purpose) file can't be read: \(error)")
        }
    }

    /// Overwrites and empties; the array's room stays its own, so nothing is copied.
    package static func erase(_ bytes: inout [UInt8]) {
        for index in bytes.indices { bytes[index] = 0 }
        bytes.removeAll(keepingCapacity: true)
    }

    private static func warnIfOpenToOthers(_ file: Descriptor, _ path: String) throws(Errno) {
        let status = try file.status()
        if status.kind == .regular, status.mode & 0o077 != 0 {
            StandardError.warn(path, "other users can read it", wayOut: "chmod 600 \(path)")
        }
    }
}
