import Platform
import TestSupport
import Testing

extension EndToEnd.Files {
    @Suite
    struct ScaleTests {
        private static let directoryCount = 200
        private static let filesPerDirectory = 500
        /// One file in so many has content; a key for each would take minutes in a debug build.
        private static let filesPerContent = 20

        private static func makeTree(_ fixture: VaultFixture) throws {
            for directory in 0..<directoryCount {
                try Disk.makeDirectory(fixture.path("dir\(directory)"))
                for file in 0..<filesPerDirectory {
                    let path = fixture.path("dir\(directory)/file\(file)")
                    if file % filesPerContent == 0 {
                        try Disk.write(path, "\(directory) \(file)\n")
                    } else {
                        try Disk.makeNode(path, mode: NodeType.regular | 0o644)
                    }
                }
            }
        }

        /// The daemon's own limit is set by the shell that runs it.
        @Test func `100,000 files work with 1,024 descriptors`() throws {
            try VaultFixture.withVault { fixture in
                let mount = Command.shell(
                    "ulimit -n 1024; exec \"$1\" mount \"$2\" \"$3\"", Program.keyfold,
                    fixture.vault, fixture.mountPoint)
                try mount.with(fixture.environment).run()
                let pid = try fixture.daemonPID()
                let limits = try Disk.readText("/proc/\(pid)/limits")
                #expect(limits.contains(#/Max open files +1024 /#))

                try Self.makeTree(fixture)
                #expect(Processes.descriptorCount(of: pid) < 1024)
                try fixture.dropCaches()
                let sum = try Command.shell(
                    "find . -type f -printf '%s\\n' | awk '{n++; s+=$1} END {print n, s}'"
                ).in(fixture.mountPoint).limited(toSeconds: 300).run()
                let expected = (0..<Self.directoryCount).reduce(0) { total, directory in
                    stride(from: 0, to: Self.filesPerDirectory, by: Self.filesPerContent)
                        .reduce(total) { $0 + "\(directory) \($1)\n".utf8.count }
                }
                let count = Self.directoryCount * Self.filesPerDirectory
                #expect(sum.output == "\(count) \(expected)\n")
                // Every inode is in the kernel's cache now, and every one is still found.
                var source = RandomSource(seed: 11)
                for _ in 0..<2000 {
                    let directory = source.number(0..<Self.directoryCount)
                    let file =
                        source.number(0..<Self.filesPerDirectory / Self.filesPerContent)
                        * Self.filesPerContent
                    let path = fixture.path("dir\(directory)/file\(file)")
                    #expect(try Disk.readText(path) == "\(directory) \(file)\n")
                }
                #expect(Processes.descriptorCount(of: pid) < 1024)
                try fixture.unmount()
            }
        }

        @Test func `4,000 files are changed with 1,024 descriptors`() throws {
            try VaultFixture.withMount { fixture in
                let script = "for f in $(seq 4000); do echo $1 >> $f; done"
                try Command.shell(script, "one").in(fixture.mountPoint).run()
                try fixture.unmount()
                try Command.shell(
                    "ulimit -n 1024; exec \"$1\" mount \"$2\" \"$3\"", Program.keyfold,
                    fixture.vault, fixture.mountPoint
                ).with(fixture.environment).run()
                try Command.shell(script, "two").in(fixture.mountPoint).run()
                let pid = try fixture.daemonPID()
                #expect(Processes.descriptorCount(of: pid) < 1024)
                let lines = try Command.shell("cat $(seq 4000) | sort | uniq -c")
                    .in(fixture.mountPoint).run().output
                #expect(
                    lines.split(whereSeparator: \.isWhitespace) == ["4000", "one", "4000", "two"])
            }
        }

        /// The store's file is longer than the one that is written, and a signal would end the daemon.
        @Test func `a daemon whose files may not be large refuses larger ones and lives`() throws {
            try VaultFixture.withVault { fixture in
                try Command.shell(
                    "ulimit -f 98304; exec \"$1\" mount \"$2\" \"$3\"", Program.keyfold,
                    fixture.vault, fixture.mountPoint
                ).with(fixture.environment).run()
                try Disk.write(fixture.path("small"), "content")
                let piece = pattern(8 << 20)
                let error = #expect(throws: Errno.self) {
                    let file = try Disk.make(fixture.path("large"))
                    for number in 0..<16 {
                        try file.write(piece, at: UInt64(number * piece.count))
                        try file.synchronize(dataOnly: true)
                    }
                }
                #expect(error == .fileTooLarge)
                #expect(try Disk.readText(fixture.path("small")) == "content")
                try fixture.unmount()
            }
        }

        @Test func `600 files open at once work with 1,024 descriptors`() throws {
            try VaultFixture.withVault { fixture in
                try Command.shell(
                    "ulimit -n 1024; exec \"$1\" mount \"$2\" \"$3\"", Program.keyfold,
                    fixture.vault, fixture.mountPoint
                ).with(fixture.environment).run()
                var files: [Descriptor] = []
                for number in 0..<600 {
                    let file = try Disk.make(fixture.path("file\(number)"))
                    try file.write(pattern(100, seed: UInt64(number)), at: 0)
                    files.append(file)
                }
                for (number, file) in files.enumerated() {
                    #expect(try file.read(count: 200, at: 0) == pattern(100, seed: UInt64(number)))
                }
                files = []
                #expect(
                    Deadline.wait(seconds: 10) {
                        (try? fixture.json("status", fixture.vault)[0]["openFiles"].int) == 0
                    })
                try fixture.unmount()
            }
        }
    }
}
