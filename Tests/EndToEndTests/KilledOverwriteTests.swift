import Platform
import TestSupport
import Testing

extension EndToEnd {
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

        @Test func `a journal of another boot is not used`() throws {
            try VaultFixture.withMount { fixture in
                let file = fixture.path("file")
                try Disk.write(file, [UInt8](repeating: 65, count: 100_000))
                let handle = try Disk.open(file, OpenFlag.readWrite)
                try handle.write([UInt8](repeating: 66, count: 50_000), at: 10_000)
                try handle.synchronize(dataOnly: false)
                let directory = fixture.vault + "/.keyfold.journal"
                let journal = try #require(
                    try Disk.names(in: directory).map(\.string).first {
                        $0.hasPrefix(".keyfold.journal.")
                    })
                // The record that was dropped comes to life again, as from another boot.
                let store = try Disk.open(directory + "/" + journal, OpenFlag.readWrite)
                try store.write(Array("K".utf8), at: 0)
                try store.write(Array("00000000".utf8), at: 8)
                try handle.write([UInt8](repeating: 67, count: 50_000), at: 10_000)
                _ = consume handle
                try fixture.killDaemon()
                try fixture.mount()
                let content = try Disk.read(file)
                #expect(content[10_000] == 67)
                #expect(
                    try Disk.names(in: directory).filter { !$0.isDots }.count == 1)
            }
        }
    }
}
