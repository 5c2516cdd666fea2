package import Platform
internal import Glibc

/// System calls on paths, as a program makes them; each failure is the system's own error number.
package enum Disk {
    /// A name in a directory.
    private struct Place {
        let directory: Descriptor
        let name: FileName

        init(_ path: String) throws(Errno) {
            let cut = path.lastIndex(of: "/")
            let parent = cut.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
            directory = try Descriptor.open(path: parent, OpenFlag.path | OpenFlag.directory)
            name = FileName(cut.map { String(path[path.index(after: $0)...]) } ?? path)
        }
    }

    package static func open(
        _ path: String, _ flags: Int32 = 0, mode: UInt32 = 0o666
    ) throws(Errno) -> Descriptor {
        try Descriptor.open(path: path, flags, mode: mode)
    }

    /// A file open for reading and writing, made where it is absent.
    package static func make(_ path: String, mode: UInt32 = 0o666) throws(Errno) -> Descriptor {
        try open(path, OpenFlag.readWrite | OpenFlag.create, mode: mode)
    }

    package static func write(_ path: String, _ bytes: [UInt8]) throws(Errno) {
        try open(path, OpenFlag.readWrite | OpenFlag.create | O_TRUNC).write(bytes, at: 0)
    }

    package static func write(_ path: String, _ text: String) throws(Errno) {
        try write(path, Array(text.utf8))
    }

    package static func read(_ path: String) throws(Errno) -> [UInt8] {
        let file = try open(path)
        var bytes: [UInt8] = []
        // The size may be that of a file that grows, or of one in /proc, which has none.
        let count = max(4096, Int(try file.status().sizeBytes))
        while true {
            let piece = try file.read(count: count, at: UInt64(bytes.count))
            bytes += piece
            if piece.count < count { return bytes }
        }
    }

    package static func readText(_ path: String) throws(Errno) -> String {
        String(decoding: try read(path), as: UTF8.self)
    }

    /// lstat(2).
    package static func status(_ path: String) throws(Errno) -> FileStatus {
        let place = try Place(path)
        return try place.directory.status(of: place.name)
    }

    package static func exists(_ path: String) -> Bool { (try? status(path)) != nil }
    package static func size(_ path: String) throws(Errno) -> UInt64 {
        try status(path).sizeBytes
    }
    package static func mode(_ path: String) throws(Errno) -> UInt32 {
        try status(path).mode & 0o7777
    }

    package static func makeDirectory(_ path: String, mode: UInt32 = 0o755) throws(Errno) {
        let place = try Place(path)
        try place.directory.makeDirectory(place.name, mode: mode)
    }

    package static func unlink(_ path: String) throws(Errno) {
        let place = try Place(path)
        try place.directory.unlink(place.name)
    }

    package static func removeDirectory(_ path: String) throws(Errno) {
        let place = try Place(path)
        try place.directory.removeDirectory(place.name)
    }

    package static func rename(_ old: String, _ new: String, flags: UInt32 = 0) throws(Errno) {
        let (from, to) = (try Place(old), try Place(new))
        try from.directory.rename(from.name, to: to.directory, to.name, flags: flags)
    }

    package static func link(_ old: String, _ new: String) throws(Errno) {
        let (from, to) = (try Place(old), try Place(new))
        try from.directory.link(from.name, to: to.directory, to.name)
    }

    package static func symbolicLink(_ path: String, to target: String) throws(Errno) {
        let place = try Place(path)
        try place.directory.makeSymbolicLink(place.name, target: FileName(target))
    }

    package static func readLink(_ path: String) throws(Errno) -> String {
        let place = try Place(path)
        return String(
            decoding: try place.directory.readSymbolicLink(place.name), as: UTF8.self)
    }

    package static func makeNode(
        _ path: String, mode: UInt32, device: UInt64 = 0
    ) throws(Errno) {
        let place = try Place(path)
        try place.directory.makeNode(place.name, mode: mode, device: device)
    }

    package static func truncate(_ path: String, to size: UInt64) throws(Errno) {
        try open(path, OpenFlag.readWrite).truncate(to: size)
    }

    /// A node that any change of attributes can go through, symbolic links not followed.
    package static func node(_ path: String) throws(Errno) -> Descriptor {
        let place = try Place(path)
        return try place.directory.open(place.name, OpenFlag.path)
    }

    package static func changeMode(_ path: String, to mode: UInt32) throws(Errno) {
        try node(path).changeMode(to: mode)
    }

    package static func changeOwner(
        _ path: String, uid: UInt32?, gid: UInt32?
    ) throws(Errno) {
        try node(path).changeOwner(uid: uid, gid: gid)
    }

    /// All names but "." and "..", in no order.
    package static func names(in path: String) throws(Errno) -> [FileName] {
        var stream = DirectoryStream(try open(path, OpenFlag.directory))
        var names: [FileName] = []
        while let entry = try stream.next() {
            if !entry.name.isDots { names.append(entry.name) }
        }
        return names
    }
}

extension OpenFlag {
    package static var writeOnly: Int32 { O_WRONLY }
    package static var truncate: Int32 { O_TRUNC }
    package static var exclusive: Int32 { O_EXCL }
}

/// File types of mknod(2).
package enum NodeType {
    package static let regular: UInt32 = 0o100000
    package static let fifo: UInt32 = 0o010000
    package static let characterDevice: UInt32 = 0o020000
    package static let blockDevice: UInt32 = 0o060000
    package static let socket: UInt32 = 0o140000
}

/// fallocate(2) flags (linux/falloc.h).
package enum AllocateFlag {
    package static let keepSize: Int32 = 0x01
    package static let punchHole: Int32 = 0x02
    package static let collapseRange: Int32 = 0x08
    package static let zeroRange: Int32 = 0x10
    package static let insertRange: Int32 = 0x20
}

extension Descriptor {
    /// Changes a file through a shared mapping and brings the change into it with msync(2).
    package func writeMapped(_ bytes: [UInt8], at offset: Int) throws(Errno) {
        let length = Int(try status().sizeBytes)
        precondition(offset + bytes.count <= length, "BUG: the range lies in the file")
        // SAFETY: the mapping is as long as the file, and is undone before this call returns.
        let map = unsafe mmap(nil, length, PROT_READ | PROT_WRITE, MAP_SHARED, rawValue, 0)
        guard let map = unsafe map, unsafe map != MAP_FAILED else { throw .current }
        defer { unsafe munmap(map, length) }
        for (index, byte) in bytes.enumerated() {
            unsafe map.storeBytes(of: byte, toByteOffset: offset + index, as: UInt8.self)
        }
        _ = try systemCall { unsafe msync(map, length, MS_SYNC) }
    }

    /// Reads through a shared mapping.
    package func readMapped() throws(Errno) -> [UInt8] {
        let length = Int(try status().sizeBytes)
        // SAFETY: as above.
        let map = unsafe mmap(nil, length, PROT_READ, MAP_SHARED, rawValue, 0)
        guard let map = unsafe map, unsafe map != MAP_FAILED else { throw .current }
        defer { unsafe munmap(map, length) }
        return unsafe Array(UnsafeRawBufferPointer(start: map, count: length))
    }
}
