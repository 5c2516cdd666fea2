import Cryptography
import Foundation
import KMSCore
import KMSModel
import Synchronization
import UsageLog

/// Clocks that stand still until they are moved.
final class ManualClock: MachineClock {
    private let shown: Mutex<ClockReading>

    init(_ iso8601: String = "2026-11-23T12:00:00Z") {
        guard let start = Timestamp(iso8601: iso8601) else { preconditionFailure(iso8601) }
        shown = Mutex(ClockReading(wall: start, bootID: Random.bytes(16), bootMilliseconds: 0))
    }

    func now() -> Timestamp { reading().wall }
    func reading() -> ClockReading { shown.withLock { $0 } }

    /// Time goes by.
    func advance(days: Int) { shown.withLock { $0 = $0.advanced(byDays: days) } }
    func advance(minutes: UInt64) {
        shown.withLock { $0 = $0.advanced(byMilliseconds: minutes * 60_000) }
    }

    /// Somebody sets the wall clock.
    func turn(days: Int) { shown.withLock { $0.wall = $0.wall.advanced(byDays: days) } }

    /// The machine is started anew.
    func restart() {
        shown.withLock { shown in
            shown.bootID = Random.bytes(16)
            shown.bootMilliseconds = 0
        }
    }
}

/// A directory of its own, removed with the last reference.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "keyfold-kms-" + UUID().uuidString
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func path(_ name: String) -> String { path + "/" + name }
}

/// A new keystore in a directory of its own, with a cheap passphrase and a manual clock.
final class TestKeystore: Sendable {
    static let passphrase = "correct horse battery staple"
    static let cost = ScryptCost(logN: 4, r: 8, p: 1)
    static let scope = {
        guard let scope = AccountScope(account: "111122223333", region: "us-east-1") else {
            preconditionFailure("an account has twelve digits")
        }
        return scope
    }()

    let place: TemporaryDirectory
    let clock = ManualClock()
    let keystore: Keystore
    let recoveryKey: SecretBytes

    var path: String { place.path("keystore") }
    var service: any KeyService { keystore.service }
    let owner = Caller(
        principalARN: scope.rootPrincipalARN, process: nil, userAgent: "KMSCoreTests")
    let stranger = Caller(
        principalARN: "arn:aws:iam::111122223333:user/mallory", process: nil,
        userAgent: "KMSCoreTests")

    init() throws {
        place = try TemporaryDirectory()
        (keystore, recoveryKey) = try Keystore.create(
            at: place.path("keystore"), scope: TestKeystore.scope,
            slots: secret(TestKeystore.passphrase), clock: clock, cost: TestKeystore.cost)
    }

    deinit { keystore.close() }

    /// Another view of the same directory, as another process would have.
    func again(_ slowWorkLimits: SlowWorkLimits = SlowWorkLimits()) throws -> Keystore {
        try Keystore.open(
            at: path, unlocking: .passphrase(secret(TestKeystore.passphrase)), clock: clock,
            slowWorkLimits: slowWorkLimits)
    }

    func newKey() throws -> KeyMetadata {
        try service.createKey(CreateKeyRequest(), as: owner)
    }

    /// A key in a state.
    func newKey(_ state: KeyState) throws -> KeyARN {
        let arn = try newKey().arn
        switch state {
        case .enabled: break
        case .disabled: try service.disableKey(arn.description, as: owner)
        case .pendingDeletion:
            try service.scheduleKeyDeletion(arn.description, windowDays: 7, as: owner)
        case .pendingImport, .pendingReplicaDeletion, .unavailable:
            preconditionFailure("a symmetric key that was made here has no such state")
        }
        return arn
    }

    /// The date of a deletion comes and is seen, and what a key stays after that goes by: the next
    /// operation deletes.
    func waitForDeletion(days: Int) {
        clock.advance(days: days)
        keystore.runDueWork()
        clock.advance(days: 1)
    }

    /// The names of all logged events, in order.
    func eventNames() throws -> [String] {
        try events().map(\.eventName)
    }

    func events() throws -> [LoggedEvent] {
        var events: [LoggedEvent] = []
        try keystore.usageLog().forEach(UsageLogFilter()) { events.append($0) }
        return events
    }
}

extension LoggedEvent {
    func record() throws -> [String: Any] {
        try JSONSerialization.jsonObject(with: Data(json)) as? [String: Any] ?? [:]
    }

    /// False for what the service did by itself, or in another Region for a request's caller, and
    /// for changes of the keystore itself.
    var isRequest: Bool {
        get throws {
            let record = try record()
            return (record["userIdentity"] as? [String: Any])?["invokedBy"] == nil
                && record["eventSource"] as? String != "keyfold"
        }
    }
}

func secret(_ text: String) -> SecretBytes {
    var bytes = Array(text.utf8)
    return SecretBytes(consuming: &bytes)
}

func secret(_ bytes: [UInt8]) -> SecretBytes {
    var bytes = bytes
    return SecretBytes(consuming: &bytes)
}

func text(_ secret: SecretBytes) -> String {
    String(decoding: bytes(secret), as: UTF8.self)
}

func bytes(_ secret: SecretBytes) -> [UInt8] {
    secret.withBytes { span in
        (0..<span.byteCount).map { unsafe span.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
    }
}
