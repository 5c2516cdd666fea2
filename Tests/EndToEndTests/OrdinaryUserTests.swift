import Platform
import TestSupport
import Testing

private let user = OtherUser.nobody

extension EndToEnd.Files {
    /// The mount of a user who is not root: what modes keep its files' owner from, they keep the
    /// daemon from as well.
    @Suite(needsRoot, needs("setpriv", "fusermount3"), usersMayMount)
    struct OrdinaryUserTests {
        /// Runs `body` with a vault that is the user's and that he has mounted.
        private static func withMount(_ body: (VaultFixture) throws -> Void) throws {
            try VaultFixture.withVault(.locked) { fixture in
                try Command("chown", "-R", "\(user):\(user)", fixture.base.path).run()
                try mount(fixture)
                try body(fixture)
                try own(fixture.command(["unmount", fixture.mountPoint]), fixture).run()
            }
        }

        private static func own(_ command: Command, _ fixture: VaultFixture) -> Command {
            command.as(user: user).with(["HOME": fixture.base.path])
        }

        private static func mount(_ fixture: VaultFixture) throws {
            try own(fixture.mountCommand(), fixture).limited(toSeconds: 60).run()
        }

        /// The lines that a script prints in the mount, where not even root gets in.
        @discardableResult
        private static func lines(
            _ script: String, in fixture: VaultFixture
        ) throws -> [String] {
            let whole = "cd \"$1\" || exit 1; set -e; umask 022\n" + script
            return try own(Command.shell(whole, fixture.mountPoint), fixture).run().lines
        }

        /// What the store has of directories besides Keyfold's own.
        private static func storedDirectories(_ fixture: VaultFixture) throws -> [String] {
            try Command(
                "find", fixture.vault, "-mindepth", "1", "-type", "d", "-not", "-name",
                ".keyfold.journal"
            ).run().lines
        }

        // MARK: Recovery

        @Test func `a crash is recovered from whatever modes its files have`() throws {
            try Self.withMount { fixture in
                // A sync of the root has the journal name all that is new.
                try Self.lines(
                    """
                    (umask 222; echo object > object)
                    echo old > file; sync file
                    printf new | dd of=file conv=notrunc,fsync status=none
                    chmod a-w file
                    mkdir closed; echo inner > closed/inner; chmod 0 closed
                    sync .
                    """, in: fixture)
                try fixture.killDaemon()
                try fixture.clearDeadMount()
                try Self.mount(fixture)
                #expect(
                    try Self.lines("stat -c %a object file closed", in: fixture)
                        == ["444", "444", "0"])
                #expect(
                    try Self.lines(
                        "cat object file; chmod 700 closed; cat closed/inner", in: fixture)
                        == ["object", "new", "inner"])
            }
        }

        // MARK: Rewrap

        @Test func `a rewrap takes files that their owner may not write`() throws {
            try Self.withMount { fixture in
                try Self.lines(
                    """
                    (umask 222; echo a > a)
                    (umask 777; echo b > b)
                    echo c > c
                    """, in: fixture)
                let rotate = fixture.command(["key", "rotate", VaultFixture.defaultAlias])
                try Self.own(rotate, fixture).run()
                let rewrap = fixture.command(["rewrap", fixture.vault, "--json"])
                let counts = try JSON.lines(try Self.own(rewrap, fixture).run().output).last
                #expect(counts?["rewrapped"].int == 3)
                #expect(counts?["failed"].int == 0)
                #expect(try Self.lines("stat -c %a a b c", in: fixture) == ["444", "0", "644"])
                #expect(
                    try Self.lines("chmod 400 b; cat a b c", in: fixture) == ["a", "b", "c"])
            }
        }

        // MARK: Files

        /// As ``withMount(_:)``, mounted anew between two scripts, so that nothing is open still.
        ///
        /// - Returns: what the second one prints.
        private static func lines(_ first: String, andThen second: String) throws -> [String] {
            var found: [String] = []
            try withMount { fixture in
                try lines(first, in: fixture)
                try own(fixture.command(["unmount", fixture.mountPoint]), fixture).run()
                try mount(fixture)
                found = try lines(second, in: fixture)
            }
            return found
        }

        @Test(arguments: ["200", "222"])
        func `a file that may only be written is opened for writing`(_ mode: String) throws {
            let found = try Self.lines(
                "echo old > file; chmod \(mode) file",
                andThen: "echo new >> file; stat -c %a file; chmod 600 file; cat file")
            #expect(found == [mode, "old", "new"])
        }

        @Test func `a file that is read while it loses that right is opened for writing`() throws {
            let found = try Self.lines(
                "echo old > file",
                andThen: """
                    exec 3< file; chmod 200 file; echo new >> file; stat -c %a file; cat <&3
                    """)
            #expect(found == ["200", "old", "new"])
        }

        @Test func `a program that may only be run is run`() throws {
            let found = try Self.lines(
                "cp /bin/echo program; chmod 111 program",
                andThen: "./program ran; stat -c %a program")
            #expect(found == ["ran", "111"])
        }

        // MARK: Directories

        @Test(arguments: [("222", "555"), ("444", "333"), ("777", "0")])
        func `a directory is made and removed whatever its owner may do in it`(
            _ mask: String, _ mode: String
        ) throws {
            try Self.withMount { fixture in
                let made = try Self.lines(
                    "umask \(mask); mkdir directory; stat -c %a directory", in: fixture)
                #expect(made == [mode])
                #expect(try Self.storedDirectories(fixture).count == 1)
                try Self.lines("rmdir directory", in: fixture)
                #expect(try Self.storedDirectories(fixture).isEmpty)
            }
        }

        @Test func `a directory that is not empty keeps its mode`() throws {
            try Self.withMount { fixture in
                let script = """
                    mkdir full; echo x > full/file; chmod 333 full
                    if rmdir full 2> /dev/null; then exit 9; fi
                    stat -c %a full; cat full/file
                    """
                let found = try Self.lines(script, in: fixture)
                #expect(found == ["333", "x"])
            }
        }

        @Test(needs("setfacl"))
        func `a new directory has what a set-group-id bit and a default ACL give it`() throws {
            try Self.withMount { fixture in
                let script = """
                    mkdir group list; chmod g+s group; setfacl -d -m u::r-x list
                    (umask 222; mkdir group/below)
                    mkdir list/below
                    stat -c %a group/below list/below
                    """
                let found = try Self.lines(script, in: fixture)
                #expect(found == ["2555", "555"])
            }
        }
    }
}
