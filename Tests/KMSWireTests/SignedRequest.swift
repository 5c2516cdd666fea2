import KMSModel
import KMSWire

/// A Decrypt that was signed as it should be, to be changed.
struct SignedRequest {
    static let time = Timestamp(secondsSinceEpoch: 1_795_521_600)  // 2026-11-24T12:00:00Z
    static let accessKeyID = "AKIAIOSFODNN7EXAMPLE"

    var head: HTTPRequestHead
    var body = Array(#"{"CiphertextBlob":"AQID"}"#.utf8)

    init(
        at time: Timestamp = Self.time, service: String = "kms", token: String? = nil,
        extra: [HTTPHeader] = []
    ) {
        head = HTTPRequestHead(
            headers: [
                HTTPHeader("Host", "localhost:8080"),
                HTTPHeader("Content-Type", "application/x-amz-json-1.1"),
                HTTPHeader("X-Amz-Target", "TrentService.Decrypt"),
                HTTPHeader("User-Agent", "test"),
            ] + extra)
        let credentials = AWSCredentials(
            accessKeyID: Self.accessKeyID, secretAccessKey: secret("secret"), sessionToken: token)
        head.headers += SigV4Signer(region: "us-east-1", service: service).headers(
            for: head, body: body, credentials: credentials, at: time)
    }

    var authorization: String {
        get { head.headers.first { $0.name == "Authorization" }?.value ?? "" }
        set { set("Authorization", newValue) }
    }

    mutating func set(_ name: String, _ value: String) {
        remove(name)
        head.headers.append(HTTPHeader(name, value))
    }

    mutating func remove(_ name: String) {
        head.headers.removeAll { $0.name == name }
    }

    /// Both steps of the verification, with a verifier that has seen nothing yet.
    func verify(
        now: Timestamp = Self.time, secret text: String = "secret",
        with verifier: SigV4Verifier = SigV4Verifier()
    ) throws(SigV4Failure) {
        let claim = try verifier.claim(of: head, now: now)
        guard claim.accessKeyID == Self.accessKeyID else { throw .unrecognizedClient }
        try verifier.verify(claim, body: body, secret: secret(text))
    }
}
