package import Cryptography
package import KMSModel

/// What a request says about its signature, before that is verified.
package struct SigV4Claim: Sendable {
    /// Whose secret the signature is to be verified with. Not yet to be trusted.
    package let accessKeyID: String
    package let scope: CredentialScope
    /// In lower case, ascending.
    package let signedHeaders: [String]
    /// Present for temporary credentials; signed, where it is present.
    package let sessionToken: String?

    fileprivate let head: HTTPRequestHead
    fileprivate let headers: HeaderTable
    fileprivate let date: String
    fileprivate let signature: [UInt8]
}

/// Verifies requests to one service, in any Region. Thread-safe; does no I/O.
///
/// What is checked, in the order in which AWS was seen to check it: presence and form of the
/// Authorization header, the date's form, the clock (5 minutes either way), the signed headers, the
/// algorithm, the credential scope; then, with the secret, the signature.
///
/// Stricter than AWS was seen to be: all of Host, X-Amz-Date and every X-Amz-… header that is there
/// (X-Amz-Target names the operation) must be signed, as its documentation asks of clients; a header
/// that the protocol reads may occur once; unknown parameters and unsorted lists are refused.
/// Presigned URLs are refused as unsigned, for KMS takes POST only.
package struct SigV4Verifier: Sendable {
    /// More than any client sends, and than a server should read.
    package static let maximumHeaders = 128
    package static let maximumHeaderBytes = 65_536

    private static let singleHeaders = [
        "authorization", "host", "x-amz-date", "date", "x-amz-target", "x-amz-security-token",
        contentDigestHeader,
    ]
    private static let contentDigestHeader = "x-amz-content-sha256"

    private let service: String
    private let keys: SigningKeyCache

    package init(service: String = "kms", keys: SigningKeyCache = SigningKeyCache()) {
        self.service = service
        self.keys = keys
    }

    /// Reads a request's claim, and refuses all that needs no secret to be refused.
    package func claim(
        of head: HTTPRequestHead, now: Timestamp
    ) throws(SigV4Failure) -> SigV4Claim {
        let headers = try Self.headers(of: head)
        guard let text = headers.value("authorization") else { throw .missingAuthenticationToken }
        if Self.isPresigned(head.query) { throw .signedTwice }
        let authorization = try AuthorizationHeader(text)
        let (date, dateHeader) = try Self.date(headers, authorization)
        try Self.checkClock(date, now)
        let names = try Self.signedHeaders(authorization)
        try Self.checkSigned(names, headers, dateHeader: dateHeader)
        guard authorization.algorithm.elementsEqual(SigV4.algorithm.utf8) else {
            throw .unsupportedAlgorithm(quotable(authorization.algorithm))
        }
        let (accessKeyID, scope) = try credential(authorization, date: date)
        return SigV4Claim(
            accessKeyID: accessKeyID, scope: scope, signedHeaders: names,
            sessionToken: headers.value("x-amz-security-token"), head: head, headers: headers,
            date: date, signature: Array(authorization.signature))
    }

    /// Verifies the signature over the claim's request and this body, in a time that does not
    /// depend on where signatures differ.
    ///
    /// - Throws: ``SigV4Failure/signatureMismatch``.
    package func verify(
        _ claim: SigV4Claim, body: [UInt8], secret: SecretBytes
    ) throws(SigV4Failure) {
        let digest = SHA256.hash(body)
        if let announced = claim.headers.value(Self.contentDigestHeader),
            !announced.utf8.elementsEqual(hexadecimal(digest))
        {
            throw .signatureMismatch
        }
        let canonical = CanonicalRequest.bytes(
            of: claim.head, claim.headers, signing: claim.signedHeaders, bodyDigest: digest)
        guard let canonical else { throw .signatureMismatch }
        let known = keys.key(claim.accessKeyID, claim.scope, secret: secret)
        let key = known ?? SigningKey(secret: secret, scope: claim.scope)
        let expected = key.signature(of: canonical, at: claim.date, scope: claim.scope)
        guard constantTimeEqual(expected, claim.signature) else { throw .signatureMismatch }
        // Only now: without the secret nobody can push other keys out of the cache.
        if known == nil { keys.keep(key, for: claim.accessKeyID, claim.scope, secret: secret) }
    }
}

// MARK: - The steps

extension SigV4Verifier {
    private static func headers(of head: HTTPRequestHead) throws(SigV4Failure) -> HeaderTable {
        let byteCount = head.headers.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count }
        guard head.headers.count <= maximumHeaders, byteCount <= maximumHeaderBytes else {
            throw .tooManyHeaders
        }
        let headers = HeaderTable(head.headers)
        for name in singleHeaders where headers.count(name) > 1 { throw .repeatedHeader(name) }
        return headers
    }

    private static func isPresigned(_ query: String) -> Bool {
        query.utf8.split(separator: UInt8(ascii: "&")).contains {
            $0.starts(with: "X-Amz-Algorithm=".utf8)
        }
    }

    /// The date that was signed, and the header that holds it.
    private static func date(
        _ headers: HeaderTable, _ authorization: AuthorizationHeader
    ) throws(SigV4Failure) -> (text: String, header: String) {
        let missing = authorization.missingParameters
        let header = headers.contains("x-amz-date") ? "x-amz-date" : "date"
        guard let text = headers.value(header), missing.isEmpty else {
            throw .missing(
                missing, isDateMissing: !headers.contains(header),
                authorizationDigest: authorization.digest)
        }
        return (text, header)
    }

    private static func checkClock(_ text: String, _ now: Timestamp) throws(SigV4Failure) {
        guard let signed = BasicDate.time(text) else { throw .malformedDate(quotable(text.utf8)) }
        let tolerance = SigV4Failure.toleranceMilliseconds
        if signed < now.advanced(byMilliseconds: -tolerance) {
            throw .expired(signed: signed, now: now)
        }
        if signed > now.advanced(byMilliseconds: tolerance) {
            throw .notYetCurrent(signed: signed, now: now)
        }
    }

    private static func signedHeaders(
        _ authorization: AuthorizationHeader
    ) throws(SigV4Failure) -> [String] {
        let list = authorization.signedHeaders
        guard list.allSatisfy({ isNameByte($0) || $0 == UInt8(ascii: ";") }) else {
            throw .malformedSignedHeaders
        }
        let names = list.split(
            separator: UInt8(ascii: ";"), maxSplits: maximumHeaders,
            omittingEmptySubsequences: false
        ).map { String(decoding: $0, as: UTF8.self) }
        // The names are ASCII by now, so they compare by their bytes; none is empty, since
        // that would not be greater.
        var last = ""
        for name in names {
            guard last < name, names.count <= maximumHeaders else { throw .malformedSignedHeaders }
            last = name
        }
        return names
    }

    /// A character of a token (RFC 9110 §5.6.2) that is no capital.
    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "!"),
            UInt8(ascii: "#")...UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"),
            UInt8(ascii: "^"), UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "~"):
            true
        default: false
        }
    }

    private static func checkSigned(
        _ names: [String], _ headers: HeaderTable, dateHeader: String
    ) throws(SigV4Failure) {
        let amazon = headers.names.filter { $0.hasPrefix("x-amz-") }
        for name in ["host", dateHeader] + amazon where !names.contains(name) {
            throw .unsignedHeader(quotable(name.utf8))
        }
    }

    private func credential(
        _ authorization: AuthorizationHeader, date: String
    ) throws(SigV4Failure) -> (accessKeyID: String, scope: CredentialScope) {
        let parts = authorization.credential.split(
            separator: UInt8(ascii: "/"), maxSplits: 5, omittingEmptySubsequences: false
        ).map { String(decoding: $0, as: UTF8.self) }
        guard parts.count == 5, (1...128).contains(parts[0].utf8.count) else {
            throw .malformedCredential(quotable(authorization.credential))
        }
        var faults: [SigV4Failure.ScopeFault] = []
        // A Region is any name that one could have; which there are, the keys decide.
        if AccountScope(account: "000000000000", region: parts[2]) == nil {
            faults.append(.region(quotable(parts[2].utf8)))
        }
        if parts[3] != service { faults.append(.service(expected: service)) }
        if parts[4] != CredentialScope.terminator {
            faults.append(.terminator(quotable(parts[4].utf8)))
        }
        if parts[1].utf8.count != 8 || !date.hasPrefix(parts[1]) {
            faults.append(.date(scope: quotable(parts[1].utf8), header: date))
        }
        guard faults.isEmpty else { throw .wrongScope(faults) }
        return (parts[0], CredentialScope(date: parts[1], region: parts[2], service: parts[3]))
    }
}
