import Platform
import TestSupport
import Testing

extension EndToEnd.Commands {
    /// `keyfold check` as scripts use it: real vaults, real damage, real mounts afterwards.
    @Suite
    struct CheckCommandTests {
        private static let content = pattern(5 * 4096 + 100)

        private struct Checked {
            let findings: [JSON]
            let summary: JSON

            var codes: [String] { findings.compactMap { $0["finding"].string } }
            func path(of code: String) -> String? {
                findings.first { $0["finding"].string == code }?["path"].string
            }
        }

        private static func check(
            _ fixture: VaultFixture, _ words: String..., expecting status: Int32
        ) throws -> Checked {
            let lines = try JSON.lines(
                try fixture.keyfold(
                    ["check", fixture.vault, "--json"] + words, expecting: status
                ).output)
            let summary = try #require(lines.last)
            #expect(summary["summary"].bool == true)
            return Checked(findings: lines.dropLast(), summary: summary)
        }

        private static func flip(_ path: String, at offset: UInt64) throws {
            let file = try Disk.open(path, OpenFlag.readWrite)
            var byte = try file.read(count: 1, at: offset)
            try #require(byte.count == 1)
            byte[0] ^= 8
            try file.write(byte, at: offset)
        }

        private static func block(_ index: UInt64) -> UInt64 { 512 + index * 4124 }

        // MARK: Vaults

        @Test func `a sound vault is clean, mounted or not, and the data are read on demand`()
            throws
        {
            try VaultFixture.withMount { fixture in
                try Disk.makeDirectory(fixture.path("folder"))
                try Disk.write(fixture.path("folder/file"), Self.content)
                try Disk.write(fixture.path(String(repeating: "l", count: 250)), "long")
                try Disk.open(fixture.mountPoint, OpenFlag.directory).synchronizeFileSystem()
                for round in 0..<2 {
                    let checked = try Self.check(fixture, "--read-data", expecting: 0)
                    #expect(checked.codes == [], "round \(round)")
                    #expect(checked.summary["files"].int == 2)
                    #expect(checked.summary["directories"].int == 2)
                    #expect(checked.summary["bytes"].int == 512 + 20_580 + 6 * 28 + 512 + 32)
                    #expect(checked.summary["left"].int == 0)
                    if round == 0 { try fixture.unmount() }
                }
                let text = try fixture.keyfold("check", fixture.vault).output
                #expect(text.contains("2 files, 2 directories"))
                #expect(text.contains("nothing wrong"))
                let one = try Self.check(fixture, "folder/file", expecting: 0)
                #expect(one.summary["files"].int == 1)
                try fixture.keyfold("check", fixture.vault, "nowhere", expecting: 66)
                try fixture.keyfold("check", fixture.base.path, expecting: 66)
                try fixture.keyfold("check", expecting: 64)
                try fixture.keyfold("check", "--keystore", "--repair", expecting: 64)
                try fixture.keyfold("check", fixture.vault, "--jobs", "0", expecting: 64)
            }
        }

        @Test func `damage is named with its path, what can be is repaired, and mounts show it`()
            throws
        {
            try VaultFixture.withMount { fixture in
                let long = String(repeating: "n", count: 240)
                try Disk.makeDirectory(fixture.path("folder"))
                for name in ["folder/block", "folder/header", "folder/cut", "folder/kept", long] {
                    try Disk.write(fixture.path(name), Self.content)
                }
                try Disk.write(fixture.path("hidden"), "in lost+found")
                let stored = try ["block", "header", "cut"].map {
                    try fixture.sealedPath(of: "folder/\($0)")
                }
                let (hidden, longPath) = (
                    try fixture.sealedPath(of: "hidden"), try fixture.sealedPath(of: long)
                )
                try fixture.unmount()
                try Self.flip(stored[0], at: Self.block(2) + 7)
                try Self.flip(stored[1], at: 40)
                try Disk.truncate(stored[2], to: Self.block(4))
                try Disk.rename(hidden, fixture.vault + "/folder.elsewhere")
                try Disk.unlink(longPath.replacing("/.keyfold.long.", with: "/.keyfold.name."))
                try Disk.write(fixture.vault + "/.keyfold.tmp.0123", "")

                let found = try Self.check(fixture, "--read-data", expecting: 4)
                #expect(
                    Set(found.codes) == [
                        "block-damaged", "header-changed", "final-block-missing",
                        "name-undecodable", "sidecar-missing", "temporary-stale",
                    ])
                #expect(found.findings.count == 6)
                #expect(found.path(of: "block-damaged") == "folder/block")
                #expect(found.path(of: "header-changed") == "folder/header")
                #expect(found.path(of: "final-block-missing") == "folder/cut")
                #expect(found.path(of: "name-undecodable") == nil)
                #expect(found.summary["repairable"].int == 3)
                #expect(found.summary["damage"].int == 3)

                let repaired = try Self.check(fixture, "--repair", "--read-data", expecting: 4)
                #expect(repaired.summary["repaired"].int == 3)
                #expect(repaired.summary["left"].int == 3)
                let rest = try Self.check(fixture, "--read-data", expecting: 4)
                #expect(
                    Set(rest.codes) == ["block-damaged", "header-changed", "final-block-missing"])

                try fixture.mount()
                let lost = try Disk.names(in: fixture.path("lost+found")).map(\.string)
                #expect(lost.count == 2)
                #expect(lost.allSatisfy { $0.hasPrefix("undecodable-") })
                let contents = try lost.map { try Disk.read(fixture.path("lost+found/" + $0)) }
                #expect(Set(contents) == [Self.content, Array("in lost+found".utf8)])
                #expect(try Disk.mode(fixture.path("lost+found")) == 0o700)
                #expect(try Disk.read(fixture.path("folder/kept")) == Self.content)
                for name in ["block", "header", "cut"] {
                    try Disk.unlink(fixture.path("folder/" + name))
                }
                try fixture.unmount()
                _ = try Self.check(fixture, "--read-data", expecting: 0)
            }
        }

        @Test func `all that was found is repaired: exit code 1, then 0`() throws {
            try VaultFixture.withVault { fixture in
                try Disk.makeDirectory(fixture.vault + "/.keyfold.tmp.77")
                let text = try fixture.keyfold(
                    "check", fixture.vault, "--repair", expecting: 1
                ).output
                #expect(text.contains("repaired: in the store: .keyfold.tmp.77: temporary-stale"))
                _ = try Self.check(fixture, "--repair", expecting: 0)
            }
        }

        @Test func `a repair needs the vault unmounted`() throws {
            try VaultFixture.withMount { fixture in
                try Disk.write(fixture.vault + "/.keyfold.tmp.00", "")
                let result = try fixture.keyfold(
                    "check", fixture.vault, "--repair", expecting: 75)
                #expect(result.error.contains("unmount it first"))
                #expect(try Self.check(fixture, expecting: 4).codes == ["temporary-stale"])
                #expect(Disk.exists(fixture.vault + "/.keyfold.tmp.00"))
            }
        }

        @Test func `what was put in from another vault or another file is found`() throws {
            try VaultFixture.withMount { fixture in
                for name in ["a", "b", "c"] { try Disk.write(fixture.path(name), Self.content) }
                try Disk.write(fixture.path("b"), pattern(5 * 4096 + 100, seed: 2))
                let stored = try ["a", "b", "c"].map { try fixture.sealedPath(of: $0) }
                try fixture.unmount()
                let (a, b) = (try Disk.read(stored[0]), try Disk.read(stored[1]))
                try Disk.write(stored[0], Array(a.prefix(512) + b.dropFirst(512)))
                // c becomes a file of another vault with the same keystore.
                let other = fixture.base.path + "/other"
                try fixture.keyfold("init", other)
                try fixture.command(["mount", other, fixture.mountPoint]).run()
                try Disk.write(fixture.path("foreign"), Self.content)
                let place = try Command(
                    "find", other, "-type", "f", "-size", "+4k", "-not", "-path", "*/.keyfold*"
                ).run().lines[0]
                try fixture.keyfold("unmount", fixture.mountPoint)
                try Disk.write(stored[2], try Disk.read(place))
                let found = try Self.check(fixture, "--read-data", expecting: 4)
                #expect(Set(found.codes) == ["block-damaged", "wrapped-key-damaged"])
                #expect(found.path(of: "block-damaged") == "a")
                #expect(found.path(of: "wrapped-key-damaged") == "c")
            }
        }

        @Test func `a key that is switched off is no damage, but nothing is called clean without`()
            throws
        {
            try VaultFixture.withMount { fixture in
                try Disk.write(fixture.path("one"), Self.content)
                try Disk.write(fixture.path("two"), Self.content)
                try fixture.keyfold("key", "create", "--alias", "alias/second")
                try fixture.keyfold("rewrap", fixture.vault, "two", "--to", "alias/second")
                try fixture.unmount()
                let key = try #require(
                    try fixture.json("key", "show", "alias/second")[0]["keyId"].string)
                for command in [["disable"], ["delete", "--days", "7"]] {
                    try fixture.keyfold(["key", command[0], key] + command.dropFirst())
                    let found = try Self.check(fixture, "--read-data", expecting: 0)
                    #expect(found.codes == ["key-unusable"])
                    #expect(found.path(of: "key-unusable") == "two")
                    #expect(found.findings[0]["detail"].string?.contains(key) == true)
                }
                // Without the domain's own key, and with another account's keystore, little is seen.
                try fixture.keyfold("key", "disable", VaultFixture.defaultAlias)
                let closed = try Self.check(fixture, expecting: 2)
                #expect(closed.codes == ["key-unusable"])
                #expect(closed.path(of: "key-unusable") == "")
                #expect(closed.summary["partial"].bool == true)
                try fixture.keyfold("key", "enable", VaultFixture.defaultAlias)
                let other = fixture.base.path + "/other"
                try fixture.keyfold("init", other + "-vault", "--keystore", other)
                let lost = try Self.check(
                    fixture, "--keystore", other, "--passphrase-file", fixture.passphraseFile,
                    expecting: 2)
                #expect(lost.codes == ["key-unusable"])
            }
        }

        @Test func `an unreadable keyfold-json is a finding, and needs no keystore`() throws {
            try VaultFixture.withVault { fixture in
                try Disk.write(fixture.vault + "/keyfold.json", "{}")
                let result = try Command(
                    Program.keyfold, "check", fixture.vault, "--json"
                ).run(expecting: 4)
                #expect(try JSON.lines(result.output)[0]["finding"].string == "config-malformed")
            }
        }

        // MARK: In use and killed

        /// Makes, appends, overwrites, cuts, renames and removes for ever.
        private static let load = """
            use Fcntl qw(SEEK_SET); use IO::Handle; my $w = $ARGV[0]; my $n = 0; mkdir $w;
            my $long = 'L' x 200;
            while (1) {
              my $name = "$w/" . ($n % 7 == 0 ? "$long$n" : "f$n");
              open(my $f, '+>', $name) or exit 1;
              syswrite($f, chr(65 + $n % 26) x (1 + ($n * 7919) % 90000)) or exit 1;
              sysseek($f, ($n * 131) % 50000, SEEK_SET); syswrite($f, 'overwritten' x 300);
              truncate($f, 1 + ($n * 311) % 60000) if $n % 3 == 0;
              truncate($f, 300000) if $n % 11 == 0;
              $f->sync if $n % 4 == 0;
              close($f) or exit 1;
              mkdir "$w/d$n"; rename($name, "$w/d$n/$long") if $n % 5 == 0;
              my $o = $n - 20;
              if ($o >= 0) { unlink "$w/f$o", "$w/$long$o", "$w/d$o/$long"; rmdir "$w/d$o"; }
              $n++; }
            """

        /// Overwrites one file for ever.
        private static let overwriting = """
            use Fcntl qw(SEEK_SET); use IO::Handle; open(my $f, '+>', 'big') or exit 1; my $n = 0;
            while (1) { sysseek($f, 0, SEEK_SET);
              for (1..8) { syswrite($f, chr(65 + $n % 26) x 1048576) or exit 1; }
              $f->sync or exit 1; $n++; }
            """

        @Test(needs("perl"))
        func `a mount that is being written to has no findings`() throws {
            try VaultFixture.withMount { fixture in
                var writers = try (0..<2).map {
                    try Command("perl", "-e", Self.load, "w\($0)").in(fixture.mountPoint).start()
                }
                writers.append(
                    try Command("perl", "-e", Self.overwriting).in(fixture.mountPoint).start())
                let begun = Deadline.wait(seconds: 30) {
                    Disk.exists(fixture.path("w0/d30")) && Disk.exists(fixture.path("w1/d30"))
                }
                #expect(begun)
                try fixture.keyfold("key", "rotate", VaultFixture.defaultAlias)
                for round in 0..<4 {
                    let rewrap = try fixture.command(["rewrap", fixture.vault]).start()
                    let found = try Self.check(fixture, "--read-data", expecting: 0)
                    let faults = found.findings.filter {
                        $0["severity"].string != "information"
                    }
                    #expect(faults.isEmpty, "round \(round): \(faults)")
                    #expect((found.summary["files"].int ?? 0) > 10)
                    _ = rewrap.waitForEnd()
                }
                for writer in writers {
                    #expect(isRunning(writer.pid))
                    writer.signal(Signal.kill)
                    _ = try writer.waitForEnd(seconds: 20)
                }
                try fixture.unmount()
                #expect(try Self.check(fixture, "--read-data", expecting: 0).codes == [])
            }
        }

        @Test func `a killed repair is run again`() throws {
            try VaultFixture.withMount { fixture in
                let count = 120
                for number in 0..<count {
                    try Disk.write(fixture.path("f\(number)"), "content \(number)")
                }
                let stored = try (0..<count).map { try fixture.sealedPath(of: "f\($0)") }
                try fixture.unmount()
                for (number, path) in stored.enumerated() {
                    try Disk.rename(path, fixture.vault + "/moved.\(number)")
                    try Disk.write(fixture.vault + "/.keyfold.tmp.\(number)", "")
                }
                func unrepaired() throws -> Int {
                    try Disk.names(in: fixture.vault).filter {
                        $0.string.hasPrefix("moved.") || $0.string.hasPrefix(".keyfold.tmp.")
                    }.count
                }
                // Each time a little further than before.
                for threshold in [230, 190, 110, 60, 5] {
                    let repair = try fixture.command(
                        ["check", fixture.vault, "--repair", "--json"]
                    ).start()
                    let isFar = Deadline.wait(seconds: 30) {
                        ((try? unrepaired()) ?? 0) <= threshold || !isRunning(repair.pid)
                    }
                    #expect(isFar)
                    repair.signal(Signal.kill)
                    _ = try repair.waitForEnd(seconds: 20)
                }
                let last = try Self.check(
                    fixture, "--repair", expecting: try unrepaired() > 0 ? 1 : 0)
                #expect(last.summary["left"].int == 0)
                #expect(try Self.check(fixture, "--read-data", expecting: 0).codes == [])
                try fixture.mount()
                let lost = try Disk.names(in: fixture.path("lost+found"))
                let contents = try lost.map {
                    try Disk.readText(fixture.path("lost+found/" + $0.string))
                }
                #expect(Set(contents) == Set((0..<count).map { "content \($0)" }))
                #expect(contents.count == count)
            }
        }

        @Test(needs("prlimit", "perl"))
        func `a wide tree and a deep one are checked within few descriptors`() throws {
            try VaultFixture.withMount { fixture in
                let make = """
                    for my $n (1..700) { mkdir "d$n"; open(my $f, '>', "d$n/f"); print $f $n; }
                    for my $n (1..150) { mkdir "deep"; chdir "deep"; open(my $f, '>', 'f'); print $f 1; }
                    """
                try Command("perl", "-e", make).in(fixture.mountPoint).run()
                try fixture.unmount()
                let words = ["prlimit", "--nofile=400", Program.keyfold, "check", fixture.vault]
                let result = try Command(words + ["--json", "--read-data"])
                    .with(fixture.environment).run()
                let lines = try JSON.lines(result.output)
                #expect(lines.count == 1)
                #expect(lines[0]["files"].int == 850)
                #expect(lines[0]["directories"].int == 851)
            }
        }

        @Test func `after a killed daemon the journal is told, and the next mount clears it`()
            throws
        {
            try VaultFixture.withMount { fixture in
                try Disk.write(fixture.path("file"), Self.content)
                try Disk.open(fixture.path("file")).synchronize(dataOnly: false)
                #expect(try Self.check(fixture, expecting: 0).codes == [])
                try fixture.killDaemon()
                try fixture.clearDeadMount()
                let found = try Self.check(fixture, "--read-data", expecting: 0)
                #expect(found.codes == ["journal-left"])
                try fixture.mount()
                #expect(try Self.check(fixture, "--read-data", expecting: 0).codes == [])
            }
        }

        // MARK: The keystore

        private static func checkKeystore(
            _ fixture: VaultFixture, expecting status: Int32
        ) throws -> Checked {
            let lines = try JSON.lines(
                try fixture.keyfold(["check", "--keystore", "--json"], expecting: status).output)
            return Checked(findings: lines.dropLast(), summary: try #require(lines.last))
        }

        @Test func `a keystore and its log are checked, and what is wrong is told`() throws {
            try VaultFixture.withMount(.locked) { fixture in
                try Disk.write(fixture.path("file"), "x")
                try fixture.unmount()
                let clean = try Self.checkKeystore(fixture, expecting: 0)
                #expect(clean.codes == [])
                #expect(clean.summary["keys"].int == 2)
                #expect(clean.summary["slots"].int == 2)
                #expect((clean.summary["events"].int ?? 0) > 1)
                // By its directory, and as the vault's.
                try fixture.keyfold("check", "--keystore", fixture.keystore)
                try fixture.keyfold("check", fixture.vault, "--keystore")
                try Disk.write(fixture.passphraseFile, "wrong\n")
                try fixture.keyfold("check", "--keystore", expecting: 77)
                try Disk.write(fixture.passphraseFile, VaultFixture.passphrase + "\n")

                let log = fixture.keystore + "/log"
                let segment = try #require(
                    try Disk.names(in: log).map(\.string).max {
                        try Disk.size(log + "/" + $0) < Disk.size(log + "/" + $1)
                    })
                let size = try Disk.size(log + "/" + segment)
                try Self.flip(log + "/" + segment, at: size / 2)
                let changed = try Self.checkKeystore(fixture, expecting: 4)
                #expect(changed.codes == ["log-damaged"])
                #expect(changed.findings[0]["storedPath"].string == "log/" + segment)
                try Self.flip(log + "/" + segment, at: size / 2)
                _ = try Self.checkKeystore(fixture, expecting: 0)
            }
        }

        @Test(needs("sqlite3"))
        func `a removed record, and anchors that were removed or edited, are found`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                let database = fixture.keystore + "/keystore.db"
                let copy = fixture.base.path + "/keystore.copy"
                func put(
                    _ statement: String, expecting code: String, ofUsage usage: Int? = nil
                ) throws {
                    try Command("cp", "-a", fixture.keystore, copy).run()
                    try Command("sqlite3", database, statement).run()
                    let found = try Self.checkKeystore(fixture, expecting: 4)
                    #expect(found.codes == [code])
                    if let usage {
                        let told = try fixture.command(["usage"]).result()
                        #expect(Int(told.status) == usage, "\(told)")
                    }
                    try Command("rm", "-rf", fixture.keystore).run()
                    try Command("mv", copy, fixture.keystore).run()
                }
                try put("DELETE FROM records WHERE kind = 3;", expecting: "keystore-damaged")
                try put("DELETE FROM segments;", expecting: "log-anchors-damaged")
                try put(
                    "UPDATE tallies SET box = zeroblob(length(box));",
                    expecting: "log-anchors-damaged", ofUsage: 65)
                try put(
                    "UPDATE checkpoints SET box = zeroblob(length(box)) "
                        + "WHERE number = (SELECT max(number) FROM checkpoints);",
                    expecting: "log-anchors-damaged")
                _ = try Self.checkKeystore(fixture, expecting: 0)
            }
        }
    }
}
