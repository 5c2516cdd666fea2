import Platform
import TestSupport
import Testing

extension EndToEnd.Files {
    @Suite(.sharedMounts)
    struct AttributeTests {
        @Test(arguments: MountKind.available)
        func `user attributes are set, replaced, listed and removed`(_ kind: MountKind) throws {
            let fixture = try SharedMounts.fixture(kind)
            let place = try SharedMounts.directory(kind)
            try Disk.write(place + "/file", "x")
            for node in [try Disk.node(place + "/file"), try Disk.node(place)] {
                let values: [String: [UInt8]] = [
                    "user.a": [], "user.text": Array("value".utf8), "user.ünï": pattern(500),
                    "user.binary": [0, 255, 0],
                ]
                for (name, value) in values {
                    try node.setExtendedAttribute(name, to: value, flags: 0)
                }
                #expect(try node.extendedAttributeNames().sorted() == values.keys.sorted())
                try fixture.dropCaches()
                for (name, value) in values {
                    #expect(try node.extendedAttribute(name) == value)
                }
                #expect(throws: Errno.fileExists) {
                    try node.setExtendedAttribute("user.a", to: [1], flags: 1)
                }
                #expect(throws: Errno.noAttribute) {
                    try node.setExtendedAttribute("user.none", to: [1], flags: 2)
                }
                #expect(throws: Errno.noAttribute) { try node.extendedAttribute("user.none") }
                #expect(throws: Errno.noAttribute) {
                    try node.removeExtendedAttribute("user.none")
                }
                try node.removeExtendedAttribute("user.text")
                #expect(!(try node.extendedAttributeNames().contains("user.text")))
                #expect(try node.extendedAttribute("user.binary") == [0, 255, 0])
            }
        }

        @Test(arguments: MountKind.available)
        func `neither names nor values of attributes are seen in the vault`(
            _ kind: MountKind
        ) throws {
            let fixture = try SharedMounts.fixture(kind)
            let place = try SharedMounts.directory(kind)
            try Disk.write(place + "/file", "x")
            try Disk.node(place + "/file").setExtendedAttribute(
                "user.secretname", to: Array("secretvalue".utf8), flags: 0)
            let dump = try Command("getfattr", "-R", "-d", "-m", "-", fixture.vault).run().output
            #expect(!dump.contains("secretname"))
            #expect(!dump.contains("secretvalue"))
            #expect(dump.contains("user.keyfold."))
        }

        @Test(needsRoot, arguments: MountKind.available)
        func `trusted attributes are kept`(_ kind: MountKind) throws {
            let place = try SharedMounts.directory(kind)
            try Disk.write(place + "/file", "x")
            let node = try Disk.node(place + "/file")
            try node.setExtendedAttribute("trusted.test", to: [1, 2, 3], flags: 0)
            #expect(try node.extendedAttribute("trusted.test") == [1, 2, 3])
            #expect(try node.extendedAttributeNames() == ["trusted.test"])
        }

        @Test(needs("setfacl"), arguments: MountKind.available)
        func `ACLs are kept, and a default ACL is inherited`(_ kind: MountKind) throws {
            let fixture = try SharedMounts.fixture(kind)
            let place = try SharedMounts.directory(kind)
            try Disk.write(place + "/file", "x")
            try Command("setfacl", "-m", "u:1234:rwx,g:4321:r", place + "/file").run()
            try Command("setfacl", "-d", "-m", "u:1234:rw,g::r,o::-", place).run()
            try Command.shell("umask 077; echo y > made; mkdir sub; echo z > sub/below")
                .in(place).run()
            try fixture.dropCaches()
            func acl(_ name: String) throws -> [String] {
                try Command("getfacl", "-cnE", "\(place)/\(name)").run().lines
                    .filter { !$0.isEmpty }
            }
            #expect(try acl("file").contains("user:1234:rwx"))
            #expect(try acl("file").contains("group:4321:r--"))
            for name in ["made", "sub/below"] {
                let lines = try acl(name)
                #expect(lines.contains("user:1234:rw-"), "\(name): \(lines)")
                #expect(lines.contains("other::---"))
                // The default ACL takes the umask's place.
                #expect(lines.contains("mask::rw-"))
                #expect(lines.contains("user::rw-"))
            }
            #expect(try acl("sub").contains("default:user:1234:rw-"))
            try Disk.changeMode(place + "/file", to: 0o600)
            #expect(try acl("file").contains("mask::---"))
        }

        @Test(arguments: MountKind.available)
        func `modes of new files follow the umask`(_ kind: MountKind) throws {
            let place = try SharedMounts.directory(kind)
            let script = """
                umask 027; : > a; mkdir b; mkfifo c
                umask 0; : > d; mkdir e; mkfifo f
                umask 0777; : > g
                """
            try Command.shell(script).in(place).run()
            let expected: [String: UInt32] = [
                "a": 0o640, "b": 0o750, "c": 0o640, "d": 0o666, "e": 0o777, "f": 0o666, "g": 0,
            ]
            for (name, mode) in expected {
                #expect(try Disk.mode("\(place)/\(name)") == mode, "\(name)")
            }
        }

        @Test(arguments: MountKind.available)
        func `all mode bits can be set on files and directories`(_ kind: MountKind) throws {
            let fixture = try SharedMounts.fixture(kind)
            let place = try SharedMounts.directory(kind)
            try Disk.write(place + "/file", "x")
            try Disk.makeDirectory(place + "/directory")
            for mode in [0o7777, 0o4711, 0o2755, 0o1777, 0o644, 0o000] as [UInt32] {
                for name in ["file", "directory"] {
                    try Disk.changeMode("\(place)/\(name)", to: mode)
                    #expect(try Disk.mode("\(place)/\(name)") == mode)
                }
            }
            try Disk.changeMode(place + "/directory", to: 0o3770)
            try fixture.dropCaches()
            #expect(try Disk.mode(place + "/directory") == 0o3770)
        }

        @Test(arguments: MountKind.available)
        func `times are kept to the nanosecond, also behind late writes`(
            _ kind: MountKind
        ) throws {
            let fixture = try SharedMounts.fixture(kind)
            let place = try SharedMounts.directory(kind)
            let access = Timespec(seconds: 1_000_000_001, nanoseconds: 987_654_321)
            let change = Timespec(seconds: 1_234_567_890, nanoseconds: 123_456_789)
            try Disk.makeDirectory(place + "/directory")
            let file = try Disk.make(place + "/file")
            try file.write(pattern(300_000), at: 0)
            for node in [file, try Disk.node(place + "/directory")] {
                try node.setTimes(access: .set(access), modification: .set(change))
            }
            for round in 0..<2 {
                if round == 1 { try fixture.dropCaches() }
                for name in ["file", "directory"] {
                    let status = try Disk.status("\(place)/\(name)")
                    #expect(status.modificationTime == change, "\(name)")
                    #expect(status.accessTime == access, "\(name)")
                }
            }
            let early = Timespec(seconds: -1, nanoseconds: 500)
            let late = Timespec(seconds: 5_000_000_000, nanoseconds: 999_999_999)
            try Disk.node(place + "/file").setTimes(access: .set(early), modification: .set(late))
            #expect(try Disk.status(place + "/file").accessTime == early)
            #expect(try Disk.status(place + "/file").modificationTime == late)
            try Disk.node(place + "/file").setTimes(access: .keep, modification: .set(change))
            #expect(try Disk.status(place + "/file").accessTime == early)
        }

        @Test(arguments: MountKind.available)
        func `a write moves mtime and ctime, chmod moves ctime only`(_ kind: MountKind) throws {
            let fixture = try SharedMounts.fixture(kind)
            let path = try SharedMounts.directory(kind) + "/file"
            try Disk.write(path, "x")
            let old = Timespec(seconds: 1_000_000_000, nanoseconds: 0)
            try Disk.node(path).setTimes(access: .set(old), modification: .set(old))
            let before = try Disk.status(path)
            try Disk.changeMode(path, to: 0o600)
            #expect(try Disk.status(path).modificationTime == old)
            #expect(try Disk.status(path).changeTime >= before.changeTime)
            try Disk.open(path, OpenFlag.writeOnly).write([1], at: 0)
            try fixture.dropCaches()
            #expect(try Disk.status(path).modificationTime > before.changeTime)
            try Disk.node(path).setTimes(access: .set(old), modification: .set(old))
            try Disk.truncate(path, to: 0)
            #expect(try Disk.status(path).modificationTime > old)
        }

        @Test(arguments: MountKind.available)
        func `statfs shows the store's space and names of 255 bytes`(_ kind: MountKind) throws {
            let fixture = try SharedMounts.fixture(kind)
            let shown = try Disk.open(fixture.mountPoint, OpenFlag.directory)
                .fileSystemStatistics()
            let store = try Disk.open(fixture.vault, OpenFlag.directory).fileSystemStatistics()
            #expect(shown.maximumNameBytes == 255)
            #expect(
                shown.blocks * shown.fragmentSizeBytes == store.blocks * store.fragmentSizeBytes)
            #expect(shown.availableBlocks > 0)
            try Command("df", fixture.mountPoint).run()
        }

        @Test(needsRoot, arguments: MountKind.available)
        func `owner and group can be changed`(_ kind: MountKind) throws {
            let fixture = try SharedMounts.fixture(kind)
            let place = try SharedMounts.directory(kind)
            try Disk.write(place + "/file", "x")
            try Disk.makeDirectory(place + "/directory")
            try Disk.changeMode(place + "/file", to: 0o6755)
            for name in ["file", "directory"] {
                try Disk.changeOwner("\(place)/\(name)", uid: 1001, gid: 1002)
                try Disk.changeOwner("\(place)/\(name)", uid: nil, gid: 1003)
            }
            try fixture.dropCaches()
            for name in ["file", "directory"] {
                let status = try Disk.status("\(place)/\(name)")
                #expect(status.uid == 1001)
                #expect(status.gid == 1003)
            }
            // chown(2): set-id bits go, also when root asks.
            #expect(try Disk.mode(place + "/file") == 0o755)
        }

        @Test(arguments: MountKind.available)
        func `what a program stats is what it wrote, while it is open`(_ kind: MountKind) throws {
            let path = try SharedMounts.directory(kind) + "/file"
            let file = try Disk.make(path)
            for count in [1, 100, 5000, 70_000, 200_000] {
                try file.write(pattern(count), at: 0)
                #expect(try file.status().sizeBytes == UInt64(count))
                #expect(try Disk.size(path) == UInt64(count))
            }
        }
    }
}
