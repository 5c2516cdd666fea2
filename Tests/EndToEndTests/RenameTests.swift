import Platform
import TestSupport
import Testing

extension EndToEnd.Files {
    @Suite(.sharedMounts)
    struct RenameTests {
        @Test(arguments: MountKind.available)
        func `rename replaces a file at once`(_ kind: MountKind) throws {
            let fixture = try SharedMounts.fixture(kind)
            let place = try SharedMounts.directory(kind)
            try Disk.write(place + "/a", "first")
            try Disk.write(place + "/b", "second")
            try Disk.rename(place + "/a", place + "/b")
            #expect(!Disk.exists(place + "/a"))
            #expect(try Disk.readText(place + "/b") == "first")
            try fixture.dropCaches()
            #expect(try Disk.names(in: place).map(\.string) == ["b"])
            #expect(try Disk.readText(place + "/b") == "first")
        }

        @Test(arguments: MountKind.available)
        func `a sync of the mount succeeds after files that were written are gone`(
            _ kind: MountKind
        ) throws {
            let fixture = try SharedMounts.fixture(kind)
            let place = try SharedMounts.directory(kind)
            let root = try Disk.open(fixture.mountPoint, OpenFlag.directory)
            for name in ["a", "b", "c"] { try Disk.write("\(place)/\(name)", name) }
            try Disk.rename(place + "/a", place + "/b")
            try root.synchronizeFileSystem()
            try Disk.write(place + "/c", "changed")
            try Disk.link(place + "/c", place + "/d")
            try Disk.unlink(place + "/c")
            try root.synchronizeFileSystem()
            try Disk.unlink(place + "/b")
            try root.synchronizeFileSystem()
        }

        @Test(arguments: MountKind.available)
        func `RENAME_NOREPLACE refuses a name that exists`(_ kind: MountKind) throws {
            let place = try SharedMounts.directory(kind)
            try Disk.write(place + "/a", "first")
            try Disk.write(place + "/b", "second")
            #expect(throws: Errno.fileExists) {
                try Disk.rename(place + "/a", place + "/b", flags: RenameFlag.noReplace)
            }
            #expect(try Disk.readText(place + "/b") == "second")
            try Disk.rename(place + "/a", place + "/c", flags: RenameFlag.noReplace)
            #expect(try Disk.readText(place + "/c") == "first")
        }

        @Test(arguments: MountKind.available)
        func `RENAME_EXCHANGE swaps files, and a file with a directory`(_ kind: MountKind) throws {
            let fixture = try SharedMounts.fixture(kind)
            let place = try SharedMounts.directory(kind)
            try Disk.write(place + "/a", "first")
            try Disk.makeDirectory(place + "/d")
            try Disk.write(place + "/d/inner", "inner")
            try Disk.makeDirectory(place + "/other")
            try Disk.write(place + "/other/b", "second")
            try Disk.rename(place + "/a", place + "/other/b", flags: RenameFlag.exchange)
            #expect(try Disk.readText(place + "/a") == "second")
            #expect(try Disk.readText(place + "/other/b") == "first")
            try Disk.rename(place + "/a", place + "/d", flags: RenameFlag.exchange)
            #expect(try Disk.readText(place + "/d") == "second")
            #expect(try Disk.readText(place + "/a/inner") == "inner")
            try fixture.dropCaches()
            #expect(try Disk.readText(place + "/a/inner") == "inner")
            #expect(throws: Errno.noSuchFileOrDirectory) {
                try Disk.rename(place + "/a", place + "/none", flags: RenameFlag.exchange)
            }
        }

        @Test(arguments: MountKind.available)
        func `a directory replaces an empty directory only`(_ kind: MountKind) throws {
            let fixture = try SharedMounts.fixture(kind)
            let place = try SharedMounts.directory(kind)
            for name in ["full", "empty", "source"] { try Disk.makeDirectory("\(place)/\(name)") }
            try Disk.write(place + "/full/file", "x")
            try Disk.write(place + "/source/inner", "inner")
            #expect(throws: Errno.directoryNotEmpty) {
                try Disk.rename(place + "/source", place + "/full")
            }
            try Disk.rename(place + "/source", place + "/empty")
            #expect(try Disk.readText(place + "/empty/inner") == "inner")
            #expect(!Disk.exists(place + "/source"))
            try fixture.dropCaches()
            #expect(try Disk.readText(place + "/empty/inner") == "inner")
            try Disk.write(place + "/empty/new", "new")
            #expect(Set(try Disk.names(in: place).map(\.string)) == ["full", "empty"])
        }

        @Test(arguments: MountKind.available)
        func `files and directories do not replace each other`(_ kind: MountKind) throws {
            let place = try SharedMounts.directory(kind)
            try Disk.makeDirectory(place + "/directory")
            try Disk.write(place + "/file", "x")
            #expect(throws: Errno.isDirectory) {
                try Disk.rename(place + "/file", place + "/directory")
            }
            #expect(throws: Errno.notDirectory) {
                try Disk.rename(place + "/directory", place + "/file")
            }
            #expect(throws: Errno.noSuchFileOrDirectory) {
                try Disk.rename(place + "/none", place + "/file")
            }
            #expect(throws: Errno.invalidArgument) {
                try Disk.rename(place + "/directory", place + "/directory/below")
            }
        }

        @Test(arguments: MountKind.available)
        func `a directory moves with all below it, and open files stay open`(
            _ kind: MountKind
        ) throws {
            let fixture = try SharedMounts.fixture(kind)
            let place = try SharedMounts.directory(kind)
            for name in ["from", "from/tree", "from/tree/deep", "to"] {
                try Disk.makeDirectory("\(place)/\(name)")
            }
            try Disk.write(place + "/from/tree/deep/file", pattern(9000))
            let file = try Disk.open(place + "/from/tree/deep/file", OpenFlag.readWrite)
            let directory = try Disk.open(place + "/from/tree/deep", OpenFlag.directory)
            try Disk.rename(place + "/from/tree", place + "/to/moved")
            try file.write(pattern(9000, seed: 2), at: 4000)
            _ = try directory.open(FileName("made later"), OpenFlag.createNew, mode: 0o600)
            let expected = pattern(9000).prefix(4000) + pattern(9000, seed: 2)
            #expect(try Disk.read(place + "/to/moved/deep/file") == Array(expected))
            #expect(Disk.exists(place + "/to/moved/deep/made later"))
            try fixture.dropCaches()
            #expect(try Disk.read(place + "/to/moved/deep/file") == Array(expected))
            try Disk.removeDirectory(place + "/from")
        }

        @Test(arguments: MountKind.available)
        func `two names of one file are left alone by a rename`(_ kind: MountKind) throws {
            let place = try SharedMounts.directory(kind)
            try Disk.write(place + "/a", "content")
            try Disk.link(place + "/a", place + "/b")
            // rename(2): old and new are links to the same file, so nothing happens.
            try Disk.rename(place + "/a", place + "/b")
            #expect(try Disk.readText(place + "/a") == "content")
            #expect(try Disk.readText(place + "/b") == "content")
            try Disk.rename(place + "/a", place + "/a")
            #expect(try Disk.status(place + "/a").linkCount == 2)
        }

        @Test(arguments: MountKind.available)
        func `directories answer with the errors that POSIX gives`(_ kind: MountKind) throws {
            let place = try SharedMounts.directory(kind)
            try Disk.makeDirectory(place + "/d")
            try Disk.write(place + "/d/f", "x")
            #expect(throws: Errno.directoryNotEmpty) { try Disk.removeDirectory(place + "/d") }
            #expect(throws: Errno.isDirectory) { try Disk.unlink(place + "/d") }
            #expect(throws: Errno.notDirectory) { try Disk.removeDirectory(place + "/d/f") }
            #expect(throws: Errno.fileExists) { try Disk.makeDirectory(place + "/d") }
            #expect(throws: Errno.isDirectory) {
                try Disk.open(place + "/d", OpenFlag.writeOnly)
            }
            #expect(throws: Errno.notDirectory) { try Disk.open(place + "/d/f/x") }
            #expect(throws: Errno.noSuchFileOrDirectory) { try Disk.unlink(place + "/none") }
            #expect(throws: Errno.noSuchFileOrDirectory) {
                try Disk.makeDirectory(place + "/none/d")
            }
            try Disk.unlink(place + "/d/f")
            try Disk.removeDirectory(place + "/d")
            #expect(throws: Errno.noSuchFileOrDirectory) { try Disk.removeDirectory(place + "/d") }
        }

        @Test(arguments: MountKind.available)
        func `a directory's link count counts its directories`(_ kind: MountKind) throws {
            let place = try SharedMounts.directory(kind)
            let before = try Disk.status(place).linkCount
            for number in 0..<3 { try Disk.makeDirectory("\(place)/\(number)") }
            #expect(try Disk.status(place).linkCount == before + 3)
            try Disk.removeDirectory(place + "/1")
            #expect(try Disk.status(place).linkCount == before + 2)
        }
    }
}
