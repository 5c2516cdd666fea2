import Platform
import TestSupport
import Testing

extension EndToEnd.Files {
    /// One vault mounted twice with `shared`, as two hosts have it.
    @Suite struct TwoMountTests {
        /// Runs `body` with the fixture of one mount, and the mount point of the other.
        private static func with(
            _ options: String = "shared", _ body: (VaultFixture, String) throws -> Void
        ) throws {
            try VaultFixture.withMount(VaultShape(mountOptions: [options])) { fixture in
                let other = fixture.base.path + "/other"
                try Disk.makeDirectory(other)
                try fixture.command(["mount", fixture.vault, other, "-o", options])
                    .limited(toSeconds: 60).run()
                try body(fixture, other)
            }
        }

        @Test func `both may make the same name, and have one file`() throws {
            try Self.with { fixture, other in
                for number in 0..<5 {
                    let (here, there) = (fixture.path("file\(number)"), "\(other)/file\(number)")
                    // The kernel remembers for a second that it does not exist.
                    #expect(!Disk.exists(here))
                    try Disk.write(there, "made there")
                    let file = try Disk.make(here)
                    #expect(try file.read(count: 100, at: 0) == Array("made there".utf8))
                    #expect(throws: Errno.fileExists) { try Disk.open(here, OpenFlag.createNew) }
                }
            }
        }

        @Test(needsRoot, needs("mkfifo"))
        func `a name that was made there is opened here by whom its mode lets in`() throws {
            try Self.with("shared,allow_other") { fixture, other in
                try Disk.changeMode(fixture.mountPoint, to: 0o777)
                try fixture.grant(OtherUser.bob, "Decrypt", "GenerateDataKey")
                let (looked, made) = (fixture.base.path + "/looked", fixture.base.path + "/made")
                try Command("mkfifo", "-m", "666", looked, made).run()
                let script = "test ! -e file; echo > \"$1\"; read line < \"$2\"; : >> file"
                let bob = try Command.shell(script, looked, made).in(fixture.mountPoint)
                    .as(user: OtherUser.bob).start()
                try Command("head", "-n", "1", looked).run()
                try Disk.write(other + "/file", "secret")
                try Disk.changeMode(other + "/file", to: 0o600)
                try Command.shell("echo > \"$1\"", made).run()
                #expect(try bob.waitForEnd(seconds: 20) != 0)
                #expect(try Disk.readText(other + "/file") == "secret")
            }
        }

        @Test func `an open sees what grew on the other side before`() throws {
            try Self.with { fixture, other in
                for number in 0..<5 {
                    let (here, there) = (fixture.path("file\(number)"), "\(other)/file\(number)")
                    try Disk.write(there, pattern(1000))
                    // Here the kernel asks for the size, and might remember it.
                    #expect(try Disk.size(here) == 1000)
                    do {
                        let file = try Disk.open(there, OpenFlag.readWrite)
                        try file.write(pattern(3000, seed: 2), at: 1000)
                    }
                    let found = try Disk.open(here).read(count: 100_000, at: 0)
                    #expect(found == pattern(1000) + pattern(3000, seed: 2))
                }
            }
        }
    }
}
