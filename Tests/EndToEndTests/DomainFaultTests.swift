import Platform
import TestSupport
import Testing

extension EndToEnd.Files {
    /// `keyfold domain create` that is stopped, or meets an error, at any of its calls
    /// (Tests/KilledCalls): the domain is made or not, nothing else is touched, and the command can
    /// be given again.
    @Suite
    struct DomainFaultTests {
        private static let library = Program.directory + "/libKilledCalls.so"

        enum Mishap: String, CaseIterable, Sendable {
            case kill
            case noSpace

            /// For KEYFOLD_FAIL_WITH.
            var errno: String {
                switch self {
                case .kill: ""
                case .noSpace: "28"
                }
            }

            var status: Int32 {
                switch self {
                case .kill: 137
                case .noSpace: 74
                }
            }
        }

        /// Whose calls are counted: those in the vault, or those in its mount.
        enum Place: String, CaseIterable, Sendable {
            case vaultAtRest
            case mountedVault
            case mount

            func path(_ fixture: VaultFixture) -> String {
                self == .mount ? fixture.mountPoint : fixture.vault
            }
        }

        /// Opens the keystore at once, where a passphrase takes half a second.
        private static func command(_ path: String, _ fixture: VaultFixture) -> Command {
            fixture.command(
                ["domain", "create", fixture.vault, path, "--key-file", fixture.base.path + "/key"])
        }

        /// - Returns: the command's end, and how many calls it made there.
        private static func create(
            _ path: String, _ fixture: VaultFixture, in place: Place, _ mishap: Mishap = .kill,
            at number: Int? = nil
        ) throws -> (end: CommandResult, calls: Int) {
            let trace = fixture.base.path + "/trace"
            defer { try? Disk.unlink(trace) }
            let end = try command(path, fixture).with([
                "LD_PRELOAD": library, "KEYFOLD_KILL_BELOW": place.path(fixture) + "/",
                "KEYFOLD_KILL_AT": number.map(String.init) ?? "",
                "KEYFOLD_FAIL_WITH": mishap.errno, "KEYFOLD_KILL_TRACE": trace,
            ]).result()
            let calls = try? Disk.readText(trace).split(separator: "\n").count
            return (end, calls ?? 0)
        }

        private static func name(_ number: Int) -> String {
            // Every other one has a sidecar.
            "d\(number)" + (number % 2 == 0 ? "" : String(repeating: "n", count: 200))
        }

        /// A domain is whole: files in it are kept, and read again.
        private static func use(_ path: String, _ fixture: VaultFixture) throws {
            let file = fixture.path(path + "/file")
            if Disk.exists(file) {
                #expect(try Disk.readText(file) == path)
            } else {
                try Disk.write(file, path)
            }
        }

        @Test(arguments: Mishap.allCases, Place.allCases)
        func `a domain is made or not, at whatever call its making is stopped`(
            _ mishap: Mishap, _ place: Place
        ) throws {
            try VaultFixture.withMount { fixture in
                try fixture.keyfold("slot", "add", "key-file", fixture.base.path + "/key")
                try Disk.makeDirectory(fixture.path("above"))
                try Disk.write(fixture.path("above/old"), "old")
                if place == .vaultAtRest { try fixture.unmount() }
                // A long name takes the most calls.
                var made = ["above/" + Self.name(1)]
                let (first, calls) = try Self.create(made[0], fixture, in: place)
                #expect(first.status == 0, "\(first)")
                #expect(calls > 1)
                for number in 1...calls {
                    let path = "above/a" + Self.name(number)
                    let end = try Self.create(path, fixture, in: place, mishap, at: number).end
                    #expect([0, mishap.status].contains(end.status), "\(number): \(end)")
                    let again = try Self.command(path, fixture).result()
                    // What was made before the mishap is there.
                    #expect([0, 73].contains(again.status), "\(number): \(again)")
                    #expect(end.status != 0 || again.status == 73)
                    made.append(path)
                }
                if place == .vaultAtRest { try fixture.mount() }
                for path in made { try Self.use(path, fixture) }
                let names = try Disk.names(in: fixture.path("above")).map(\.string)
                let passing = names.filter { $0.hasPrefix(".new-domain-") }
                #expect(passing.isEmpty || mishap == .kill && passing.count <= 4, "\(passing)")
                for name in passing { try Disk.removeDirectory(fixture.path("above/" + name)) }
                #expect(
                    Set(names).subtracting(passing)
                        == Set(made.map { String($0.dropFirst(6)) } + ["old"]))
                try fixture.remount()
                for path in made { try Self.use(path, fixture) }
                #expect(try Disk.readText(fixture.path("above/old")) == "old")
                try fixture.unmount()
                // A kill may leave temporary names.
                let repair = try fixture.command(["check", fixture.vault, "--repair"]).result()
                #expect([0, mishap == .kill ? 1 : 0].contains(repair.status), "\(repair)")
                try fixture.keyfold("check", fixture.vault, "--read-data")
            }
        }

        @Test func `a domain that has no room is refused, and leaves nothing behind`() throws {
            try FullDiskTests.withSmallStore(.ext4) { fixture in
                try Disk.write(fixture.path("old"), "old")
                try FullDiskTests.fill(fixture)
                var made: [String] = []
                var end: CommandResult
                repeat {
                    let name = "d\(made.count)" + String(repeating: "n", count: 200)
                    end = try fixture.command(["domain", "create", fixture.vault, name]).result()
                    if end.status == 0 { made.append(name) }
                } while end.status == 0 && made.count < 200
                #expect(end.status == 74, "\(end)")
                #expect(end.error.contains("No space left"), "\(end)")
                #expect(
                    Set(try Disk.names(in: fixture.mountPoint).map(\.string))
                        == Set(made + ["old", "filler"]))
                try Disk.unlink(fixture.path("filler"))
                try fixture.keyfold("domain", "create", fixture.vault, "last")
                for name in made + ["last"] { try Self.use(name, fixture) }
                #expect(try Disk.readText(fixture.path("old")) == "old")
                try fixture.unmount()
                try fixture.keyfold("check", fixture.vault, "--read-data")
            }
        }
    }
}
