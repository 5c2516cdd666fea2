import Cryptography
import Glibc
import KMSModel
import KMSServer
import Synchronization

/// A service without keys: it answers with what it was asked, or does what a test asks for by a
/// request's key id.
struct EchoService: KeyService {
    let region: String

    func answer(
        _ operation: KMSOperation, _ input: Structure, as caller: Caller
    ) throws(KMSError) -> Structure {
        try operation.input.validate(input)
        let words = input.text(.keyID)?.split(separator: ":").map(String.init) ?? []
        if words.first == "sleep", let milliseconds = words.last.flatMap(UInt32.init) {
            // A request that takes its time, for tests of what happens meanwhile.
            usleep(milliseconds * 1000)
        }
        if words.first == "fail" {
            throw KMSError(KMSError.Code(rawValue: words[1]) ?? .internalFailure, "as asked")
        }
        switch operation {
        case .describeKey:
            // Who asked, from where: what the server made of the request.
            return Structure([
                .keyMetadata: .structure(
                    Structure([
                        .keyID: .text(region), .arn: .text(caller.principalARN),
                        .description: .text(
                            [
                                caller.userAgent, caller.sourceAddress ?? "-",
                                caller.process.map { "\($0.uid)" } ?? "-",
                                caller.requestID ?? "-",
                            ].joined(separator: "|")),
                    ]))
            ])
        case .encrypt:
            // The plaintext in clear: nothing here is a secret.
            return Structure([
                .keyID: input[.keyID],
                .ciphertextBlob: input.secret(.plaintext).map { .bytes($0.copiedBytes()) },
                .encryptionAlgorithm: .choice(EncryptionAlgorithm.symmetricDefault),
            ])
        case .decrypt:
            return Structure([
                .keyID: .text("arn:aws:kms:\(region):111122223333:key/echo"),
                .plaintext: input.bytes(.ciphertextBlob).map { bytes in
                    var copy = bytes
                    return .secret(SecretBytes(consuming: &copy))
                },
                .encryptionAlgorithm: .choice(EncryptionAlgorithm.symmetricDefault),
            ])
        default: return Structure()
        }
    }

    func decrypt(
        _ blob: [UInt8], under key: String?, context: EncryptionContext, as caller: Caller
    ) throws(KMSError) -> UnwrappedData { throw .unsupportedOperation("echo") }

    func reEncrypt(
        _ request: ReEncryptRequest, as caller: Caller
    ) throws(KMSError) -> WrappedData { throw .unsupportedOperation("echo") }

    func generateDataKey(
        under key: String, byteCount: Int, context: EncryptionContext, as caller: Caller
    ) throws(KMSError) -> GeneratedDataKey { throw .unsupportedOperation("echo") }
}

/// Two Regions, one access key, and users as ARNs.
struct EchoHost: KeyServiceHost {
    static let accessKeyID = "AKIAIOSFODNN7EXAMPLE"
    static let brokenAccessKeyID = "AKIABROKENKEYSTORE00"
    static let secretText = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    static let principal = "arn:aws:iam::111122223333:user/test"

    let defaultRegion = "eu-central-1"
    private let secret: SecretBytes
    private let unreadiness: Unreadiness

    /// What a test can switch while the server runs.
    final class Unreadiness: Sendable {
        let isUnready = Atomic(false)
    }

    init(unreadiness: Unreadiness = Unreadiness()) {
        var bytes = Array(Self.secretText.utf8)
        secret = SecretBytes(consuming: &bytes)
        self.unreadiness = unreadiness
    }

    var isReady: Bool { !unreadiness.isUnready.load(ordering: .relaxed) }

    /// Its requests wait when they are told to.
    var answersAtOnce: Bool { false }

    func service(in region: String) -> (any KeyService)? {
        ["eu-central-1", "us-east-1"].contains(region) ? EchoService(region: region) : nil
    }

    func lacksAccessKey(id: String) -> Bool {
        id != Self.accessKeyID && id != Self.brokenAccessKeyID
    }

    func accessKey(id: String) throws(KMSError) -> HostAccessKey? {
        if id == Self.brokenAccessKeyID { throw .internalFailure("the keystore is gone") }
        guard id == Self.accessKeyID else { return nil }
        return HostAccessKey(principalARN: Self.principal, secret: secret)
    }

    func principalARN(uid: UInt32) -> String {
        "arn:aws:iam::111122223333:user/local/uid-\(uid)"
    }
}
