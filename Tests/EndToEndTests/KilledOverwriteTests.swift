import Platform
import TestSupport
import Testing

extension EndToEnd.Files {
    /// A killed write(2) may stop between two pages; what was synced must stay readable all the same.
    @Suite
    struct KilledOverwriteTests {
        private static let fileBytes = 16 << 20

        /// Overwrites a file for ever, with runs of changing sizes, and counts its rounds.
        private static let overwriting = """
            use IO::Handle; $| = 1; my $size = $ARGV[1]; my $n = 0;
            open(my $f, '+<', $ARGV[0]) or exit 1;
            while (1) {
              for (my $o = 0; $o < $size;) {
                my $count = 5000 + ($n * 7919) % 900000; $count = $size - $o if $o + $count > $size;
                sysseek($f, $o, 0); syswrite($f, chr(97 + $n % 26) x $count) or exit 0;
                $o += $count; $n++;
              }
              $f->sync or exit 0; print "$n\\n";
            }
            """

        /// Appends lines and syncs each; cuts the file inside a block now and then.
        private static let appending = """
            use IO::Handle; $| = 1; my $n = 0;
            open(my $f, '+>>', $ARGV[0]) or exit 1;
            while (1) {
              syswrite($f, sprintf("%099d\\n", $n)) or exit 0; $f->sync or exit 0;
              print "$n\\n"; $n++;
              if ($n % 200 == 0) {
                truncate($f, ($n - 50) * 100) or exit 0; $f->sync or exit 0;
                $n -= 50; print "cut $n\\n";
              }
            }
            """

        @Test(needs("perl"), arguments: 0..<3)
        func `blocks that are overwritten when the daemon is killed stay readable`(
            _ round: Int
        ) throws {
            try VaultFixture.withMount { fixture in
                let file = fixture.path("file")
                try Disk.write(file, [UInt8](repeating: 65, count: Self.fileBytes))
                let writer = try Command(
                    "perl", "-e", Self.overwriting, file, "\(Self.fileBytes)"
                ).start()
                let rounds = 1 + round % 3
                #expect(
                    Deadline.wait(seconds: 60) {
                        ((try? writer.outputText().split(separator: "\n").count) ?? 0) >= rounds
                    })
                try fixture.killDaemon()
                _ = try writer.waitForEnd(seconds: 20)
                try fixture.mount()
                let content = try Disk.read(file)
                #expect(content.count == Self.fileBytes)
                #expect(content.allSatisfy { (97...122).contains($0) })
            }
        }

        @Test(needs("perl"), arguments: 0..<3)
        func `lines that were synced survive a kill while the next one is appended`(
            _ round: Int
        ) throws {
            try VaultFixture.withMount { fixture in
                let file = fixture.path("log")
                let writer = try Command("perl", "-e", Self.appending, file).start()
                #expect(
                    Deadline.wait(seconds: 60) {
                        ((try? writer.outputText().split(separator: "\n").count) ?? 0)
                            >= 60 + round * 70
                    })
                try fixture.killDaemon()
                _ = try writer.waitForEnd(seconds: 20)
                let told = try writer.outputText()
                    .split(separator: "\n", omittingEmptySubsequences: false).dropLast()
                guard let last = told.last else { return }
                let acknowledged =
                    last.hasPrefix("cut ") ? Int(last.dropFirst(4)) ?? 0 : (Int(last) ?? -1) + 1
                try fixture.mount()
                let lines = try Disk.readText(file).split(separator: "\n")
                // A cut that was not acknowledged yet takes 50 lines at the most.
                #expect(lines.count >= acknowledged - 50)
                for (index, line) in lines.prefix(acknowledged).enumerated() {
                    #expect(Int(line) == index)
                }
            }
        }

        /// A mounted vault with one file and a synced overwrite of it, whose daemon was killed.
        private static func withJournal(
            _ body: (VaultFixture, _ journal: String) throws -> Void
        ) throws {
            try VaultFixture.withMount { fixture in
                let file = fixture.path("file")
                try Disk.write(file, [UInt8](repeating: 65, count: 100_000))
                let handle = try Disk.open(file, OpenFlag.readWrite)
                try handle.synchronize(dataOnly: false)
                try handle.write([UInt8](repeating: 66, count: 50_000), at: 10_000)
                try handle.synchronize(dataOnly: false)
                let stored = try fixture.sealedPath(of: "file")
                _ = consume handle
                try fixture.killDaemon()
                let directory = fixture.vault + "/.keyfold.journal"
                let journal = try #require(
                    try Disk.names(in: directory).map(\.string).first {
                        !$0.hasPrefix("..") && $0 != "."
                    })
                // What the journal has is lost in the store, as a power cut may lose it.
                let sealed = try Disk.open(stored, OpenFlag.readWrite)
                try sealed.write([UInt8](repeating: 0xff, count: 30_000), at: 30_000)
                try body(fixture, directory + "/" + journal)
            }
        }

        @Test func `what the store lost comes back from the journal`() throws {
            try Self.withJournal { fixture, journal in
                try fixture.mount()
                let content = try Disk.read(fixture.path("file"))
                #expect(content[..<10_000].allSatisfy { $0 == 65 })
                #expect(content[10_000..<60_000].allSatisfy { $0 == 66 })
                #expect(content[60_000...].allSatisfy { $0 == 65 })
                try fixture.unmount()
                #expect(throws: Errno.noSuchFileOrDirectory) { try Disk.status(journal) }
                try fixture.mount()
                #expect(try Disk.read(fixture.path("file")) == content)
            }
        }

        @Test func `a read-only mount leaves the journal for one that may write`() throws {
            try Self.withJournal { fixture, journal in
                try fixture.mount(options: ["ro"])
                #expect(throws: Errno.ioError) { try Disk.read(fixture.path("file")) }
                try fixture.remount(options: [])
                #expect(try Disk.read(fixture.path("file")).count == 100_000)
            }
        }

        @Test func `a journal that was changed is refused by name, and kept`() throws {
            try Self.withJournal { fixture, journal in
                let file = try Disk.open(journal, OpenFlag.readWrite)
                try file.write([0x55], at: 20)
                let refused = try fixture.mountCommand().result()
                #expect(refused.status == 65 && refused.error.contains(".keyfold.journal/"))
                #expect(try Disk.status(journal).sizeBytes > 0)
                try file.write([0x55], at: 20)
                try Disk.rename(journal, fixture.base.path + "/kept")
                try fixture.mount()
            }
        }

        /// The end of a journal is wherever its frames stop being whole and in order.
        @Test func `a frame that was changed ends the journal, and is never applied`() throws {
            try Self.withJournal { fixture, journal in
                let file = try Disk.open(journal, OpenFlag.readWrite)
                let byte = try file.read(count: 1, at: 20_000)
                try file.write([byte[0] ^ 1], at: 20_000)
                try fixture.mount()
                // The damage in the store stays damage: nothing of the changed frame came there.
                #expect(throws: Errno.ioError) { try Disk.read(fixture.path("file")) }
                let stored = try Disk.read(try fixture.sealedPath(of: "file"))
                #expect(stored[30_000..<60_000].allSatisfy { $0 == 0xff })
            }
        }
    }
}
