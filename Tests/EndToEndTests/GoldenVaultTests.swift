import Platform
import TestSupport
import Testing

extension EndToEnd.Files {
    /// Vaults that were made by earlier versions of Keyfold open for ever.
    @Suite
    struct GoldenVaultTests {
        private static let vaults = String(#filePath)
            .replacing("/EndToEndTests/GoldenVaultTests.swift", with: "/GoldenVaults")

        private static let longName = String(repeating: "n", count: 255)
        private static let files: [String: String] = [
            "hello.txt": "hello, golden vault\n",
            "empty": "",
            "numbers": (1...2000).map { "\($0)\n" }.joined(),
            "folder/below/inner": "inner\n",
            "link": "inner\n",
            longName: "long name\n",
            "sparse": String(repeating: "\0", count: 9000) + "tail",
            "newer": "under version 2\n",
        ]

        /// What `v1-domains` has in its domains.
        private static let domainFiles: [String: String] = [
            "hello.txt": "hello, golden vault\n",
            "accounts/numbers": (1...2000).map { "\($0)\n" }.joined(),
            "accounts/empty": "",
            "accounts/folder/below/inner": "inner\n",
            "accounts/link": "inner\n",
            "accounts/newer": "under version 2\n",
            "accounts/deep/file": "deepest\n",
            longName + "/file": "long name\n",
        ]

        /// Runs `body` with a mounted copy: what the repository holds is never touched.
        private static func withCopy(
            of golden: String, _ options: [String], secret: String,
            _ body: (_ base: String, _ mount: String) throws -> Void
        ) throws {
            let base = try TemporaryDirectory(label: VaultFixture.label)
            defer { base.cleanUp() }
            try fill(base, with: golden, secret: secret)
            let (vault, mount) = (base.path + "/vault", base.path + "/mount")
            let unlock = [options[0], base.path + "/secret"]
            try Command([Program.keyfold, "mount", vault, mount] + unlock).run()
            try body(vault, mount)
            try Command(Program.keyfold, "unmount", mount).run()
            let check = [
                Program.keyfold, "check", vault, "--read-data", "--keystore",
                vault + "/.keyfold.keystore",
            ]
            let checked = try Command(check + unlock).run()
            #expect(checked.output.contains("nothing wrong"))
            let verify = [
                Program.keyfold, "log", "verify", "--keystore", vault + "/.keyfold.keystore",
            ]
            try Command(verify + unlock).run()
        }

        /// Makes `vault`, an empty `mount`, and `secret`.
        private static func fill(
            _ base: TemporaryDirectory, with golden: String, secret: String
        ) throws {
            try Command("cp", "-r", "\(vaults)/\(golden)/vault", base.path + "/vault").run()
            // Repositories keep no modes.
            try Command("chmod", "-R", "go=", base.path + "/vault").run()
            try Disk.makeDirectory(base.path + "/mount")
            try Disk.write(base.path + "/secret", secret + "\n")
            try Disk.changeMode(base.path + "/secret", to: 0o600)
        }

        private static func readme(of golden: String, _ name: String) throws -> String {
            let lines = try Disk.readText("\(vaults)/\(golden)/README.md").split(separator: "\n")
            let line = try #require(lines.first { $0.hasPrefix("- \(name): `") })
            return String(line.dropFirst("- \(name): `".count).dropLast())
        }

        @Test(arguments: ["passphrase", "recovery key"])
        func `a vault with domains opens with everything in them`(_ secret: String) throws {
            let option = secret == "passphrase" ? "--passphrase-file" : "--recovery-key-file"
            let text = try Self.readme(of: "v1-domains", secret)
            try Self.withCopy(of: "v1-domains", [option], secret: text) { vault, mount in
                for (name, content) in Self.domainFiles {
                    #expect(try Disk.readText(mount + "/" + name) == content, "\(name)")
                }
                let names = Set(try Disk.names(in: mount + "/accounts").map(\.string))
                #expect(names == ["numbers", "empty", "folder", "link", "newer", "deep"])
                for name in ["accounts/added", "accounts/deep/added", Self.longName + "/added"] {
                    try Disk.write(mount + "/" + name, "still a vault")
                    #expect(try Disk.readText(mount + "/" + name) == "still a vault")
                }
            }
        }

        /// `v1-counted` has headers of version 2.
        @Test(arguments: ["v1", "v1-counted"], ["passphrase", "recovery key"])
        func `a vault of format 1 opens with everything in it`(
            _ golden: String, _ secret: String
        ) throws {
            let option = secret == "passphrase" ? "--passphrase-file" : "--recovery-key-file"
            let text = try Self.readme(of: golden, secret)
            try Self.withCopy(of: golden, [option], secret: text) { vault, mount in
                for (name, content) in Self.files {
                    #expect(try Disk.readText(mount + "/" + name) == content, "\(name)")
                }
                #expect(try Disk.readLink(mount + "/link") == "folder/below/inner")
                let names = Set(try Disk.names(in: mount).map(\.string))
                let expected = Set(Self.files.keys).subtracting(["folder/below/inner"])
                #expect(names == expected.union(["folder"]))
                try Disk.write(mount + "/added", "still a vault")
                #expect(try Disk.readText(mount + "/added") == "still a vault")
            }
        }

        /// `v1-crashed` has a journal of version 1, and nothing else has what stands in it.
        @Test func `what a journal of version 1 holds is put back`() throws {
            let text = try Self.readme(of: "v1-crashed", "passphrase")
            try Self.withCopy(
                of: "v1-crashed", ["--passphrase-file"], secret: text
            ) { _, mount in
                let lines = (1...2000).map { "\($0)\n" }.joined()
                var numbers = Array((lines + "appended and synced\n").utf8)
                let line = Array("overwritten and synced\n".utf8)
                numbers.replaceSubrange(4090..<4090 + line.count, with: line)
                var holes = [UInt8](repeating: UInt8(ascii: "x"), count: 40_960)
                for offset in 4096..<12_288 { holes[offset] = 0 }
                #expect(try Disk.read(mount + "/numbers") == numbers)
                let changed = try Disk.status(mount + "/numbers").modificationTime
                #expect(changed.seconds == 1_000_000_000)
                #expect(try Disk.readText(mount + "/cut") == String(lines.prefix(5000)))
                #expect(try Disk.read(mount + "/holes") == holes)
                #expect(try Disk.readText(mount + "/folder/inner") == "inner\n")
                #expect(try Disk.readText(mount + "/hello.txt") == Self.files["hello.txt"])
                try Disk.write(mount + "/folder/added", "still a vault")
                #expect(try Disk.readText(mount + "/folder/added") == "still a vault")
            }
        }

        /// In the frame before the last ones, and as a journal of version 2 or of one to come.
        @Test(arguments: [(12_900, nil), (9, 2), (9, 3)] as [(UInt64, UInt8?)])
        func `a journal of version 1 that was changed is refused, and kept`(
            _ offset: UInt64, _ byte: UInt8?
        ) throws {
            try Self.withChangedJournal(at: offset, to: byte) { journal, mount, result in
                #expect(result.status == 65, "\(result)")
                #expect(result.error.contains(".keyfold.journal/"), "\(result)")
                let (kept, shown) = (try Disk.status(journal), try Disk.names(in: mount))
                #expect(kept.sizeBytes == 16_896)
                #expect(shown.isEmpty)
            }
        }

        @Test func `a torn last frame of version 1 ends the journal`() throws {
            try Self.withChangedJournal(at: 16_500, to: nil) { _, mount, result in
                #expect(result.succeeded, "\(result)")
                #expect(try Disk.readText(mount + "/numbers").hasSuffix("appended and synced\n"))
                try Command(Program.keyfold, "unmount", mount).run()
            }
        }

        /// Runs `body` with a copy of `v1-crashed` that was to be mounted after a byte of its
        /// journal was set, or flipped.
        private static func withChangedJournal(
            at offset: UInt64, to value: UInt8?,
            _ body: (_ journal: String, _ mount: String, CommandResult) throws -> Void
        ) throws {
            let secret = try readme(of: "v1-crashed", "passphrase")
            let base = try TemporaryDirectory(label: VaultFixture.label)
            defer { base.cleanUp() }
            try fill(base, with: "v1-crashed", secret: secret)
            let (vault, mount) = (base.path + "/vault", base.path + "/mount")
            let directory = vault + "/.keyfold.journal"
            let name = try #require(try Disk.names(in: directory).first).string
            let file = try Disk.open(directory + "/" + name, OpenFlag.readWrite)
            let old = try file.read(count: 1, at: offset)[0]
            try file.write([value ?? old ^ 1], at: offset)
            let result = try Command(
                Program.keyfold, "mount", vault, mount, "--passphrase-file", base.path + "/secret"
            ).result()
            try body(directory + "/" + name, mount, result)
        }
    }
}
