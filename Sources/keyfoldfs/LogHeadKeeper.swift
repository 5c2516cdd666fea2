import Console
import KMSCore
import Logging
import Platform
import UsageLog
import Vault

/// Keeps, in the vault that is mounted, how far the keystore's usage log goes: when the mount
/// begins, every quarter of an hour, and when it ends.
///
/// A keystore that was put back to an older state with its log and its database is found out here,
/// and by `keyfold log verify --vault`, since the vault is another place.
final class LogHeadKeeper: Sendable {
    private static let intervalMilliseconds = 15 * 60_000

    private let vault: String
    private let keystore: Keystore
    private let logger: Logger

    init(vault: String, keystore: Keystore, logger: Logger) {
        self.vault = vault
        self.keystore = keystore
        self.logger = logger
    }

    /// Runs `body` while the head is kept. What goes wrong with the head is logged, and stops
    /// nothing.
    func keeping<Result>(
        _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        keep()
        let thread = DelayedThread(
            intervalMilliseconds: 0, idleMilliseconds: LogHeadKeeper.intervalMilliseconds
        ) { [self] in
            keep()
            return false
        }
        try? thread.start()
        defer {
            thread.stop()
            keep()
        }
        return try body()
    }

    private func keep() {
        do {
            let stored = try LogHeadFile.read(inVaultAt: vault)
            if let stored, let problem = try problem(with: stored) {
                logger.error("\(vault)/\(LogHeadFile.name): \(problem)")
                return
            }
            try keystore.sealLog()
            guard let bytes = try keystore.logNotary.replacement(for: stored) else { return }
            try LogHeadFile.replace(inVaultAt: vault, with: bytes)
        } catch {
            logger.warning("the usage log's head was not kept in \(vault): \(error)")
        }
    }

    private func problem(with stored: [UInt8]) throws -> LogProblem? {
        guard let head = keystore.logNotary.anchor(stored, from: vault).head else {
            // The vault may have had another keystore before: that is no reason for an alarm, and
            // the next 'log verify --vault' tells.
            return nil
        }
        return try keystore.logNotary.problem(with: head).map {
            LogProblem(
                kind: $0, file: LogHeadFile.name, segment: nil, sequence: head.checkpoint)
        }
    }
}
