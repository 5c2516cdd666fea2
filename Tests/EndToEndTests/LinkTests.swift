import Platform
import TestSupport
import Testing

extension EndToEnd.Files {
    @Suite(.sharedMounts)
    struct LinkTests {
        @Test(arguments: MountKind.available)
        func `hard links are one file`(_ kind: MountKind) throws {
            let fixture = try SharedMounts.fixture(kind)
            let place = try SharedMounts.directory(kind)
            try Disk.makeDirectory(place + "/sub")
            try Disk.write(place + "/a", pattern(5000))
            try Disk.link(place + "/a", place + "/b")
            try Disk.link(place + "/b", place + "/sub/c")
            let numbers = try ["a", "b", "sub/c"].map {
                try Disk.status("\(place)/\($0)").inodeNumber
            }
            #expect(Set(numbers).count == 1)
            #expect(try Disk.status(place + "/a").linkCount == 3)
            try Disk.open(place + "/sub/c", OpenFlag.writeOnly).write([1, 2, 3], at: 0)
            #expect(try Disk.read(place + "/a").prefix(3) == [1, 2, 3])
            try Disk.unlink(place + "/a")
            #expect(try Disk.status(place + "/b").linkCount == 2)
            try fixture.dropCaches()
            #expect(try Disk.read(place + "/sub/c").count == 5000)
            try Disk.unlink(place + "/b")
            try Disk.unlink(place + "/sub/c")
        }

        @Test(arguments: MountKind.available)
        func `a file without a name is opened again by its descriptor`(_ kind: MountKind) throws {
            let place = try SharedMounts.directory(kind)
            try Disk.write(place + "/gone", pattern(5000))
            let file = try Disk.open(place + "/gone")
            try Disk.unlink(place + "/gone")
            let path = "/proc/self/fd/\(file.rawValue)"
            #expect(try Disk.open(path).read(count: 6000, at: 0) == pattern(5000))
            let again = try Disk.open(path, OpenFlag.readWrite)
            try again.write([1, 2, 3], at: 0)
            #expect(try file.read(count: 3, at: 0) == [1, 2, 3])
        }

        @Test(arguments: MountKind.available)
        func `more names of a file than an inode remembers all work`(_ kind: MountKind) throws {
            let fixture = try SharedMounts.fixture(kind)
            let place = try SharedMounts.directory(kind)
            try Disk.write(place + "/0", "content")
            for number in 1..<60 { try Disk.link(place + "/0", "\(place)/\(number)") }
            for number in stride(from: 59, to: 20, by: -1) { try Disk.unlink("\(place)/\(number)") }
            #expect(try Disk.readText(place + "/0") == "content")
            #expect(try Disk.status(place + "/3").linkCount == 21)
            try Disk.changeMode(place + "/7", to: 0o640)
            try Disk.open(place + "/5", OpenFlag.writeOnly).write([0x43], at: 0)
            try Disk.truncate(place + "/6", to: 6)
            #expect(try Disk.readText(place + "/2") == "Conten")
            try Disk.write(place + "/4", "content")
            try fixture.dropCaches()
            for number in 0...20 {
                #expect(try Disk.readText("\(place)/\(number)") == "content")
            }
        }

        @Test(arguments: MountKind.available)
        func `hard links of files with the longest names work`(_ kind: MountKind) throws {
            let place = try SharedMounts.directory(kind)
            let (a, b) = (String(repeating: "a", count: 255), String(repeating: "b", count: 255))
            try Disk.write("\(place)/\(a)", "content")
            try Disk.link("\(place)/\(a)", "\(place)/\(b)")
            try Disk.unlink("\(place)/\(a)")
            #expect(try Disk.readText("\(place)/\(b)") == "content")
            #expect(try Disk.names(in: place).map(\.string) == [b])
        }

        @Test(arguments: MountKind.available)
        func `symbolic links keep their targets, and lstat tells the length`(
            _ kind: MountKind
        ) throws {
            let fixture = try SharedMounts.fixture(kind)
            let place = try SharedMounts.directory(kind)
            let targets = [
                "a", "../x", "/absolute/path", "dangling target", "ü☃",
                String(repeating: "t", count: 255), String(repeating: "u/", count: 1000),
            ]
            for (number, target) in targets.enumerated() {
                try Disk.symbolicLink("\(place)/\(number)", to: target)
            }
            try fixture.dropCaches()
            for (number, target) in targets.enumerated() {
                #expect(try Disk.readLink("\(place)/\(number)") == target)
                let status = try Disk.status("\(place)/\(number)")
                #expect(status.kind == .symbolicLink)
                #expect(status.sizeBytes == UInt64(target.utf8.count))
            }
        }

        @Test(arguments: MountKind.available)
        func `symbolic links are followed, and a loop is an error`(_ kind: MountKind) throws {
            let place = try SharedMounts.directory(kind)
            try Disk.makeDirectory(place + "/directory")
            try Disk.write(place + "/directory/file", "content")
            try Disk.symbolicLink(place + "/link", to: "directory")
            #expect(try Disk.readText(place + "/link/file") == "content")
            try Disk.symbolicLink(place + "/loop", to: "loop")
            #expect(throws: Errno.symbolicLinkLoop) { try Disk.open(place + "/loop") }
            try Disk.symbolicLink(place + "/dangling", to: "nothing")
            #expect(throws: Errno.noSuchFileOrDirectory) { try Disk.open(place + "/dangling") }
            #expect(throws: Errno.fileExists) {
                try Disk.symbolicLink(place + "/dangling", to: "x")
            }
            // A hard link to a symbolic link is the link itself.
            try Disk.link(place + "/dangling", place + "/second")
            #expect(try Disk.readLink(place + "/second") == "nothing")
        }

        @Test(arguments: MountKind.available)
        func `a symbolic link's owner and times can be changed`(_ kind: MountKind) throws {
            let place = try SharedMounts.directory(kind)
            try Disk.symbolicLink(place + "/link", to: "x")
            try Command("touch", "-h", "-d", "2001-02-03 04:05:06.789 UTC", place + "/link").run()
            let time = try Disk.status(place + "/link").modificationTime
            #expect(time == Timespec(seconds: 981_173_106, nanoseconds: 789_000_000))
            guard runsAsRoot else { return }
            try Disk.changeOwner(place + "/link", uid: 12, gid: 34)
            #expect(try Disk.status(place + "/link").uid == 12)
        }

        @Test(arguments: MountKind.available)
        func `fifos carry data`(_ kind: MountKind) throws {
            let place = try SharedMounts.directory(kind)
            try Disk.makeNode(place + "/fifo", mode: NodeType.fifo | 0o640)
            #expect(try Disk.status(place + "/fifo").mode == NodeType.fifo | 0o640)
            let result = try Command.shell("echo through > fifo & cat fifo; wait").in(place).run()
            #expect(result.output == "through\n")
        }

        @Test(needsRoot, arguments: MountKind.available)
        func `devices and sockets keep their kinds and numbers`(_ kind: MountKind) throws {
            let fixture = try SharedMounts.fixture(kind)
            let place = try SharedMounts.directory(kind)
            try Disk.makeNode(
                place + "/null", mode: NodeType.characterDevice | 0o666, device: 0x103)
            try Disk.makeNode(place + "/block", mode: NodeType.blockDevice | 0o600, device: 0x700)
            try Disk.makeNode(place + "/socket", mode: NodeType.socket | 0o600)
            try Disk.changeMode(place + "/null", to: 0o666)
            try fixture.dropCaches()
            let null = try Disk.status(place + "/null")
            #expect(null.mode == NodeType.characterDevice | 0o666)
            #expect(null.specialDevice == 0x103)
            #expect(try Disk.status(place + "/block").specialDevice == 0x700)
            #expect(try Disk.status(place + "/socket").mode == NodeType.socket | 0o600)
            try Disk.link(place + "/null", place + "/other")
            #expect(try Disk.status(place + "/other").linkCount == 2)
            try Disk.rename(place + "/block", place + "/renamed")
            try Disk.changeMode(place + "/renamed", to: 0o644)
            #expect(try Disk.mode(place + "/renamed") == 0o644)
        }

        @Test(arguments: MountKind.available)
        func `hard links of directories and to other file systems are refused`(
            _ kind: MountKind
        ) throws {
            let fixture = try SharedMounts.fixture(kind)
            let place = try SharedMounts.directory(kind)
            try Disk.makeDirectory(place + "/directory")
            #expect(throws: Errno.notPermitted) {
                try Disk.link(place + "/directory", place + "/link")
            }
            try Disk.write(place + "/file", "x")
            #expect(throws: Errno.improperLink) {
                try Disk.link(place + "/file", fixture.base.path + "/outside")
            }
            #expect(throws: Errno.improperLink) {
                try Disk.rename(place + "/file", fixture.base.path + "/outside")
            }
        }
    }
}
