import Platform
import TestSupport
import Testing

extension EndToEnd.Files {
    @Suite
    struct CrashTests {
        /// Makes files for ever, and tells of each one that was synced: its number and how many
        /// bytes of it are safe.
        private static let load = """
            use Fcntl; use IO::Handle; $| = 1;
            sub content { my ($n, $count) = @_; my $s = ''; my $i = 0;
              while (length($s) < $count) { $s .= sprintf("%08d.%08d ", $n, $i++); }
              return substr($s, 0, $count); }
            my $writer = $ARGV[0]; my $n = 0;
            while (1) {
              my $name = "$writer-$n"; my $count = 1 + ($n * 7919) % 60000;
              open(my $f, '>', $name) or exit 0;
              syswrite($f, content($n, $count)) or exit 0;
              if ($n % 3 == 0) { $f->sync or exit 0; print "$name $count\\n";
                # Later writes behind the synced bytes must not take them along.
                syswrite($f, content($n + 1, 30000)) or exit 0; }
              close($f);
              if ($n % 5 == 4) { rename("$writer-" . ($n - 1), "$writer-r" . ($n - 1)); }
              $n++; }
            """

        private static func content(_ number: Int, count: Int) -> [UInt8] {
            func digits(_ value: Int) -> String {
                let text = String(value)
                return String(repeating: "0", count: 8 - text.count) + text
            }
            var text = ""
            var index = 0
            while text.utf8.count < count {
                text += digits(number) + "." + digits(index) + " "
                index += 1
            }
            return Array(text.utf8.prefix(count))
        }

        @Test(needs("perl"), arguments: 0..<5)
        func `kill -9 under load takes nothing that was synced`(_ round: Int) throws {
            try VaultFixture.withMount { fixture in
                var source = RandomSource(seed: UInt64(round) + 77)
                let acknowledged = 15 + source.number(0..<150)
                let writers = try (0..<2).map {
                    try Command("perl", "-e", Self.load, "\($0)").in(fixture.mountPoint).start()
                }
                let isBusy = Deadline.wait(seconds: 60) {
                    let lines = try? writers.map {
                        try $0.outputText().split(separator: "\n").count
                    }
                    return (lines ?? []).reduce(0, +) > acknowledged
                }
                #expect(isBusy)
                try fixture.killDaemon()
                for writer in writers { _ = try writer.waitForEnd(seconds: 20) }
                let lines = try writers.flatMap { writer -> [Substring] in
                    let text = try writer.outputText()
                    // A line that was cut off was not acknowledged.
                    return text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
                }

                // `keyfold mount` just works again; the dead mount is taken over.
                try fixture.mount()
                for line in lines {
                    let fields = line.split(separator: " ")
                    let number = Int(fields[0].split(separator: "-")[1]) ?? -1
                    let count = Int(fields[1]) ?? -1
                    let plain = fixture.path(String(fields[0]))
                    let path = Disk.exists(plain) ? plain : renamed(plain)
                    let found = try Disk.open(path).read(count: count, at: 0)
                    #expect(found == Self.content(number, count: count), "\(line)")
                }
                // All that is there can be removed, and the vault goes on.
                try Command.shell("rm -rf ./*").in(fixture.mountPoint).run()
                try Disk.write(fixture.path("after"), "after the crash")
                try fixture.remount()
                #expect(try Disk.readText(fixture.path("after")) == "after the crash")
                try fixture.keyfold("log", "verify")
                try fixture.keyfold("key", "list")
            }
        }

        /// `0-17` becomes `0-r17`, as the load does.
        private func renamed(_ path: String) -> String {
            guard let dash = path.lastIndex(of: "-") else { return path }
            return path[...dash] + "r" + path[path.index(after: dash)...]
        }

        @Test func `a killed daemon's open files fail and the next mount has them`() throws {
            try VaultFixture.withMount { fixture in
                let file = try Disk.make(fixture.path("file"))
                try file.write(pattern(100_000), at: 0)
                try file.synchronize(dataOnly: false)
                try fixture.killDaemon()
                // The connection ends with the daemon's last thread, a moment after its first.
                let fails = Deadline.wait(seconds: 20) {
                    do throws(Errno) {
                        try file.synchronize(dataOnly: false)
                        return false
                    } catch {
                        return true
                    }
                }
                #expect(fails)
                #expect(throws: Errno.self) { try Disk.names(in: fixture.mountPoint) }
                try fixture.mount()
                #expect(try Disk.read(fixture.path("file")) == pattern(100_000))
            }
        }

        @Test func `status tells of a daemon that died, and unmount clears its mount`() throws {
            try VaultFixture.withMount { fixture in
                try fixture.killDaemon()
                let status = try fixture.json("status", fixture.vault)[0]
                #expect(status["answers"].bool == false)
                #expect(status["inUse"].bool == false)
                try fixture.keyfold("unmount", fixture.mountPoint)
                #expect(!fixture.isMounted)
                try fixture.mount()
            }
        }

        @Test(arguments: [Signal.terminate, Signal.interrupt])
        func `a signal unmounts cleanly and nothing is lost`(_ signal: Int32) throws {
            try VaultFixture.withMount { fixture in
                for number in 0..<300 {
                    try Disk.write(
                        fixture.path("file\(number)"),
                        pattern(1 + number * 97, seed: UInt64(number)))
                }
                let pid = try fixture.daemonPID()
                Signal.send(signal, to: pid)
                #expect(Deadline.wait(seconds: 30) { !isRunning(pid) })
                #expect(!fixture.isMounted)
                try fixture.mount()
                for number in 0..<300 {
                    let content = try Disk.read(fixture.path("file\(number)"))
                    #expect(content == pattern(1 + number * 97, seed: UInt64(number)))
                }
                try fixture.keyfold("log", "verify")
            }
        }

        @Test(needs("perl"))
        func `SIGTERM under load keeps every write that was answered`() throws {
            try VaultFixture.withMount { fixture in
                let script = """
                    $| = 1; my $n = 0;
                    while (1) { open(my $f, '>', "f$n") or exit 0;
                      my $s = "$n" x 3000; (syswrite($f, $s) // 0) == length($s) or exit 0;
                      close($f) or exit 0; print "$n\\n"; $n++; }
                    """
                let writer = try Command("perl", "-e", script).in(fixture.mountPoint).start()
                #expect(
                    Deadline.wait(seconds: 60) {
                        ((try? writer.outputText().split(separator: "\n").count) ?? 0) > 200
                    })
                let pid = try fixture.daemonPID()
                Signal.send(Signal.terminate, to: pid)
                #expect(Deadline.wait(seconds: 60) { !isRunning(pid) })
                writer.signal(Signal.kill)
                _ = try writer.waitForEnd(seconds: 20)
                let lines = try writer.outputText()
                    .split(separator: "\n", omittingEmptySubsequences: false).dropLast()
                if fixture.isMounted { try fixture.clearDeadMount() }
                try fixture.mount()
                for line in lines {
                    let text = try Disk.readText(fixture.path("f\(line)"))
                    #expect(text == String(repeating: String(line), count: 3000), "f\(line)")
                }
            }
        }

        @Test func `unmount writes back what was still in the page cache`() throws {
            try VaultFixture.withMount { fixture in
                let file = try Disk.make(fixture.path("file"))
                try file.truncate(to: 1 << 20)
                try file.writeMapped(pattern(500_000), at: 100_000)
                try file.write(pattern(5000, seed: 2), at: 1 << 20)
                _ = consume file
                try fixture.remount()
                let content = try Disk.read(fixture.path("file"))
                #expect(Array(content[100_000..<600_000]) == pattern(500_000))
                #expect(Array(content.suffix(5000)) == pattern(5000, seed: 2))
            }
        }

        @Test func `a busy mount is not unmounted, and goes when it is free`() throws {
            try VaultFixture.withMount { fixture in
                let file = try Disk.make(fixture.path("file"))
                try fixture.keyfold("unmount", fixture.mountPoint, expecting: 75)
                try file.write(pattern(100), at: 0)
                _ = consume file
                try fixture.unmount()
                #expect(!fixture.isMounted)
                try fixture.mount()
                #expect(try Disk.read(fixture.path("file")) == pattern(100))
            }
        }
    }
}
