import Platform
import TestSupport
import Testing

extension EndToEnd.Files {
    /// Users beside the one who mounted: let in by `allow_other`, and judged by the kernel.
    @Suite(needsRoot, .sharedMount(.allowOther))
    struct OtherUserTests {
        private static let alice = OtherUser.alice
        private static let bob = OtherUser.bob

        /// A directory where everybody may make files.
        private static func commonPlace() throws -> String {
            let place = try SharedMounts.directory(.allowOther)
            try Disk.changeMode(place, to: 0o777)
            return place
        }

        private static func alice(_ script: String, in place: String) throws -> CommandResult {
            try Command.shell(script).in(place).as(user: alice).result()
        }

        private static func bob(_ script: String, in place: String) throws -> CommandResult {
            try Command.shell(script).in(place).as(user: bob).result()
        }

        @Test func `new files belong to their makers`() throws {
            let place = try Self.commonPlace()
            let script = "echo x > file; mkdir directory; ln -s t link; mkfifo fifo; ln file hard"
            #expect(try Self.alice(script, in: place).succeeded)
            for name in ["file", "directory", "link", "fifo", "hard"] {
                let status = try Disk.status("\(place)/\(name)")
                #expect(status.uid == Self.alice, "\(name)")
                #expect(status.gid == Self.alice, "\(name)")
            }
        }

        @Test func `others are kept out as the modes say`() throws {
            let place = try Self.commonPlace()
            let script = """
                umask 077; echo secret > private; mkdir closed; echo x > closed/file
                umask 022; echo open > public; mkdir shared; echo y > shared/file
                """
            #expect(try Self.alice(script, in: place).succeeded)
            for denied in [
                "cat private", "echo x >> public", "ls closed", "cat closed/file",
                "rm shared/file", "mkdir shared/new", "chmod 777 public", "chown 61002 public",
                "mv shared/file shared/other", "touch -d 2001-01-01 public", "truncate -s 0 public",
                "ln -s x shared/link", "mknod device c 1 3", "setfattr -n user.x -v y public",
            ] {
                let result = try Self.bob(denied, in: place)
                #expect(!result.succeeded, "\(denied)")
                let words = ["Permission denied", "Operation not permitted"]
                #expect(words.contains { result.error.contains($0) }, "\(denied): \(result.error)")
            }
            #expect(try Self.bob("cat public shared/file", in: place).output == "open\ny\n")
            #expect(try Disk.readText(place + "/public") == "open\n")
        }

        @Test func `a group's members get what the group may`() throws {
            let place = try Self.commonPlace()
            try Disk.write(place + "/file", "x")
            try Disk.changeOwner(place + "/file", uid: Self.alice, gid: 61_100)
            try Disk.changeMode(place + "/file", to: 0o060)
            let reader = Command("cat", "file").in(place)
            #expect(!(try reader.as(user: Self.bob).result().succeeded))
            #expect(try reader.as(user: Self.bob, groups: [61_100]).result().succeeded)
        }

        @Test func `an ACL lets one more user in`() throws {
            let place = try Self.commonPlace()
            #expect(try Self.alice("umask 077; echo x > file", in: place).succeeded)
            #expect(!(try Self.bob("cat file", in: place).succeeded))
            #expect(try Self.alice("setfacl -m u:61002:r file", in: place).succeeded)
            #expect(try Self.bob("cat file", in: place).output == "x\n")
            #expect(!(try Self.bob("echo y > file", in: place).succeeded))
            #expect(try Self.alice("setfacl -b file", in: place).succeeded)
            #expect(!(try Self.bob("cat file", in: place).succeeded))
        }

        @Test func `who sets an ACL gives no group away that is not his own`() throws {
            let place = try Self.commonPlace()
            for (name, groups) in [("foreign", []), ("own", [61_100])] as [(String, [UInt32])] {
                let path = "\(place)/\(name)"
                try Disk.write(path, "x")
                try Disk.changeOwner(path, uid: Self.alice, gid: 61_100)
                try Disk.changeMode(path, to: 0o2755)
                try Command("setfacl", "-m", "u:61002:rx", path)
                    .as(user: Self.alice, groups: groups).run()
                #expect(try Disk.mode(path) == (groups.isEmpty ? 0o755 : 0o2755), "\(name)")
            }
        }

        @Test func `a sticky directory's files are removed by their owners only`() throws {
            let place = try Self.commonPlace()
            try Disk.changeMode(place, to: 0o1777)
            #expect(try Self.alice("echo x > file; echo y > other", in: place).succeeded)
            #expect(!(try Self.bob("rm -f file", in: place).succeeded))
            #expect(!(try Self.bob("mv file mine", in: place).succeeded))
            #expect(!(try Self.bob("echo z > mine; mv mine other", in: place).succeeded))
            #expect(try Disk.readText(place + "/other") == "y\n")
            #expect(try Self.alice("rm file other", in: place).succeeded)
        }

        @Test func `a set-group-id directory gives its group to what is made in it`() throws {
            let place = try Self.commonPlace()
            try Disk.changeOwner(place, uid: nil, gid: 61_100)
            try Disk.changeMode(place, to: 0o2777)
            let script =
                "umask 022; echo x > file; mkdir directory; mkdir directory/below; ln -s x l"
            #expect(try Self.alice(script, in: place).succeeded)
            for name in ["file", "directory", "directory/below", "l"] {
                #expect(try Disk.status("\(place)/\(name)").gid == 61_100, "\(name)")
                #expect(try Disk.status("\(place)/\(name)").uid == Self.alice)
            }
            #expect(try Disk.mode(place + "/directory") == 0o2755)
            #expect(try Disk.mode(place + "/directory/below") == 0o2755)
            #expect(try Disk.mode(place + "/file") == 0o644)
        }

        @Test(arguments: [
            "echo y >> file", "truncate -s 1 file", ": > file", "echo z > file",
            "fallocate -l 100 file",
        ])
        func `set-id bits go when somebody else changes a file`(_ change: String) throws {
            let place = try Self.commonPlace()
            try Disk.write(place + "/file", "content\n")
            try Disk.changeOwner(place + "/file", uid: Self.alice, gid: Self.alice)
            try Disk.changeMode(place + "/file", to: 0o6777)
            #expect(try Self.bob(change, in: place).succeeded)
            #expect(try Disk.mode(place + "/file") == 0o777)
        }

        @Test(arguments: ["printf x >> tool", "cat copy > tool", "fallocate -n -l 10000000 tool"])
        func `a program that somebody else changed runs as its owner no more`(
            _ change: String
        ) throws {
            try VaultFixture.withMount(VaultShape(mountOptions: ["suid,allow_other"])) { fixture in
                try Disk.changeMode(fixture.mountPoint, to: 0o755)
                for user in [Self.alice, Self.bob] {
                    try fixture.grant(user, "Decrypt", "GenerateDataKey")
                }
                let script = "cp \"$(command -v id)\" tool; cp tool copy; sync tool copy"
                try Command.shell(script).in(fixture.mountPoint).run()
                try Disk.changeOwner(fixture.path("tool"), uid: Self.alice, gid: Self.alice)
                try Disk.changeMode(fixture.path("tool"), to: 0o4777)
                let before = try Self.bob("./tool -u", in: fixture.mountPoint)
                // Containers may forbid set-id programs altogether.
                guard before.output == "\(Self.alice)\n" else {
                    print("skipped: no set-user-id program runs here: \(before)")
                    return
                }
                // The new mode must be asked for by nobody: the kernel has to forget the old one.
                let after = try Self.bob("\(change) && exec ./tool -u", in: fixture.mountPoint)
                #expect(after.output == "\(Self.bob)\n", "\(after)")
            }
        }

        @Test func `set-id bits stay when root writes`() throws {
            let place = try Self.commonPlace()
            try Disk.write(place + "/file", "content\n")
            try Disk.changeMode(place + "/file", to: 0o6755)
            try Disk.open(place + "/file", OpenFlag.writeOnly).write([1], at: 0)
            #expect(try Disk.mode(place + "/file") == 0o6755)
        }

        @Test func `a file that its maker may not write is made and filled`() throws {
            let place = try Self.commonPlace()
            #expect(try Self.alice("umask 0777; echo content > file", in: place).succeeded)
            #expect(!(try Self.alice("cat file", in: place).succeeded))
            #expect(try Disk.readText(place + "/file") == "content\n")
        }

        @Test func `without allow_other nobody else gets in`() throws {
            try VaultFixture.withMount { fixture in
                try Disk.changeMode(fixture.mountPoint, to: 0o777)
                let result = try Command("ls", fixture.mountPoint).as(user: Self.bob).result()
                #expect(!result.succeeded)
                #expect(result.error.contains("Permission denied"))
            }
        }

        @Test func `a user's own mount works without root`() throws {
            guard Disk.exists("/usr/bin/fusermount3") else { return }
            try VaultFixture.withVault { fixture in
                for path in [fixture.base.path, fixture.vault, fixture.keystore] {
                    try Command("chown", "-R", "61001:61001", path).run()
                }
                let command = fixture.mountCommand().as(user: Self.alice)
                    .with(["HOME": fixture.base.path])
                let result = try command.result()
                // /dev/fuse may be closed to users on this machine.
                guard result.succeeded else {
                    #expect(result.status != 0, "not mounted: \(result.error)")
                    print("skipped: a user can't mount here: \(result.error)")
                    return
                }
                let script = "echo x > file && cat file && ls -l"
                let listing = try Command.shell(script).in(fixture.mountPoint)
                    .as(user: Self.alice).run()
                #expect(listing.output.hasPrefix("x\n"))
                try fixture.command(["unmount", fixture.mountPoint]).as(user: Self.alice).run()
            }
        }
    }
}
