import Platform
import TestSupport
import Testing

extension EndToEnd.Commands {
    /// Vaults whose keys are with `keyfold serve`: two hosts, each with an access key of its own.
    @Suite(needs(Program.directory + "/keyfold-serve"))
    struct NetworkMountTests {
        /// A server, a vault, and the hosts that share it.
        private struct Company {
            let server: ServedKeystore
            let port: UInt16
            let vault: String
            let hosts: [NetworkHost]
            let keys: [(id: String, secret: String)]

            var url: String { "http://127.0.0.1:\(port)/" }

            init(hostCount: Int = 2) throws {
                let server = try ServedKeystore(label: VaultFixture.label)
                let directory = server.directory.path
                let vault = directory + "/vault"
                let keys = try (0..<hostCount).map { number in
                    try server.principal("host\(number)", "--administrator")
                }
                (self.server, self.vault, self.keys) = (server, vault, keys)
                port = try server.serve()
                hosts = try keys.enumerated().map { number, key in
                    try NetworkHost("h\(number)", in: directory, vault: vault, key: key)
                }
                try hosts[0].keyfold("init", vault, "--kms", url).run()
            }

            func cleanUp() {
                for host in hosts { try? host.unmount() }
                server.cleanUp()
            }

            /// What the server's log has of one host.
            func operations(of host: Int) throws -> [String] {
                let output = try server.keyfold("log", "--json").run().output
                return try JSON.lines(output).filter {
                    $0["userIdentity"]["userName"].string == "host\(host)"
                }.compactMap { $0["eventName"].string }
            }
        }

        private static func with(
            hosts: Int = 2, _ body: (Company) throws -> Void
        ) throws {
            let company = try Company(hostCount: hosts)
            defer { company.cleanUp() }
            try body(company)
        }

        @Test
        func `two hosts mount one shared vault, and each is known to the server by name`() throws {
            try Self.with { company in
                let (a, b) = (company.hosts[0], company.hosts[1])
                try a.mount("shared")
                try b.mount("shared", "kms=\(company.url)")
                try Disk.write(a.path("letter"), "from a")
                #expect(try Disk.readText(b.path("letter")) == "from a")
                try Disk.write(b.path("answer"), "from b")
                let sees = Deadline.wait(seconds: 5) {
                    (try? Disk.readText(a.path("answer"))) == "from b"
                }
                #expect(sees)
                #expect(try company.operations(of: 0).contains("GenerateDataKey"))
                #expect(try company.operations(of: 1).contains("GenerateDataKey"))
                #expect(try company.operations(of: 1).contains("Decrypt"))
                let words = try company.server.keyfold("log", "--json").run().output
                #expect(words.contains("op/open uid/"))
            }
        }

        @Test
        func `domains are made, and closed, with keys at the server`() throws {
            try Self.with { company in
                let (a, b) = (company.hosts[0], company.hosts[1])
                try company.server.keyfold("key", "create", "--alias", "alias/second").run()
                try a.mount("shared")
                try b.mount("shared", "kms=\(company.url)")
                for (number, key) in ["alias/second", VaultFixture.defaultAlias].enumerated() {
                    try a.keyfold(
                        "domain", "create", company.vault, "d\(number)", "--key", key, "--kms",
                        company.url
                    ).run()
                    try Disk.write(a.path("d\(number)/letter"), "from a")
                    let sees = Deadline.wait(seconds: 5) {
                        (try? Disk.readText(b.path("d\(number)/letter"))) == "from a"
                    }
                    #expect(sees)
                }
                let list = try a.keyfold(
                    "domain", "list", company.vault, "--json", "--kms", company.url
                ).run().output
                #expect(try JSON.lines(list).map { $0["path"].string } == ["/", "/d0", "/d1"])
                try company.server.keyfold("key", "disable", "alias/second").run()
                try b.unmount()
                try b.mount("shared", "kms=\(company.url)")
                #expect(Self.failure { try Disk.readText(b.path("d0/letter")) } == .noKey)
                #expect(try Disk.readText(b.path("d1/letter")) == "from a")
            }
        }

        @Test
        func `a key that is disabled at the server closes the files on every host`() throws {
            try Self.with { company in
                for host in company.hosts { try host.mount("shared", "kms=\(company.url)") }
                try Disk.write(company.hosts[0].path("file"), "text")
                try company.server.keyfold("key", "disable", VaultFixture.defaultAlias).run()
                for host in company.hosts {
                    let refused = Deadline.wait(seconds: 5) {
                        Self.failure { try Disk.readText(host.path("file")) } == .noKey
                    }
                    #expect(refused, "\(host.home)")
                }
                try company.server.keyfold("key", "enable", VaultFixture.defaultAlias).run()
                for host in company.hosts {
                    let open = Deadline.wait(seconds: 5) {
                        (try? Disk.readText(host.path("file"))) == "text"
                    }
                    #expect(open, "\(host.home)")
                }
            }
        }

        @Test
        func `a mount does not hang when the server is gone, and goes on when it is back`() throws {
            try Self.with(hosts: 1) { company in
                let host = company.hosts[0]
                try host.mount("shared")
                for number in 0..<20 { try Disk.write(host.path("f\(number)"), "\(number)") }
                try host.unmount()
                try host.mount("shared")
                #expect(try company.server.stop() == 0)
                let start = ContinuousClock.now
                for number in 0..<20 {
                    #expect(
                        Self.failure { try Disk.readText(host.path("f\(number)")) } == .timedOut)
                }
                // One of them tried for as long as its attempts take; the others did not wait.
                #expect(ContinuousClock.now - start < .seconds(20))
                #expect(try Disk.names(in: host.mountPoint).count >= 20)
                try company.server.serve(at: "127.0.0.1:\(company.port)")
                let isBack = Deadline.wait(seconds: 20) {
                    (try? Disk.readText(host.path("f7"))) == "7"
                }
                #expect(isBack)
                try host.keyfold("check", company.vault, "--read-data").run()
            }
        }

        @Test
        func `programs that wait for a key do not hold up those that have theirs`() throws {
            try Self.with(hosts: 1) { company in
                let host = company.hosts[0]
                try host.mount()
                try Disk.write(host.path("open"), "open")
                let names = (0..<40).map { "f\($0)" }
                for name in names { try Disk.write(host.path(name), name) }
                try host.unmount()
                try host.mount()
                let open = try Disk.open(host.path("open"))
                company.server.process?.signal(Signal.stop)
                defer { company.server.process?.signal(Signal.goOn) }
                let readers = try names.map { try Command("cat", host.path($0)).start() }
                let allWait = Deadline.wait(seconds: 5) {
                    readers.allSatisfy { Self.waitsForMount($0.pid) }
                }
                try #require(allWait)
                #expect(try open.readAll(limitBytes: 16) == Array("open".utf8))
                #expect(try Disk.names(in: host.mountPoint).count >= names.count)
                // They waited all the while.
                #expect(readers.allSatisfy { Self.waitsForMount($0.pid) })
                company.server.process?.signal(Signal.goOn)
                for (reader, name) in zip(readers, names) {
                    #expect(try reader.waitForEnd(seconds: 30) == 0)
                    #expect(try reader.outputText() == name)
                }
            }
        }

        /// Whether a program is in open(2), and the daemon has not answered (proc(5), wchan).
        private static func waitsForMount(_ pid: Int32) -> Bool {
            (try? Disk.readText("/proc/\(pid)/wchan")) == "request_wait_answer"
        }

        @Test
        func `cached data keys open files again while the server is gone, for their time`() throws {
            try Self.with(hosts: 1) { company in
                let host = company.hosts[0]
                try host.mount("shared", "key_cache=5m,1000")
                try Disk.write(host.path("known"), "known")
                #expect(try Disk.readText(host.path("known")) == "known")
                let before = try company.operations(of: 0).count
                #expect(before > 0)
                for _ in 0..<3 { #expect(try Disk.readText(host.path("known")) == "known") }
                #expect(try company.operations(of: 0).count == before)
                #expect(try company.server.stop() == 0)
                #expect(try Disk.readText(host.path("known")) == "known")
                #expect(Self.failure { try Disk.write(host.path("new"), "new") } == .timedOut)
            }
        }

        @Test
        func `a service that only the vault names is not asked`() throws {
            try Self.with { company in
                let stranger = company.hosts[1]
                let refused = try stranger.mountCommand("shared").run(expecting: 77)
                #expect(refused.error.contains("not among those you know"))
                try stranger.mount("shared", "kms=\(company.url)")
                try stranger.unmount()
                // Named once, it is known.
                try stranger.mount("shared")
                try stranger.unmount()
                // Another account by the same service: the vault was exchanged, or is new.
                let services = stranger.home + "/.config/keyfold/services"
                #expect(try Disk.readText(services).hasPrefix("\(company.url) "))
                try Disk.write(services, "\(company.url) 000000000001\n")
                let exchanged = try stranger.mountCommand("shared", "kms=\(company.url)")
                    .run(expecting: 77)
                #expect(exchanged.error.contains("you know this service for 000000000001"))
                // A key whose account can't be read is of no account that is trusted.
                let file = company.vault + "/keyfold.json"
                let text = try Disk.readText(file)
                try Disk.write(file, text.replacing("arn:aws:kms", with: "arn:aws:other"))
                let unread = try stranger.mountCommand("shared", "kms=\(company.url)")
                    .run(expecting: 65)
                #expect(unread.error.contains("arn:aws:other"))
            }
        }

        @Test
        func `rewrap moves a vault to another key of the service`() throws {
            try Self.with(hosts: 1) { company in
                let host = company.hosts[0]
                try host.mount()
                try Disk.write(host.path("file"), "text")
                let made = try company.server.keyfold("key", "create", "--json").run().output
                let arn = try #require(try JSON(made)["arn"].string)
                let result = try host.keyfold("rewrap", company.vault, "--to", arn, "--json").run()
                #expect(try JSON(result.output)["rewrapped"].int == 1)
                try host.unmount()
                try company.server.keyfold("key", "disable", VaultFixture.defaultAlias).run()
                try host.mount()
                #expect(try Disk.readText(host.path("file")) == "text")
            }
        }

        @Test
        func `wrong credentials, places and options are told apart`() throws {
            try Self.with(hosts: 1) { company in
                let host = company.hosts[0]
                let mount = { (variables: [String: String], options: [String]) in
                    try host.mountCommand(options.joined(separator: ",")).with(variables).result()
                }
                let wrong = try mount(["AWS_SECRET_ACCESS_KEY": "wrong"], [])
                #expect(wrong.status == 77)
                #expect(wrong.error.contains("signature"))
                #expect(!wrong.error.contains(company.keys[0].secret))
                let none = try mount(["AWS_SECRET_ACCESS_KEY": "", "AWS_ACCESS_KEY_ID": ""], [])
                #expect(none.status == 77)
                #expect(none.error.contains("there are no AWS credentials"))
                #expect(!none.error.contains("alias/aws/"))
                let open = try mount([:], ["kms=http://192.0.2.1/"])
                #expect(open.status == 64)
                #expect(open.error.contains("in the open"))
                let cache = try mount([:], ["key_cache=0s"])
                #expect(cache.status == 64)
                #expect(cache.error.contains("key_cache"))
                let both = try mount([:], ["kms=\(company.url)", "keystore=/nowhere"])
                #expect(both.status == 64)
                // No mount was left by any of them.
                try host.mount()
            }
        }

        private static func failure<Result>(_ body: () throws -> Result) -> Errno? {
            do {
                _ = try body()
                return nil
            } catch {
                return error as? Errno
            }
        }
    }
}
