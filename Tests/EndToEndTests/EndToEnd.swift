import Platform
import TestSupport
import Testing

/// The programs as a person uses them: real processes, mounts and files; nothing may be left behind
/// at the end.
///
/// Two tests at a time, since most wait for one process after the other, and a mount that waits long
/// for a core is taken for one that hangs.
@Suite(.leavesNothingBehind)
enum EndToEnd {
    /// What is mostly commands.
    @Suite(.serialized) enum Commands {}
    /// What is mostly mounts, and the files in them.
    @Suite(.serialized) enum Files {}
}

/// Checks at the end of a suite that no mount, process, directory or descriptor is left.
struct LeftoverCheck: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try await function()
        let prefix = TemporaryDirectory.prefix + VaultFixture.label
        #expect(MountTable.mountPoints(below: prefix).isEmpty)
        #expect(Processes.withArgument(containing: prefix).isEmpty)
        let directories = try Disk.names(in: "/tmp").map { "/tmp/" + $0.string }
        #expect(directories.filter { $0.hasPrefix(prefix) }.isEmpty)
        let open = try Disk.names(in: "/proc/self/fd")
            .compactMap { try? Disk.readLink("/proc/self/fd/" + $0.string) }
        #expect(open.filter { $0.hasPrefix(prefix) }.isEmpty)
    }
}

extension Trait where Self == LeftoverCheck {
    static var leavesNothingBehind: Self { LeftoverCheck() }
}

/// The mounts that every POSIX behaviour is shown on.
enum MountKind: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case standard
    case plaintextNames
    case allowOther

    /// Those that this user may have: `allow_other` takes root.
    static var available: [MountKind] { allCases.filter { $0 != .allowOther || runsAsRoot } }

    var testDescription: String { rawValue }

    var shape: VaultShape {
        switch self {
        case .standard: VaultShape()
        case .plaintextNames: VaultShape(initOptions: ["--plaintext-names"])
        case .allowOther: VaultShape(mountOptions: ["allow_other"])
        }
    }
}

/// The uids of users that need not exist.
enum OtherUser {
    static let alice: UInt32 = 61_001
    static let bob: UInt32 = 61_002
    /// This one exists: fusermount3 mounts for users that have a name.
    static let nobody: UInt32 = 65_534
}

let usersMayMount = ConditionTrait.enabled("needs /dev/fuse open to users") {
    let command = Command("test", "-w", "/dev/fuse").as(user: OtherUser.nobody)
    return (try? command.result())?.succeeded ?? false
}

extension VaultFixture {
    /// Lets a user do something with the vault's key.
    ///
    /// - Returns: the grant's id.
    @discardableResult
    func grant(
        _ user: UInt32, _ operations: String..., on key: String = VaultFixture.defaultAlias,
        context: String? = nil
    ) throws -> String {
        let words =
            ["grant", "create", key, "--to", "uid-\(user)"]
            + operations.flatMap { ["--operation", $0] }
            + (context.map { ["--context", $0] } ?? [])
        return String(try keyfold(words).output.prefix { $0 != "\n" })
    }
}

/// One mount of each kind, shared by all tests of a suite.
struct SharedMounts: SuiteTrait, TestScoping {
    @TaskLocal private static var current: [MountKind: VaultFixture] = [:]

    let kinds: [MountKind]

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        var fixtures: [MountKind: VaultFixture] = [:]
        defer { fixtures.values.forEach { $0.cleanUp() } }
        for kind in kinds {
            let fixture = try VaultFixture(kind.shape)
            fixtures[kind] = fixture
            try fixture.mount()
            // Other users get through the mount's root.
            try Disk.changeMode(fixture.mountPoint, to: 0o755)
            for user in kind == .allowOther ? [OtherUser.alice, OtherUser.bob] : [] {
                try fixture.grant(user, "Decrypt", "GenerateDataKey")
            }
        }
        try await Self.$current.withValue(fixtures) { try await function() }
    }

    static func fixture(_ kind: MountKind) throws -> VaultFixture {
        try #require(current[kind], "the suite lacks the trait .sharedMounts")
    }

    /// A new directory in the mount for one test.
    static func directory(_ kind: MountKind) throws -> String {
        let name = "t" + String(UInt32.random(in: 0 ... .max), radix: 36)
        let path = try fixture(kind).path(name)
        try Disk.makeDirectory(path, mode: 0o755)
        return path
    }
}

extension Trait where Self == SharedMounts {
    static var sharedMounts: Self { SharedMounts(kinds: MountKind.available) }

    static func sharedMount(_ kind: MountKind) -> Self { SharedMounts(kinds: [kind]) }
}

/// For tests that only root can do: mounts, other users, devices.
let needsRoot = ConditionTrait.enabled("needs root") { runsAsRoot }

/// For tests that use a program which may not be installed.
func needs(_ programs: String...) -> ConditionTrait {
    .enabled("needs \(programs.joined(separator: ", "))") {
        programs.allSatisfy(Command.isInstalled)
    }
}
