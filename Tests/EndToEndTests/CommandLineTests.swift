import Platform
import TestSupport
import Testing

extension EndToEnd.Commands {
    /// What scripts rely on (docs/cli.md): words, JSON members, exit statuses.
    @Suite
    struct CommandLineTests {
        @Test func `init makes a keystore, a key, a vault, and prints the recovery key once`()
            throws
        {
            let base = try TemporaryDirectory(label: VaultFixture.label)
            defer { base.cleanUp() }
            let (keystore, vault) = (base.path + "/keystore", base.path + "/vault")
            try Disk.write(base.path + "/passphrase", "a passphrase\n")
            let environment = [
                "KEYFOLD_KEYSTORE": keystore,
                "KEYFOLD_PASSPHRASE_FILE": base.path + "/passphrase",
            ]
            func keyfold(_ words: String...) -> Command {
                Command([Program.keyfold] + words).with(environment)
            }
            let first = try JSON.lines(try keyfold("init", vault, "--json").run().output)
            #expect(first.count == 2)
            #expect(first[0]["created"].string == "keystore")
            let recoveryKey = try #require(first[0]["recoveryKey"].string)
            #expect(recoveryKey.count > 40)
            #expect(first[1]["created"].string == "vault")
            #expect(first[1]["vault"].string == vault)
            #expect(first[1]["format"].int == 1)
            let arn = try #require(first[1]["keyArn"].string)
            #expect(arn.hasPrefix("arn:aws:kms:us-east-1:"))

            let second = try keyfold("init", vault + "2", "--json").run()
            let lines = try JSON.lines(second.output)
            #expect(lines.count == 1)
            #expect(lines[0]["keyArn"].string == arn)
            #expect(!second.output.contains(recoveryKey))
            #expect(try Disk.mode(keystore) == 0o700)
            #expect(try Disk.mode(vault) == 0o700)

            let human = try keyfold("init", vault + "3", "--keystore", keystore + "2").run()
            #expect(human.output.contains("recovery key"))
            #expect(human.output.contains("keystore backup FILE --keystore \(keystore)2 "))
            let portable = try keyfold("init", vault + "4", "--portable").run()
            #expect(
                portable.output.contains(
                    "keystore backup FILE --keystore \(vault)4/.keyfold.keystore "))
            let usual = try keyfold("init", vault + "5").run()
            #expect(usual.output.contains("keystore backup FILE "))
            #expect(!usual.output.contains("--keystore"))
            let again = try keyfold("init", vault, "--json").run(expecting: 73)
            #expect(again.output == "")
            #expect(again.error.contains(vault))
        }

        @Test func `what a killed init left is no obstacle to the next, and nothing else goes`()
            throws
        {
            try VaultFixture.withVault { fixture in
                let names = { try Disk.names(in: fixture.vault).map(\.string).sorted() }
                let made = try names()
                try Disk.unlink(fixture.vault + "/keyfold.json")
                try Disk.write(fixture.vault + "/.keyfold.tmp.00112233", "half")
                let keystore = fixture.vault + "/.keyfold.keystore.new-001122334455"
                try Disk.makeDirectory(keystore)
                try Disk.makeDirectory(keystore + "/log")
                try Disk.write(keystore + "/keystore.db", "half")
                try Disk.write(fixture.vault + "/letter", "x")
                let before = try names()
                try fixture.keyfold("init", fixture.vault, expecting: 73)
                #expect(try names() == before)
                try Disk.unlink(fixture.vault + "/letter")
                try fixture.keyfold("init", fixture.vault)
                #expect(try names() == made)
                try fixture.keyfold("check", fixture.vault)
            }
        }

        @Test func `key list, show, create, tag and alias speak JSON`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                let keys = try fixture.json("key", "list")
                let own = try #require(
                    keys.first {
                        $0["aliases"].list.contains { $0.string == VaultFixture.defaultAlias }
                    })
                #expect(own["state"].string == "Enabled")
                #expect(
                    own["arn"].string?.hasSuffix(":key/" + (own["keyId"].string ?? "?")) == true)
                #expect(
                    keys.contains {
                        $0["aliases"].list.contains { $0.string == "alias/aws/keyfold" }
                    })
                let made = try fixture.json(
                    "key", "create", "--description", "photos", "--alias", "alias/photos", "--tag",
                    "a=b")[0]
                let id = try #require(made["keyId"].string)
                let shown = try fixture.json("key", "show", "alias/photos")[0]
                #expect(shown["keyId"].string == id)
                #expect(shown["description"].string == "photos")
                #expect(shown["tags"][0]["key"].string == "a")
                try fixture.keyfold("key", "tag", id, "c=d")
                try fixture.keyfold("key", "untag", id, "a")
                #expect(try fixture.json("key", "show", id)[0]["tags"][0]["value"].string == "d")
                try fixture.keyfold("alias", "update", "alias/photos", VaultFixture.defaultAlias)
                #expect(
                    try fixture.json("key", "show", "alias/photos")[0]["keyId"].string
                        == own["keyId"].string)
                try fixture.keyfold("alias", "create", "alias/other", id)
                let names = try fixture.json("alias", "list").compactMap { $0["aliasName"].string }
                #expect(Set(names).isSuperset(of: ["alias/photos", "alias/other"]))
                try fixture.keyfold("alias", "delete", "alias/other")
                try fixture.keyfold("key", "show", "alias/other", expecting: 66)
            }
        }

        @Test func `a key that does not get all its names is told, and is there`() throws {
            try VaultFixture.withVault { fixture in
                let words = [
                    "key", "create", "--json", "--alias", VaultFixture.defaultAlias, "--alias",
                    "alias/free", "--alias", "no alias",
                ]
                let end = try fixture.keyfold(words, expecting: 2)
                let made = try JSON(end.output)
                #expect(made["aliases"].list.compactMap(\.string) == ["alias/free"])
                #expect(end.error.contains("keyfold: \(VaultFixture.defaultAlias): "))
                #expect(end.error.contains("keyfold: no alias: "))
                #expect(!end.error.contains("alias/free"))
                let shown = try fixture.json("key", "show", "alias/free")[0]
                #expect(shown["keyId"].string == made["keyId"].string)
            }
        }

        @Test func `rotations are listed with their versions`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                for _ in 0..<3 { try fixture.keyfold("key", "rotate", VaultFixture.defaultAlias) }
                let rotations = try fixture.json(
                    "key", "rotation", "list", VaultFixture.defaultAlias)
                #expect(rotations.compactMap { $0["version"].int } == [1, 2, 3, 4])
                #expect(rotations.last?["current"].bool == true)
                #expect(rotations.last?["rotationType"].string == "ON_DEMAND")
                try fixture.keyfold(
                    "key", "rotation", "enable", VaultFixture.defaultAlias, "--days", "90")
                let status = try fixture.json(
                    "key", "rotation", "status", VaultFixture.defaultAlias)[0]
                #expect(status["enabled"].bool == true)
                #expect(status["periodDays"].int == 90)
                try fixture.keyfold("key", "rotation", "disable", VaultFixture.defaultAlias)
            }
        }

        @Test func `status tells what a mount does`() throws {
            try VaultFixture.withMount(.locked) { fixture in
                try Disk.write(fixture.path("file"), "x")
                let file = try Disk.open(fixture.path("file"))
                for place in [fixture.vault, fixture.mountPoint] {
                    let status = try fixture.json("status", place)[0]
                    #expect(status["mounted"].bool == true)
                    #expect(status["mountPoint"].string == fixture.mountPoint)
                    #expect(status["vault"].string == fixture.vault)
                    #expect(status["format"].int == 1)
                    #expect(status["openFiles"].int == 1)
                    #expect((status["filesOpened"].int ?? 0) >= 2)
                    #expect(status["undecodableNames"].int == 0)
                    #expect(status["keyArn"].string?.hasPrefix("arn:aws:kms:") == true)
                    #expect(status["pid"].int == Int(try fixture.daemonPID()))
                }
                _ = consume file
                try fixture.unmount()
                let status = try fixture.json("status", fixture.vault)[0]
                #expect(status["mounted"].bool == false)
                #expect(status["inUse"].bool == false)
            }
        }

        @Test func `the status attribute is on the mount's root only, and never listed`() throws {
            try VaultFixture.withMount(.locked) { fixture in
                let root = try Disk.node(fixture.mountPoint)
                #expect(
                    try root.extendedAttribute("user.keyfold.status").first == UInt8(ascii: "{"))
                #expect(try root.extendedAttributeNames() == [])
                try Disk.makeDirectory(fixture.path("d"))
                #expect(throws: Errno.noAttribute) {
                    try Disk.node(fixture.path("d")).extendedAttribute("user.keyfold.status")
                }
            }
        }

        @Test func `the daemon shows in ps as keyfoldfs with vault and mount point`() throws {
            try VaultFixture.withMount(.locked) { fixture in
                let pid = try fixture.daemonPID()
                let line = try Command("ps", "-o", "args=", "-p", "\(pid)").run().output
                #expect(line.contains("keyfoldfs"))
                #expect(line.hasSuffix("\(fixture.vault) \(fixture.mountPoint)\n"), "\(line)")
                #expect(try Disk.readText("/proc/\(pid)/comm") == "keyfoldfs\n")
                let mounts = try Disk.readText("/proc/self/mounts")
                let entry = mounts.split(separator: "\n").first {
                    $0.contains(" \(fixture.mountPoint) ")
                }
                #expect(entry?.contains(" fuse.keyfoldfs ") == true, "\(entry ?? "")")
            }
        }

        @Test func `mount returns to a pipe, and keeps nothing of its caller`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                let script = "\"$1\" mount \"$2\" \"$3\" 2>&1 | cat; echo ended"
                let result = try Command.shell(
                    script, Program.keyfold, fixture.vault, fixture.mountPoint
                ).with(fixture.environment).in(fixture.base.path).limited(toSeconds: 30).run()
                #expect(result.output.hasSuffix("ended\n"))
                let pid = try fixture.daemonPID()
                #expect(try Disk.readLink("/proc/\(pid)/cwd") == "/")
                let session = try Command("ps", "-o", "sess=,tty=", "-p", "\(pid)").run().output
                    .split(separator: " ")
                #expect(session.last?.hasPrefix("?") == true)
                try fixture.unmount()
            }
        }

        @Test func `keyfoldfs in the foreground ends with its mount`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                let daemon = try Command(
                    Program.keyfoldfs, "-f", fixture.vault, fixture.mountPoint
                ).with(fixture.environment).start()
                #expect(Deadline.wait(seconds: 30) { fixture.isMounted })
                try Disk.write(fixture.path("file"), "x")
                try fixture.unmount()
                #expect(try daemon.waitForEnd(seconds: 30) == 0)
            }
        }

        @Test func `secrets are neither on command lines nor in core dumps' reach`() throws {
            try VaultFixture.withMount(.locked) { fixture in
                let pid = try fixture.daemonPID()
                for file in ["cmdline", "environ"] {
                    let bytes = (try? Disk.read("/proc/\(pid)/\(file)")) ?? []
                    let text = String(decoding: bytes, as: UTF8.self)
                    #expect(!text.contains(VaultFixture.passphrase))
                }
                let limits = try Disk.readText("/proc/\(pid)/limits")
                #expect(limits.contains(#/Max core file size +0 +0/#))
            }
        }

        @Test func `slots: each way in opens, a removed one does not, the last one stays`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                let newPassphrase = fixture.base.path + "/new"
                let recovery = fixture.base.path + "/recovery"
                let keyFile = fixture.base.path + "/keyfile"
                try Disk.write(newPassphrase, "second passphrase\n")
                try Disk.write(recovery, fixture.recoveryKey + "\n")
                #expect(!fixture.recoveryKey.isEmpty)
                try fixture.keyfold(
                    "slot", "add", "passphrase", "--new-passphrase-file", newPassphrase)
                try fixture.keyfold("slot", "add", "key-file", keyFile, "--label", "stick")
                let slots = try fixture.json("slot", "list")
                #expect(slots.count == 4)
                #expect(slots.contains { $0["label"].string == "stick" })

                func list(_ words: String...) throws -> Int32 {
                    try Command([Program.keyfold, "key", "list"] + words)
                        .with(["KEYFOLD_KEYSTORE": fixture.keystore]).result().status
                }
                #expect(try list("--passphrase-file", newPassphrase) == 0)
                #expect(try list("--key-file", keyFile) == 0)
                #expect(try list("--recovery-key-file", recovery) == 0)
                #expect(try list() == 77)

                let first = try #require(slots.first { $0["kind"].string == "passphrase" })
                try fixture.keyfold("slot", "remove", first["slotId"].string ?? "")
                #expect(try list("--passphrase-file", fixture.passphraseFile) == 77)
                #expect(try list("--passphrase-file", newPassphrase) == 0)
                let rest = try Command(
                    Program.keyfold, "slot", "list", "--json", "--key-file", keyFile
                ).with(["KEYFOLD_KEYSTORE": fixture.keystore]).run()
                var ids = try JSON.lines(rest.output).compactMap { slot in
                    slot["label"].string == "stick" ? nil : slot["slotId"].string
                }
                ids.append(
                    try JSON.lines(rest.output).first { $0["label"].string == "stick" }?["slotId"]
                        .string ?? "")
                for (number, id) in ids.enumerated() {
                    try Command(
                        Program.keyfold, "slot", "remove", id, "--key-file", keyFile
                    ).with(["KEYFOLD_KEYSTORE": fixture.keystore])
                        .run(expecting: number == ids.count - 1 ? 78 : 0)
                }
                #expect(try list("--key-file", keyFile) == 0)
            }
        }

        @Test func `a key file that the environment names opens where no option names another way`()
            throws
        {
            try VaultFixture.withVault { fixture in
                let variable = "KEYFOLD_KEY_FILE"
                let good = try #require(fixture.environment[variable])
                let missing = fixture.base.path + "/nowhere"
                func list(_ keyFile: String, _ words: String...) throws -> CommandResult {
                    try Command([Program.keyfold, "key", "list"] + words)
                        .with(["KEYFOLD_KEYSTORE": fixture.keystore, variable: keyFile]).result()
                }
                #expect(try list(good).status == 0)
                let refused = try list(missing)
                #expect(refused.status == 66)
                #expect(refused.error.contains(missing))
                #expect(try list(missing, "--key-file", good).status == 0)
                #expect(try list(missing, "--passphrase-file", fixture.passphraseFile).status == 0)
            }
        }

        @Test func `the recovery key opens the vault when the passphrase is lost`() throws {
            try VaultFixture.withMount(.locked) { fixture in
                try Disk.write(fixture.path("file"), "content")
                try fixture.unmount()
                let recovery = fixture.base.path + "/recovery"
                // Typed by a person: small letters, blanks for dashes.
                let typed = fixture.recoveryKey.lowercased().replacing("-", with: " ")
                try Disk.write(recovery, typed + "\n")
                try Disk.unlink(fixture.passphraseFile)
                let environment = ["KEYFOLD_KEYSTORE": fixture.keystore]
                try Command(
                    Program.keyfold, "mount", fixture.vault, fixture.mountPoint,
                    "--recovery-key-file", recovery
                ).with(environment).run()
                #expect(try Disk.readText(fixture.path("file")) == "content")
                try Command(Program.keyfold, "unmount", fixture.mountPoint).run()
                let slip = typed.hasSuffix("x") ? "y" : "x"
                try Disk.write(recovery, "\(typed.dropLast())\(slip)\n")
                try Command(
                    Program.keyfold, "key", "list", "--recovery-key-file", recovery
                ).with(environment).run(expecting: 64)
            }
        }

        /// Some supervisors leave SIGCHLD ignored in what they start.
        @Test func `a vault is mounted and unmounted where the ends of children are ignored`()
            throws
        {
            try VaultFixture.withVault { fixture in
                let unmount = fixture.command(["unmount", fixture.mountPoint])
                for command in [fixture.mountCommand(), unmount] {
                    var ignoring = command
                    ignoring.words = ["env", "--ignore-signal=CHLD"] + command.words
                    try ignoring.limited(toSeconds: 60).run()
                }
            }
        }

        /// scrypt takes 128 MiB, more than anything else here does at once: some limit leaves room
        /// for all but that.
        @Test(needs("prlimit"))
        func `too little memory is no wrong passphrase`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                var isTold = false
                for limit in stride(from: 64, through: 4096, by: 32) {
                    let result = try Command(
                        "prlimit", "--as=\(limit << 20)", Program.keyfold, "key", "list"
                    ).with(fixture.environment).result()
                    if result.succeeded { break }
                    #expect(!result.error.contains("wrong passphrase"), "\(limit) MiB")
                    isTold =
                        isTold
                        || result.error.contains("keystore: Cannot allocate memory")
                }
                #expect(isTold)
            }
        }

        /// Each process leaves a segment of the log.
        @Test func `a log of more files than a process may open can be backed up`() throws {
            try VaultFixture.withVault { fixture in
                let limit = 40
                for _ in 0..<limit { try fixture.keyfold("key", "list") }
                #expect(try Disk.names(in: fixture.keystore + "/log").count >= limit)
                let backup = fixture.base.path + "/backup"
                try Command(
                    "prlimit", "--nofile=\(limit)", Program.keyfold, "keystore", "backup", backup
                ).with(fixture.environment).run()
                try Command("rm", "-r", fixture.keystore).run()
                try fixture.keyfold("keystore", "restore", backup)
                try fixture.keyfold("log", "verify")
            }
        }

        @Test func `a backup of the keystore is restored and opens the vault`() throws {
            try VaultFixture.withMount(.locked) { fixture in
                try Disk.write(fixture.path("file"), "content")
                let backup = fixture.base.path + "/backup"
                try fixture.keyfold("keystore", "backup", backup)
                #expect(try !fixture.command(["keystore", "backup", backup]).result().succeeded)
                #expect(try Disk.mode(backup) == 0o600)
                try fixture.unmount()
                try fixture.command(["keystore", "restore", backup]).run(expecting: 73)
                try Command("rm", "-r", fixture.keystore).run()
                try fixture.keyfold("keystore", "restore", backup)
                try fixture.mount()
                #expect(try Disk.readText(fixture.path("file")) == "content")
                try fixture.keyfold("log", "verify")
                try fixture.keyfold("keystore", "verify")
                var bytes = try Disk.read(backup)
                bytes[bytes.count / 2] ^= 1
                try Disk.write(backup, bytes)
                let other = fixture.base.path + "/other"
                let damaged = try fixture.command(
                    ["keystore", "restore", backup, "--keystore", other]
                ).result()
                // A backup is sealed: damage shows at the restore or at the first opening.
                let opens = try fixture.command(["key", "list", "--keystore", other]).result()
                #expect(!damaged.succeeded || !opens.succeeded)
            }
        }

        @Test func `unlock holds the keystore open in the keyring until lock`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                let bare = ["KEYFOLD_KEYSTORE": fixture.keystore]
                let list = Command(Program.keyfold, "key", "list").with(bare)
                try list.run(expecting: 77)
                let unlock = try fixture.command(["unlock", "--for", "5m"]).result()
                guard unlock.succeeded else {
                    // Some containers forbid keyrings.
                    print("skipped: no kernel keyring here: \(unlock.error)")
                    return
                }
                try list.run()
                try Command(Program.keyfold, "mount", fixture.vault, fixture.mountPoint)
                    .with(bare).run()
                try fixture.keyfold("lock")
                try list.run(expecting: 77)
                // Mounts go on.
                try Disk.write(fixture.path("file"), "x")
                try fixture.unmount()
            }
        }

        @Test(
            arguments: [
                ([], 0), (["--help"], 0), (["nonsense"], 64), (["key"], 0), (["mount"], 64),
                (["mount", "--help"], 0), (["key", "show"], 64), (["--version"], 0),
                (["rewrap", "x", "--jobs", "0"], 64), (["log", "--since", "yesterdayish"], 64),
            ] as [([String], Int32)])
        func `usage errors end with 64 and help with 0`(_ words: [String], _ status: Int32) throws {
            let result = try Command([Program.keyfold] + words).result()
            #expect(result.status == status, "\(result)")
        }

        @Test(arguments: ["bash", "zsh", "fish"])
        func `completion scripts are printed`(_ shell: String) throws {
            let script = try Command(
                Program.keyfold, "--generate-completion-script", shell
            ).run().output
            #expect(script.contains("keyfold"))
            #expect(script.contains("rewrap"))
        }

        @Test func `a portable vault carries its keystore with it`() throws {
            let base = try TemporaryDirectory(label: VaultFixture.label)
            defer { base.cleanUp() }
            try Disk.write(base.path + "/passphrase", "a passphrase\n")
            let environment = ["KEYFOLD_PASSPHRASE_FILE": base.path + "/passphrase"]
            let mountPoint = base.path + "/mount"
            try Disk.makeDirectory(mountPoint)
            func keyfold(_ words: String...) throws {
                try Command([Program.keyfold] + words).with(environment).run()
            }
            try keyfold("init", base.path + "/vault", "--portable")
            try keyfold("mount", base.path + "/vault", mountPoint)
            try Disk.write(mountPoint + "/file", "content")
            #expect(try Disk.names(in: mountPoint).map(\.string) == ["file"])
            try keyfold("unmount", mountPoint)
            try Command("cp", "-a", base.path + "/vault", base.path + "/copy").run()
            try Command("rm", "-r", base.path + "/vault").run()
            try keyfold("mount", base.path + "/copy", mountPoint)
            #expect(try Disk.readText(mountPoint + "/file") == "content")
            try keyfold("unmount", mountPoint)
        }
    }
}
