import Platform
import TestSupport
import Testing

extension EndToEnd.Commands {
    /// A keystore on a disk without a byte left: nothing is changed halfway, no key is used
    /// unlogged, and everything works again when there is room.
    @Suite(.sampleKeystore, needsRoot, needs("openssl", "mkfs.ext4"))
    struct FullKeystoreTests {
        /// An ext4 of 24 MiB. With blocks of less than a page, mapped files have holes.
        private struct SmallDisk {
            let path: String
            private var filler: String { path + "/filler" }

            init(in base: String, blockBytes: Int) throws {
                path = base + "/disk"
                try Disk.make(path + ".image").truncate(to: 24 << 20)
                try Command("mkfs.ext4", "-q", "-b", "\(blockBytes)", path + ".image").run()
                try Disk.makeDirectory(path)
                try Command("mount", "-o", "loop", path + ".image", path).run()
            }

            func unmount() throws { try Command("umount", path).run() }

            /// Takes every byte but `kibibytes`, which lie in whole blocks.
            func fill(leaving kibibytes: Int = 0) throws {
                let file = try Disk.make(filler)
                var offset = try file.status().sizeBytes
                var count = 1 << 20
                while count >= 1024 {
                    do throws(Errno) {
                        try file.write([UInt8](repeating: 7, count: count), at: offset)
                        try file.synchronize(dataOnly: false)
                        offset += UInt64(count)
                    } catch {
                        #expect(error == .noSpace)
                        // A write may have been done in part.
                        offset = try file.status().sizeBytes
                        count /= 4
                    }
                }
                guard kibibytes > 0 else { return }
                try file.truncate(to: offset - UInt64(kibibytes) << 10)
                try file.synchronize(dataOnly: false)
            }

            func makeRoom() throws {
                try Disk.unlink(filler)
                try Disk.open(path, OpenFlag.directory).synchronizeFileSystem()
            }
        }

        private static func withDisk(
            blockBytes: Int = 4096, _ body: (SmallDisk, KeystoreCopy) throws -> Void
        ) throws {
            let base = try TemporaryDirectory(label: VaultFixture.label)
            defer { base.cleanUp() }
            let disk = try SmallDisk(in: base.path, blockBytes: blockBytes)
            try body(disk, try SampleKeystoreScope.sample().copy(in: disk.path))
            try disk.unmount()
        }

        private static func expectFull(_ end: CommandResult) {
            #expect(end.status == 74, "\(end)")
            #expect(end.error.contains("no space"), "\(end)")
        }

        @Test(arguments: [1024, 4096])
        func `every command is refused on a full disk, and nothing is changed by it`(
            _ blockBytes: Int
        ) throws {
            try Self.withDisk(blockBytes: blockBytes) { disk, copy in
                let shows = Set(KeystoreChange.all.flatMap(\.shows)).sorted { $0[0] < $1[0] }
                let before = try copy.state(shows)
                try disk.fill()
                for words in KeystoreChange.all.map(\.words) + shows + [["log"]] {
                    Self.expectFull(try copy.command(words).result())
                }
                for words in [["keystore", "backup", "OUT/backup"], ["keystore", "verify"]] {
                    Self.expectFull(try copy.command(words).result())
                }
                try disk.makeRoom()
                try copy.verify()
                #expect(try copy.state(shows) == before)
                #expect(try Disk.names(in: copy.place).count == 2)
                for change in [KeystoreChange.keys[0], KeystoreChange.others[6]] {
                    try copy.command(change.words).run()
                }
            }
        }

        /// Commands get further and further before the disk is full.
        @Test(arguments: [1024, 4096])
        func `with little room a change is made or refused, and can be made later`(
            _ blockBytes: Int
        ) throws {
            try Self.withDisk(blockBytes: blockBytes) { disk, copy in
                func version() throws -> Int? {
                    let shown = try copy.command(["key", "show", "alias/main", "--json"]).run()
                    return try JSON(shown.output)["currentVersion"].int
                }
                var statuses: Set<Int32> = []
                for kibibytes in stride(from: 4, through: 196, by: 16) {
                    let old = try #require(try version())
                    let addition = ["slot", "add", "key-file", "OUT/key\(kibibytes)"]
                    try disk.fill(leaving: kibibytes)
                    let added = try copy.command(addition).result()
                    let rotated = try copy.command(["key", "rotate", "alias/main"]).result()
                    for end in [added, rotated] where end.status != 0 { Self.expectFull(end) }
                    try disk.makeRoom()
                    try copy.verify()
                    // Refused where the event had no room, although it is done (docs/kms.md).
                    let new = try #require(try version())
                    #expect(new == old + 1 || rotated.status != 0 && new == old)
                    try copy.command(addition).run()
                    statuses.formUnion([added.status, rotated.status])
                }
                // Of small blocks the reserve is kept free for root as well.
                #expect(statuses == (blockBytes == 1024 ? [74] : [0, 74]))
            }
        }

        // MARK: A server

        /// `keyfold serve` before a copy, on a Unix socket that is elsewhere.
        private struct Server {
            let process: TestSupport.ChildProcess
            let socket: String

            init(_ copy: KeystoreCopy) throws {
                let socket = copy.place + ".socket"
                process = try copy.command(["serve", "--unix", socket]).start()
                self.socket = socket
                let isServing = try Deadline.wait(seconds: 60) {
                    String(decoding: try process.errorBytes(), as: UTF8.self)
                        .contains("serving at")
                }
                guard isServing else { throw DeadlinePassed("keyfold serve") }
            }

            func ask(_ operation: String, _ body: String) throws -> (status: Int, answer: JSON) {
                let output = try Command(
                    "curl", "--silent", "--show-error", "--unix-socket", socket,
                    "http://localhost/", "--header", "X-Amz-Target: TrentService." + operation,
                    "--header", "Content-Type: application/x-amz-json-1.1", "--data", body,
                    "--write-out", "\n%{http_code}"
                ).run().lines
                return (Int(output.last ?? "") ?? 0, try JSON(output.first ?? ""))
            }

            func stop() throws {
                process.signal(Signal.terminate)
                #expect(try process.waitForEnd(seconds: 30) == 0)
            }
        }

        /// Where blocks are small the file that processes share is made whole by each of them. To
        /// close it would drop SQLite's lock, and then the next process cuts it under the others.
        @Test(needs(Program.directory + "/keyfold-serve", "curl"), arguments: [1024, 4096])
        func `a server lives on while other processes open its keystore`(
            _ blockBytes: Int
        ) throws {
            try Self.withDisk(blockBytes: blockBytes) { disk, copy in
                let server = try Server(copy)
                let number = try Disk.status(copy.keystore + "/keystore.db-shm").inodeNumber
                let locks = try Command("cat", "/proc/locks").run().lines
                #expect(
                    locks.contains {
                        $0.contains(" \(server.process.pid) ") && $0.contains(":\(number) 128 128")
                    }, "\(locks)")
                for _ in 0..<20 {
                    try copy.command(["key", "list"]).run()
                    #expect(try server.ask("CreateKey", "{}").status == 200)
                }
                try server.stop()
                try copy.verify()
            }
        }

        /// The first answer that is none.
        private static func firstRefusal(
            _ server: Server, _ operation: String, _ body: String
        ) throws -> JSON? {
            for _ in 0..<200 {
                let (status, answer) = try server.ask(operation, body)
                guard status != 200 else { continue }
                #expect(status == 500, "\(answer)")
                return answer
            }
            return nil
        }

        @Test(needs(Program.directory + "/keyfold-serve", "curl"), arguments: [1024, 4096])
        func `a server refuses keys on a full disk, goes on, and works when there is room`(
            _ blockBytes: Int
        ) throws {
            try Self.withDisk(blockBytes: blockBytes) { disk, copy in
                let server = try Server(copy)
                let key = #""KeyId":"alias/main""#
                let made = try server.ask("Encrypt", "{\(key),\"Plaintext\":\"c2VjcmV0\"}").answer
                let blob = try #require(made["CiphertextBlob"].string)
                let opening = "{\"CiphertextBlob\":\"\(blob)\"}"
                try disk.fill()
                // The last block of the log has room for some events.
                for (operation, body) in [
                    ("Decrypt", opening), ("DescribeKey", "{\(key)}"),
                    ("GenerateRandom", #"{"NumberOfBytes":32}"#), ("CreateKey", "{}"),
                    ("ListKeys", "{}"),
                ] {
                    let answer = try #require(
                        try Self.firstRefusal(server, operation, body), "\(operation)")
                    #expect(answer["__type"].string == "KMSInternalException", "\(answer)")
                    #expect(answer["message"].string?.contains("no space") == true, "\(answer)")
                    #expect(answer["Plaintext"].string == nil)
                }
                try disk.makeRoom()
                let (status, opened) = try server.ask("Decrypt", opening)
                #expect(status == 200 && opened["Plaintext"].string == "c2VjcmV0", "\(opened)")
                #expect(try server.ask("CreateKey", "{}").status == 200)
                try server.stop()
                try copy.verify()
            }
        }

        /// The counter of commits is in a file that is mapped, and may be a hole until the first
        /// commit.
        @Test(needs(Program.directory + "/keyfold-serve", "curl"), arguments: [1024, 4096])
        func `a server of a restored keystore goes on, too`(_ blockBytes: Int) throws {
            try Self.withDisk(blockBytes: blockBytes) { disk, copy in
                try FileTree.remove(copy.keystore)
                try copy.command(
                    ["keystore", "restore", "IN/backup", "--keystore", "OUT/keystore"]
                ).run()
                let server = try Server(copy)
                let key = #"{"KeyId":"alias/main"}"#
                try disk.fill()
                for operation in ["CreateKey", "DescribeKey"] {
                    let answer = try #require(try Self.firstRefusal(server, operation, key))
                    #expect(answer["__type"].string == "KMSInternalException", "\(answer)")
                }
                try disk.makeRoom()
                #expect(try server.ask("CreateKey", "{}").status == 200)
                try server.stop()
                try copy.verify()
            }
        }
    }
}
