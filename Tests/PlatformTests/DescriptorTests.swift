@testable import Platform
import TestSupport
import Testing

@Suite
struct DescriptorTests {
    private static func withDirectory(_ body: (Descriptor, String) throws -> Void) throws {
        try withTemporaryDirectory { path in
            try body(try Descriptor.open(path: path, OpenFlag.path | OpenFlag.directory), path)
        }
    }

    @Test func `bytes come back from where they were written`() throws {
        try Self.withDirectory { directory, _ in
            let file = try directory.open(FileName("file"), OpenFlag.createNew, mode: 0o600)
            try file.write([1, 2, 3], at: 5)
            #expect(try file.read(count: 100, at: 0) == [0, 0, 0, 0, 0, 1, 2, 3])
            #expect(try file.read(count: 2, at: 6) == [2, 3])
            #expect(try file.read(count: 2, at: 8) == [])
            #expect(try file.append([9]) == 1)
            #expect(try file.readAll(limitBytes: 8).count == 8)
            #expect(throws: Errno.fileTooLarge) { try file.readAll(limitBytes: 7) }
        }
    }

    /// The system takes all, or half of what it is given: of the first call, or of each, so that
    /// calls begin between two pieces, too.
    @Test func `three pieces are written as one, whatever the system takes at once`() throws {
        let pieces = [[1, 2, 3], [UInt8](repeating: 4, count: 5000), [5, 6, 7, 8, 9]]
        let scripts = [
            FaultScript.counting(.shortTransfer), FaultScript(.shortTransfer, at: 1),
            FaultScript(.shortTransfer, at: 1, stays: true),
        ]
        for counts in [[0, 1, 2], [1], [0], [2], [0, 2]] {
            let chosen = (0..<3).map { counts.contains($0) ? pieces[$0] : [] }
            for (number, script) in scripts.enumerated() {
                try withTemporaryDirectory { path in
                    let scope = FaultScope(below: path)
                    defer { scope.end() }
                    let directory = try Descriptor.open(
                        path: path, OpenFlag.path | OpenFlag.directory)
                    let file = try directory.open(
                        FileName("file"), OpenFlag.createNew | OpenFlag.readWrite, mode: 0o600)
                    scope.arm(script)
                    let (first, second, third) = (chosen[0], chosen[1], chosen[2])
                    // SAFETY: bytes have no padding.
                    try unsafe file.write(
                        first.span.bytes, second.span.bytes, third.span.bytes, at: 7)
                    #expect(scope.hasFired == (number > 0))
                    let calls = scope.disarm()
                    #expect(number == 0 ? calls == 1 : calls > 1)
                    let expected = [UInt8](repeating: 0, count: 7) + chosen.flatMap { $0 }
                    #expect(try file.readAll(limitBytes: 6000) == expected)
                }
            }
        }
    }

    @Test(arguments: [0, 1, 4095, 4096, 4097, 8192, 50_000])
    func `a file of any size is read whole`(size: Int) throws {
        try Self.withDirectory { directory, _ in
            let file = try directory.open(FileName("file"), OpenFlag.createNew, mode: 0o600)
            let bytes = (0..<size).map { UInt8($0 % 251) }
            try file.write(bytes, at: 0)
            #expect(try file.readAll(limitBytes: size) == bytes)
            #expect(try file.readAll(limitBytes: 1 << 24) == bytes)
            if size > 0 {
                #expect(throws: Errno.fileTooLarge) { try file.readAll(limitBytes: size - 1) }
            }
        }
    }

    @Test func `a name is never followed through a symbolic link`() throws {
        try Self.withDirectory { directory, path in
            try Disk.write(path + "/file", "x")
            try directory.makeSymbolicLink(FileName("link"), target: FileName("file"))
            #expect(throws: Errno.symbolicLinkLoop) { try directory.open(FileName("link"), 0) }
            #expect(try directory.status(of: FileName("link")).kind == .symbolicLink)
        }
    }

    @Test func `a descriptor without O_PATH's rights changes attributes all the same`() throws {
        try Self.withDirectory { directory, path in
            try Disk.write(path + "/file", "x")
            let node = try directory.open(FileName("file"), OpenFlag.path)
            try node.changeMode(to: 0o4711)
            #expect(try node.status().mode & 0o7777 == 0o4711)
            let time = Timespec(seconds: 12, nanoseconds: 34)
            try node.setTimes(access: .keep, modification: .set(time))
            #expect(try node.status().modificationTime == time)
            try node.setExtendedAttribute("user.test", to: [1, 2], flags: 0)
            #expect(try node.extendedAttribute("user.test") == [1, 2])
            #expect(try node.extendedAttributeNames() == ["user.test"])
            try node.removeExtendedAttribute("user.test")
            #expect(throws: Errno.noAttribute) { try node.extendedAttribute("user.test") }
            #expect(try node.reopen(0).read(count: 10, at: 0) == [UInt8(ascii: "x")])
        }
    }

    @Test func `rename flags do what renameat2 says`() throws {
        try Self.withDirectory { directory, path in
            let (a, b) = (FileName("a"), FileName("b"))
            try Disk.write(path + "/a", "1")
            try Disk.write(path + "/b", "2")
            #expect(throws: Errno.fileExists) {
                try directory.rename(a, to: directory, b, flags: RenameFlag.noReplace)
            }
            try directory.rename(a, to: directory, b, flags: RenameFlag.exchange)
            #expect(try Disk.readText(path + "/a") == "2")
            try directory.rename(a, to: directory, b)
            #expect(throws: Errno.noSuchFileOrDirectory) { try directory.status(of: a) }
        }
    }

    @Test func `flock tells another holder apart from itself`() throws {
        try Self.withDirectory { directory, _ in
            let first = try directory.open(FileName("lock"), OpenFlag.createNew, mode: 0o600)
            let second = try directory.open(FileName("lock"), OpenFlag.readWrite)
            try first.tryLock(.exclusive)
            try first.tryLock(.exclusive)
            #expect(throws: Errno.wouldBlock) { try second.tryLock(.shared) }
            first.unlock()
            try second.tryLock(.shared)
            try first.tryLock(.shared)
        }
    }

    @Test func `descriptors are closed with their last reference`() throws {
        try Self.withDirectory { directory, path in
            func isOpen() throws -> Bool {
                try Disk.names(in: "/proc/self/fd").contains {
                    (try? Disk.readLink("/proc/self/fd/" + $0.string)) == path + "/file"
                }
            }
            let name = FileName("file")
            var file: Descriptor? = try directory.open(name, OpenFlag.createNew, mode: 0o600)
            #expect(try file?.status().sizeBytes == 0)
            #expect(try isOpen())
            file = nil
            #expect(try !isOpen())
        }
    }

    @Test func `errors carry the system's number and words`() {
        let error = #expect(throws: Errno.self) {
            try Descriptor.open(path: "/nonexistent/file", 0)
        }
        #expect(error == .noSuchFileOrDirectory)
        #expect(error.map { "\($0)" } == "No such file or directory")
    }
}

@Suite
struct DirectoryStreamTests {
    @Test func `a stream gives every entry once, and goes on from any cookie`() throws {
        try withTemporaryDirectory { path in
            for number in 0..<2000 { try Disk.write("\(path)/n\(number)", "") }
            // A small buffer is filled many times.
            var stream = DirectoryStream(
                try Descriptor.open(path: path, OpenFlag.directory), bufferBytes: 512)
            var entries: [(FileName, Int64)] = []
            while let entry = try stream.next() { entries.append((entry.name, entry.nextCookie)) }
            #expect(entries.count == 2002)
            #expect(Set(entries.map(\.0)).count == 2002)
            #expect(try stream.next() == nil)
            for index in [0, 1, 999, 2000] {
                try stream.seek(to: entries[index].1)
                #expect(try stream.next()?.name == entries[index + 1].0)
            }
            try stream.seek(to: 0)
            #expect(try stream.next()?.name == entries[0].0)
        }
    }

    @Test func `an empty directory has two entries, also when it is read again`() throws {
        try withTemporaryDirectory { path in
            var stream = DirectoryStream(try Descriptor.open(path: path, OpenFlag.directory))
            for _ in 0..<3 {
                var names: [String] = []
                while let entry = try stream.next() { names.append(entry.name.string) }
                #expect(names.sorted() == [".", ".."])
                try stream.seek(to: 0)
            }
        }
    }
}

@Suite
struct FileNameTests {
    @Test func `a name ends at the first NUL`() {
        #expect(FileName([0x61, 0, 0x62]).bytes == [0x61])
        #expect(FileName("").count == 0)
        #expect(FileName("ä").bytes == [0xC3, 0xA4])
        #expect(FileName([0xFF]).string == "\u{FFFD}")
    }

    @Test func `only the two special names are dots`() {
        #expect(FileName(".").isDots)
        #expect(FileName("..").isDots)
        #expect(!FileName("...").isDots)
        #expect(!FileName(".a").isDots)
        #expect(!FileName("").isDots)
    }
}

@Suite
struct LockHolderTests {
    @Test func `who holds a file is known without taking its lock`() throws {
        try withTemporaryDirectory { path in
            try Disk.write(path + "/file", "x")
            let looker = try Disk.open(path + "/file", OpenFlag.path)
            #expect(try looker.lockHolders() == [])
            for kind in [Descriptor.LockKind.shared, .exclusive] {
                let holder = try Disk.open(path + "/file")
                try holder.tryLock(kind)
                #expect(try looker.lockHolders() == [ProcessTable.currentPID])
                holder.unlock()
                #expect(try looker.lockHolders() == [])
            }
        }
    }

    @Test func `a lock of the same number on another device is another file's`() throws {
        let mounts = """
            21 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw
            30 21 0:42 /data /data rw - btrfs /dev/sdb rw
            """
        let locks = """
            1: POSIX  ADVISORY  WRITE 10 00:2a:131 0 EOF
            2: FLOCK  ADVISORY  WRITE 11 08:01:131 0 EOF
            3: FLOCK  ADVISORY  READ 12 00:2a:131 0 EOF
            3: -> FLOCK  ADVISORY  WRITE 13 00:2a:131 0 EOF
            4: FLOCK  ADVISORY  READ 14 00:2a:131 0 EOF
            5: FLOCK  ADVISORY  WRITE 15 00:2a:9 0 EOF
            """
        let information = "pos:\t0\nflags:\t02\nmnt_id:\t30\n"
        let old = try #require(
            LockedFile(information: information, mounts: mounts, inodeNumber: 131))
        #expect(old.holders(in: locks) == [12, 14])
        let new = try #require(
            LockedFile(information: information + "ino:\t9\n", mounts: mounts, inodeNumber: 131))
        #expect(new.holders(in: locks) == [15])
        #expect(LockedFile(information: "pos:\t0\n", mounts: mounts, inodeNumber: 131) == nil)
    }
}
