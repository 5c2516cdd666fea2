import Cryptography
import KMSModel
import KMSServer
import KMSWire
import Synchronization

/// An account of two Regions whose service remembers what it was asked and answers as told.
final class FakeHost: KeyServiceHost, KeyService {
    static let accessKeyID = "AKIAIOSFODNN7EXAMPLE"
    static let principal = "arn:aws:iam::111122223333:user/test"

    struct Call: Sendable {
        let operation: KMSOperation
        let input: Structure
        let caller: Caller
    }

    private struct State {
        var calls: [Call] = []
        var answer: Result<Structure, KMSError> = .success(Structure())
        var isReady = true
        var areKeysReadable = true
        var tellsOfKeysAtOnce = false
    }

    let defaultRegion = "eu-central-1"
    let secret = secretBytes("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    private let state = Mutex(State())

    init(answering answer: Result<Structure, KMSError> = .success(Structure())) {
        state.withLock { $0.answer = answer }
    }

    var calls: [Call] { state.withLock { $0.calls } }
    func loseKeys() { state.withLock { $0.areKeysReadable = false } }
    func tellOfKeysAtOnce() { state.withLock { $0.tellsOfKeysAtOnce = true } }

    var isReady: Bool { state.withLock { $0.isReady } }

    let answersAtOnce = false

    func service(in region: String) -> (any KeyService)? {
        ["eu-central-1", "us-east-1"].contains(region) ? self : nil
    }

    func lacksAccessKey(id: String) -> Bool {
        state.withLock { $0.tellsOfKeysAtOnce } && id != Self.accessKeyID
    }

    func accessKey(id: String) throws(KMSError) -> HostAccessKey? {
        guard state.withLock({ $0.areKeysReadable }) else {
            throw .internalFailure("the keystore is gone")
        }
        return id == Self.accessKeyID
            ? HostAccessKey(principalARN: Self.principal, secret: secret) : nil
    }

    func principalARN(uid: UInt32) -> String { "arn:aws:iam::111122223333:user/local/uid-\(uid)" }

    func answer(
        _ operation: KMSOperation, _ input: Structure, as caller: Caller
    ) throws(KMSError) -> Structure {
        let answer = state.withLock { state in
            state.calls.append(Call(operation: operation, input: input, caller: caller))
            return state.answer
        }
        return try answer.get()
    }

    func decrypt(
        _ blob: [UInt8], under key: String?, context: EncryptionContext, as caller: Caller
    ) throws(KMSError) -> UnwrappedData { throw .unsupportedOperation("fake") }

    func reEncrypt(
        _ request: ReEncryptRequest, as caller: Caller
    ) throws(KMSError) -> WrappedData { throw .unsupportedOperation("fake") }

    func generateDataKey(
        under key: String, byteCount: Int, context: EncryptionContext, as caller: Caller
    ) throws(KMSError) -> GeneratedDataKey { throw .unsupportedOperation("fake") }
}

func secretBytes(_ text: String) -> SecretBytes {
    var bytes = Array(text.utf8)
    return SecretBytes(consuming: &bytes)
}

/// A signed request, and what a test changes in it.
struct TestRequest {
    static let time = Timestamp(secondsSinceEpoch: 1_795_000_000)
    static let moment = Moment(time: time, uptimeMilliseconds: 0)
    static let network = Peer.network(address: "192.0.2.7")

    var method = "POST"
    var path = "/"
    var query = ""
    var target: String? = "TrentService.ListKeys"
    var contentType: String? = "application/x-amz-json-1.1"
    var region = "us-east-1"
    var accessKeyID = FakeHost.accessKeyID
    var token: String?
    var body = "{}"
    var more: [HTTPHeader] = []
    var signedAt = Self.time
    var isSigned = true
    var peer = Self.network

    func head(_ host: FakeHost) -> HTTPRequestHead {
        var head = HTTPRequestHead(
            method: method, path: path, query: query,
            headers: [HTTPHeader("Host", "localhost:4599"), HTTPHeader("User-Agent", "a/1 b")])
        if let target { head.headers.append(HTTPHeader("X-Amz-Target", target)) }
        if let contentType { head.headers.append(HTTPHeader("Content-Type", contentType)) }
        head.headers += more
        if isSigned {
            head.headers += SigV4Signer(region: region).headers(
                for: head, body: Array(body.utf8),
                credentials: AWSCredentials(
                    accessKeyID: accessKeyID, secretAccessKey: host.secret, sessionToken: token),
                at: signedAt)
        }
        return head
    }
}

extension RequestProcessor {
    /// Both steps.
    func process(
        _ request: TestRequest, _ host: FakeHost, at moment: Moment = TestRequest.moment,
        changing change: (inout HTTPRequestHead) -> Void = { _ in }
    ) -> ServerAnswer {
        var head = request.head(host)
        change(&head)
        switch admit(head, from: request.peer, requestID: "id-1", at: moment) {
        case .refused(let answer), .turnedAway(let answer): return answer
        case .accepted(let admitted):
            var body = Array(request.body.utf8)
            return answer(admitted, body: &body, at: moment)
        }
    }
}

extension ServerAnswer {
    var text: String { body.withBytes { String(decoding: $0, as: UTF8.self) } }
    /// Of an error: its name and message.
    var error: WireError? { body.withBytes { JSONCodec.decodeError(body: $0) } }
}
