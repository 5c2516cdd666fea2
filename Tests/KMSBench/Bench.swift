import Cryptography
import Foundation
import Glibc
import KMSCore
import KMSModel
import KMSStore

/// A keystore in a directory that goes with it, with a passphrase that costs nothing.
final class BenchKeystore {
    static let scope = AccountScope(account: "111122223333", region: "us-east-1")
    static var owner: Caller {
        Caller(
            principalARN: "arn:aws:iam::111122223333:root", process: nil, userAgent: "KMSBench")
    }

    let directory = NSTemporaryDirectory() + "keyfold-bench-" + UUID().uuidString

    init() throws {
        guard let scope = Self.scope else { throw CocoaError(.featureUnsupported) }
        let (keystore, _) = try Keystore.create(
            at: directory, scope: scope, slots: Self.passphrase, clock: SystemWallClock(),
            cost: ScryptCost(logN: 4, r: 8, p: 1))
        keystore.close()
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    static var passphrase: SecretBytes {
        var bytes = Array("bench".utf8)
        return SecretBytes(consuming: &bytes)
    }

    func open() throws -> Keystore {
        try Keystore.open(
            at: directory, unlocking: .passphrase(Self.passphrase), clock: SystemWallClock())
    }

    func openStore() throws -> KeystoreStore {
        try KeystoreStore.open(at: directory, unlocking: .passphrase(Self.passphrase))
    }
}

/// Seconds of processor time of this thread: what others do on the machine counts less than on a
/// clock at the wall.
func processorSeconds() -> Double {
    var time = timespec()
    // SAFETY: the pointer lives for the call.
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// Microseconds of the processor that `body` takes, the best of `rounds`.
func microseconds(_ rounds: Int, _ body: () throws -> Void) rethrows -> Double {
    var best = Double.infinity
    for _ in 0..<rounds {
        let start = processorSeconds()
        try body()
        best = min(best, (processorSeconds() - start) * 1e6)
    }
    return best
}

func line(_ name: String, _ value: Double, _ unit: String) {
    let number = String(format: value < 100 ? "%.2f" : "%.0f", value)
    print(name.padding(toLength: 52, withPad: " ", startingAt: 0) + " \(number) \(unit)")
}

/// Any operation by its document, over and over: how many in a second of the processor.
func callsPerSecond(
    _ seconds: Double, _ service: any KeyService, _ operation: KMSOperation, _ input: Structure,
    as caller: Caller = BenchKeystore.owner
) throws -> Double {
    var count = 0
    let start = processorSeconds()
    var taken = 0.0
    while taken < seconds {
        for _ in 0..<256 { _ = try service.answer(operation, input, as: caller) }
        count += 256
        taken = processorSeconds() - start
    }
    return Double(count) / taken
}
