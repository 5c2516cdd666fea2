import Cryptography
import Foundation
import Glibc
import KMSModel
import Platform
import Testing

@testable import UsageLog

/// The same log for several processes: keys that all know, anchors in a file.
struct ProcessFixture {
    let root: String
    let keys: UsageLogKeys
    let anchors: FileAnchors

    init(root: String) throws {
        self.root = root
        var logKey = [UInt8](repeating: 1, count: 32)
        var seed = [UInt8](repeating: 2, count: 32)
        keys = UsageLogKeys(
            logKey: SecretBytes(consuming: &logKey),
            signingKey: try Ed25519PrivateKey(seed: SecretBytes(consuming: &seed)))
        anchors = FileAnchors(path: root + "/anchors")
    }

    func writer() -> UsageLogWriter {
        UsageLogWriter(
            directory: root + "/log", keys: keys, anchors: anchors, clock: StepClock())
    }

    func verifier() -> UsageLogVerifier {
        UsageLogVerifier(directory: root + "/log", keys: keys, anchors: anchors)
    }
}
