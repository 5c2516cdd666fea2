package import KMSModel
internal import Cryptography

/// AWS Signature Version 4 in the Authorization header.
///
/// Source: AWS IAM user guide, "AWS Signature Version 4 for API requests".
package enum SigV4 {
    static let algorithm = "AWS4-HMAC-SHA256"
    /// What intermediaries change or add stays unsigned, as AWS's own clients leave it.
    static let unsignedHeaders: Set<String> = [
        "authorization", "connection", "expect", "keep-alive", "proxy-authenticate",
        "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade", "user-agent",
        "x-amzn-trace-id",
    ]
}

/// Signs requests to one service in one Region. Thread-safe.
package struct SigV4Signer: Sendable {
    private let region: String
    private let service: String
    private let keys: SigningKeyCache

    package init(
        region: String, service: String = "kms",
        keys: SigningKeyCache = SigningKeyCache(capacity: 4)
    ) {
        self.region = region
        self.service = service
        self.keys = keys
    }

    /// The headers to send besides those of `head`: X-Amz-Date, X-Amz-Security-Token for temporary
    /// credentials, and Authorization, which must never be logged.
    ///
    /// Every header of `head` is signed but the few that change on the way
    /// (``SigV4/unsignedHeaders``). `head` must hold Host as it will be sent, none of the headers
    /// that are answered, and no value with a line break. X-Amz-Content-Sha256 is S3's and not added; where `head` has it,
    /// it is signed like any other.
    package func headers(
        for head: HTTPRequestHead, body: [UInt8], credentials: AWSCredentials, at time: Timestamp
    ) -> [HTTPHeader] {
        let date = BasicDate.text(time)
        var added = [HTTPHeader("X-Amz-Date", date)]
        if let token = credentials.sessionToken {
            added.append(HTTPHeader("X-Amz-Security-Token", token))
        }
        let table = HeaderTable(head.headers + added)
        precondition(table.count("host") == 1, "BUG: a request has one host")
        precondition(table.count("x-amz-date") == 1, "BUG: a request is signed once")
        let names = Set(table.names).subtracting(SigV4.unsignedHeaders).sorted {
            $0.utf8.lexicographicallyPrecedes($1.utf8)
        }
        let scope = CredentialScope(at: time, region: region, service: service)
        let canonical = CanonicalRequest.bytes(
            of: head, table, signing: names, bodyDigest: SHA256.hash(body))
        guard let canonical else { preconditionFailure("BUG: a header has a line break") }
        let signature = key(credentials, scope).signature(of: canonical, at: date, scope: scope)
        added.append(
            HTTPHeader(
                "Authorization",
                "\(SigV4.algorithm) Credential=\(credentials.accessKeyID)/\(scope.text), "
                    + "SignedHeaders=\(names.joined(separator: ";")), "
                    + "Signature=\(String(decoding: signature, as: UTF8.self))"))
        return added
    }

    private func key(_ credentials: AWSCredentials, _ scope: CredentialScope) -> SigningKey {
        let secret = credentials.secretAccessKey
        if let key = keys.key(credentials.accessKeyID, scope, secret: secret) { return key }
        let key = SigningKey(secret: secret, scope: scope)
        keys.keep(key, for: credentials.accessKeyID, scope, secret: secret)
        return key
    }
}
