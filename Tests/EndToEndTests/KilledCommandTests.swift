import Platform
import TestSupport
import Testing

extension EndToEnd.Commands {
    /// Commands that are killed right before their Nth call that changes a file (Tests/KilledCalls):
    /// the keystore is as it was or as it would have been, and the command can be given again.
    @Suite(.sampleKeystore, needs("openssl"))
    struct KilledCommandTests {
        private static let library = Program.directory + "/libKilledCalls.so"
        private static let killed: Int32 = 137

        /// Which of a command's calls it is killed before: all of them, or the first and the last
        /// one, those to files beside the keystore, and two more, drawn from a seed.
        private static func moments(_ calls: [String], _ name: String) -> [Int] {
            let all = Array(1...max(calls.count, 1))
            if Environment["KEYFOLD_KILLS"] == "all" || calls.count <= 4 { return all }
            let seed = Environment["KEYFOLD_KILL_SEED"].flatMap(UInt64.init) ?? 1
            var source = RandomSource(seed: name.utf8.reduce(seed) { $0 &* 31 &+ UInt64($1) })
            let beside = all.filter { !calls[$0 - 1].contains("/work/keystore") }
            let between = all.dropFirst().dropLast().shuffled(using: &source).prefix(2)
            return Set(all.prefix(1) + all.suffix(1) + beside.prefix(3) + between).sorted()
        }

        /// - Returns: the command's end, and the calls that it made below the copy's directory.
        private static func run(
            _ copy: KeystoreCopy, _ words: [String], killedAt number: Int? = nil
        ) throws -> (end: CommandResult, calls: [String]) {
            let trace = copy.place + ".trace"
            defer { try? Disk.unlink(trace) }
            let end = try copy.command(words).with([
                "LD_PRELOAD": library, "KEYFOLD_KILL_BELOW": copy.place + "/",
                "KEYFOLD_KILL_AT": number.map(String.init) ?? "", "KEYFOLD_KILL_TRACE": trace,
            ]).result()
            let calls = (try? Disk.readText(trace))?.split(separator: "\n").map(String.init)
            return (end, calls ?? [])
        }

        /// Kills a command at one moment after the other.
        ///
        /// - Parameter judge: gets the copy, whether the command was killed or came to its end
        ///   before that, and what to say when something is wrong.
        private static func killing(
            _ words: [String], calls: [String],
            _ judge: (KeystoreCopy, _ number: Int, _ wasKilled: Bool, Comment) throws -> Void
        ) throws {
            let sample = try SampleKeystoreScope.sample()
            let name = words.joined(separator: " ")
            for number in moments(calls, name) {
                try sample.withCopy { copy in
                    let (end, made) = try run(copy, words, killedAt: number)
                    let place = "'\(name)' killed before call \(number) of \(calls.count): "
                    let comment = Comment(rawValue: place + (made.last ?? "no call"))
                    // The log's last calls are made by another thread, or never.
                    #expect(
                        end.status == killed || end.status == 0 && number > 1, "\(end), \(comment)")
                    try judge(copy, number, end.status == killed, comment)
                }
            }
        }

        @Test(arguments: KeystoreChange.all)
        func `a command that is killed has done and logged everything or nothing`(
            _ change: KeystoreChange
        ) throws {
            let sample = try SampleKeystoreScope.sample()
            let logged = try sample.withCopy { try Set($0.loggedChanges().keys) }
            func newlyLogged(_ copy: KeystoreCopy) throws -> [String] {
                try copy.loggedChanges().filter { !logged.contains($0.key) }.values.sorted()
            }
            let (before, after, events, calls) = try sample.withCopy { copy in
                let before = try copy.state(change.shows)
                let (end, calls) = try Self.run(copy, change.words)
                #expect(end.status == 0, "\(end)")
                return (
                    before, try copy.state(change.shows, known: before.ids),
                    try newlyLogged(copy), calls
                )
            }
            #expect(before != after)
            var wasDone: [Bool] = []
            try Self.killing(change.words, calls: calls) { copy, number, wasKilled, place in
                try copy.verify()
                let state = try copy.state(change.shows, known: before.ids)
                #expect(state == after || wasKilled && state == before, "\(place): \(state)")
                #expect(try newlyLogged(copy) == (state == after ? events : []), place)
                wasDone.append(state == after)
                let again = try copy.command(change.words).result()
                #expect(
                    again.status == (state == before ? 0 : change.statusWhenDone),
                    "\(place): \(again)")
                // Once is enough: what is left of a kill is told by the command's end.
                if state == before, !wasDone.dropLast().isEmpty {
                    let done = try copy.state(change.shows, known: before.ids)
                    #expect(done == after, "\(place): \(done)")
                }
            }
            // The first call comes before the change, and the last one after it.
            #expect(wasDone.first == false)
            #expect(wasDone.last == true)
        }

        @Test func `a key gets its names one after the other, and keeps those it has`() throws {
            let words = ["key", "create", "--alias", "alias/one", "--alias", "alias/two"]
            let sample = try SampleKeystoreScope.sample()
            func keys(_ copy: KeystoreCopy) throws -> [JSON] {
                try JSON.lines(try copy.command(["key", "list", "--json"]).run().output)
            }
            let (calls, old) = try sample.withCopy { copy in
                let old = try keys(copy)
                return (try Self.run(copy, words).calls, Set(old.map { $0["keyId"].string }))
            }
            try Self.killing(words, calls: calls) { copy, _, _, place in
                try copy.verify()
                let new = try keys(copy).filter { !old.contains($0["keyId"].string) }
                #expect(new.count <= 1, place)
                let names = new.first?["aliases"].list.compactMap(\.string) ?? []
                #expect(["alias/one", "alias/two"].starts(with: names), place)
                // A name that is there stays with its key.
                let again = try copy.command(words).result()
                #expect(again.status == (names.isEmpty ? 0 : 2), "\(place): \(again)")
            }
        }

        // MARK: Whole keystores

        /// Kills a command that makes `made`, which it makes whole or not at all and never again.
        private static func killingMaker(
            of made: String, _ words: [String], _ check: (KeystoreCopy) throws -> Void
        ) throws {
            let sample = try SampleKeystoreScope.sample()
            let calls = try sample.withCopy { copy in
                let (end, calls) = try run(copy, words)
                #expect(end.status == 0, "\(end)")
                return calls
            }
            try killing(words, calls: calls) { copy, number, _, place in
                let isThere = Disk.exists(copy.place + "/" + made)
                #expect(!isThere || number > 1, place)
                if isThere { try check(copy) }
                let again = try copy.command(words).result()
                #expect(again.status == (isThere ? 73 : 0), "\(place): \(again)")
                try check(copy)
                try copy.verify()
            }
        }

        @Test func `a backup that is killed is there whole or not at all`() throws {
            try Self.killingMaker(of: "backup", ["keystore", "backup", "OUT/backup"]) { copy in
                let restored = copy.place + "/restored"
                try copy.command(
                    ["keystore", "restore", "OUT/backup", "--keystore", restored]
                ).run()
                try copy.verify(restored)
                try FileTree.remove(restored)
            }
        }

        @Test func `a restore that is killed is there whole or not at all`() throws {
            let words = ["keystore", "restore", "IN/backup", "--keystore", "OUT/restored"]
            try Self.killingMaker(of: "restored", words) { copy in
                try copy.verify(copy.place + "/restored")
            }
        }

        @Test func `a keystore that is killed while it is made is there whole or not at all`()
            throws
        {
            let words = ["keystore", "create", "--keystore", "OUT/new"]
            try Self.killingMaker(of: "new", words) { copy in
                try copy.commandWithPassphrase(
                    ["keystore", "verify", "--quiet", "--keystore", "OUT/new"]
                ).run()
            }
        }

        @Test func `a vault that is killed while it is made is made by the next attempt`() throws {
            let words = ["init", "OUT/new"]
            try Self.killingMaker(of: "new/keyfold.json", words) { copy in
                try copy.command(["check", "--quiet", "OUT/new"]).run()
            }
        }
    }
}

/// One ``SampleKeystore`` for all tests of a suite.
struct SampleKeystoreScope: SuiteTrait, TestScoping {
    @TaskLocal private static var current: SampleKeystore?

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        let sample = try SampleKeystore()
        defer { sample.cleanUp() }
        try await Self.$current.withValue(sample) { try await function() }
    }

    static func sample() throws -> SampleKeystore {
        try #require(current, "the suite lacks the trait .sampleKeystore")
    }
}

extension Trait where Self == SampleKeystoreScope {
    static var sampleKeystore: Self { SampleKeystoreScope() }
}
