import Cryptography
import TestSupport
import Testing

@testable import KMSWire

/// The Authorization header, in forms it must not have.
@Suite struct AuthorizationTests {
    private static func digest(_ text: String) -> String { base64(SHA256.hash(Array(text.utf8))) }

    private static func verify(authorization: String) throws(SigV4Failure) {
        var request = SignedRequest()
        request.authorization = authorization
        try request.verify()
    }

    private static func text(
        algorithm: String = "AWS4-HMAC-SHA256",
        credential: String = "AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/kms/aws4_request",
        signedHeaders: String = "content-type;host;x-amz-date;x-amz-target",
        signature: String = String(repeating: "0", count: 64)
    ) -> String {
        "\(algorithm) Credential=\(credential), SignedHeaders=\(signedHeaders), "
            + "Signature=\(signature)"
    }

    @Test func `a request without a signature lacks its token`() throws {
        var request = SignedRequest()
        request.remove("Authorization")
        #expect(throws: SigV4Failure.missingAuthenticationToken) { try request.verify() }
        request.head.query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0"
        #expect(throws: SigV4Failure.missingAuthenticationToken) { try request.verify() }
        let failure = SigV4Failure.missingAuthenticationToken
        #expect(failure.exceptionName == "MissingAuthenticationTokenException")
        #expect(failure.message == "Missing Authentication Token")
        #expect(failure.httpStatus == 400)
    }

    @Test(arguments: [
        "", " ", ",", "Bearer x", "AWS AKID:abc", "Basic eA==", "aws4-hmac-sha256 a=b",
    ])
    func `another scheme lacks its token`(_ text: String) throws {
        #expect(throws: SigV4Failure.missingAuthenticationToken) {
            try Self.verify(authorization: text)
        }
    }

    @Test func `a signature in the query beside one in the header is refused`() throws {
        var request = SignedRequest()
        request.head.query = "a=b&X-Amz-Algorithm=AWS4-HMAC-SHA256"
        #expect(throws: SigV4Failure.signedTwice) { try request.verify() }
        #expect(SigV4Failure.signedTwice.exceptionName == "InvalidSignatureException")
    }

    @Test func `missing parameters are named together`() throws {
        let text = "AWS4-HMAC-SHA256 Signature=0"
        let digest = Self.digest(text)
        let failure = SigV4Failure.missing(
            [.credential, .signedHeaders], isDateMissing: true, authorizationDigest: digest)
        var request = SignedRequest()
        request.authorization = text
        request.remove("X-Amz-Date")
        #expect(throws: failure) { try request.verify() }
        #expect(failure.exceptionName == "IncompleteSignatureException")
        #expect(
            failure.message == "Authorization header requires 'Credential' parameter. "
                + "Authorization header requires 'SignedHeaders' parameter. "
                + "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' "
                + "header. (Hashed with SHA-256 and encoded with Base64) Authorization=\(digest)")
    }

    @Test(arguments: ["Credential=", "Signature=", "SignedHeaders="])
    func `an empty parameter is a missing one`(_ name: String) throws {
        let text = SignedRequest().authorization.split(separator: " ").map {
            $0.hasPrefix(name) ? name : String($0)
        }.joined(separator: " ")
        let parameter = try #require(SigV4Failure.Parameter(rawValue: String(name.dropLast())))
        let failure = SigV4Failure.missing(
            [parameter], isDateMissing: false, authorizationDigest: Self.digest(text))
        #expect(throws: failure) { try Self.verify(authorization: text) }
    }

    @Test func `a word without an equal sign is refused`() throws {
        let text =
            "AWS4-HMAC-SHA256 Credential= AKID/20261124/us-east-1/kms/aws4_request, Signature=0"
        let failure = SigV4Failure.malformedParameter(authorizationDigest: Self.digest(text))
        #expect(throws: failure) { try Self.verify(authorization: text) }
        #expect(!failure.message.contains("AKID"))
        #expect(
            failure.message.hasSuffix(
                "(hashed with SHA-256 and encoded with Base64): "
                    + "'\(Self.digest(text))'."))
    }

    @Test(arguments: [", Signature=0", ", Extra=1", ", =", ", credential=a"])
    func `unknown and repeated parameters are refused`(_ suffix: String) throws {
        let text = SignedRequest().authorization + suffix
        #expect(
            throws: SigV4Failure.unexpectedParameter(authorizationDigest: Self.digest(text))
        ) { try Self.verify(authorization: text) }
    }

    @Test func `spaces and commas divide in any number`() throws {
        let text = SignedRequest().authorization
        try Self.verify(authorization: text.replacing(", ", with: ","))
        try Self.verify(authorization: "  " + text.replacing(", ", with: " ,\t ,") + ", ")
    }

    @Test(arguments: [
        "authorization", "Host", "x-amz-date", "X-Amz-Target", "X-AMZ-SECURITY-TOKEN",
        "X-Amz-Content-Sha256",
    ])
    func `a header that is read may occur once`(_ name: String) throws {
        var request = SignedRequest()
        for _ in 0..<2 { request.head.headers.append(HTTPHeader(name, "x")) }
        #expect(throws: SigV4Failure.repeatedHeader(name.lowercased())) { try request.verify() }
    }

    @Test(arguments: [
        "host;x-amz-date;x-amz-target;content-type", "Host;x-amz-date", "host;host;x-amz-date",
        "host;;x-amz-date", ";host", "host;", ";", "host;x amz", "ho\u{0}st", "hóst",
    ])
    func `signed headers are sorted names in lower case`(_ names: String) throws {
        // A space divides parameters, so that case is another failure.
        let text = Self.text(signedHeaders: names)
        let failure =
            names.contains(" ")
            ? SigV4Failure.malformedParameter(authorizationDigest: Self.digest(text))
            : .malformedSignedHeaders
        #expect(throws: failure) { try Self.verify(authorization: text) }
    }

    @Test func `signed headers without end are refused`() throws {
        let names = (0..<129).map { "a\($0 + 1000)" }.joined(separator: ";")
        #expect(throws: SigV4Failure.malformedSignedHeaders) {
            try Self.verify(authorization: Self.text(signedHeaders: names))
        }
    }

    @Test func `host, date and all of Amazon's headers must be signed`() throws {
        for (names, missing) in [
            ("x-amz-date;x-amz-target", "host"), ("host;x-amz-target", "x-amz-date"),
            ("host;x-amz-date", "x-amz-target"),
        ] {
            #expect(throws: SigV4Failure.unsignedHeader(missing)) {
                try Self.verify(authorization: Self.text(signedHeaders: names))
            }
        }
        var request = SignedRequest()
        request.set("X-Amz-Security-Token", "added later")
        #expect(throws: SigV4Failure.unsignedHeader("x-amz-security-token")) {
            try request.verify()
        }
        #expect(
            SigV4Failure.unsignedHeader("host").message
                == "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
        #expect(
            SigV4Failure.unsignedHeader("x-amz-date").message
                == "'X-Amz-Date' must be a 'SignedHeader' in the AWS Authorization.")
    }

    @Test(arguments: ["AWS4-HMAC-SHA25", "AWS4-HMAC-SHA512", "AWS4-ECDSA-P256-SHA256", "AWS4-"])
    func `another algorithm is not supported`(_ name: String) throws {
        let failure = SigV4Failure.unsupportedAlgorithm(name)
        #expect(throws: failure) { try Self.verify(authorization: Self.text(algorithm: name)) }
        #expect(failure.exceptionName == "IncompleteSignatureException")
    }

    @Test(arguments: [
        "a", "a/b/c/d", "a/b/c/d/e/f", "a/b/c/d/e/", "/20261124/us-east-1/kms/aws4_request",
    ])
    func `a credential has five parts`(_ text: String) throws {
        let failure = SigV4Failure.malformedCredential(text)
        #expect(throws: failure) { try Self.verify(authorization: Self.text(credential: text)) }
        #expect(
            failure.message == "Credential must have exactly 5 slash-delimited elements, "
                + "e.g. keyid/date/region/service/term, got '\(text)'")
    }

    @Test func `what is wrong with a scope is told at once`() throws {
        let failure = SigV4Failure.wrongScope([
            .region("C"), .service(expected: "kms"), .terminator("e"),
            .date(scope: "b", header: "20261124T120000Z"),
        ])
        #expect(throws: failure) {
            try Self.verify(authorization: Self.text(credential: "a/b/C/d/e"))
        }
        #expect(failure.exceptionName == "InvalidSignatureException")
        #expect(
            failure.message == "Credential should be scoped to a valid region, not 'C'. "
                + "Credential should be scoped to correct service: 'kms'. "
                + "Credential should be scoped with a valid terminator: 'aws4_request', not 'e'. "
                + "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
                + "from HTTP: 'b' != '20261124', from '20261124T120000Z'.")
    }

    @Test func `credentials for another service or day are refused before any secret`() throws {
        #expect(throws: SigV4Failure.wrongScope([.service(expected: "kms")])) {
            try SignedRequest(service: "s3").verify()
        }
        let text = SignedRequest().authorization.replacing("/20261124/", with: "/20261123/")
        #expect(
            throws: SigV4Failure.wrongScope([
                .date(scope: "20261123", header: "20261124T120000Z")
            ])
        ) { try Self.verify(authorization: text) }
    }

    @Test func `an access key that nobody has is unrecognized`() throws {
        let text = SignedRequest().authorization.replacing("AKIA", with: "ASIA")
        #expect(throws: SigV4Failure.unrecognizedClient) { try Self.verify(authorization: text) }
        #expect(SigV4Failure.unrecognizedClient.exceptionName == "UnrecognizedClientException")
    }

    @Test func `what is repeated to the sender is short and printable`() throws {
        let name = "AWS4-\u{1b}[31m\u{202e}" + String(repeating: "x", count: 1000)
        #expect(
            throws: SigV4Failure.unsupportedAlgorithm(
                "AWS4-?[31m???" + String(repeating: "x", count: 115))
        ) { try Self.verify(authorization: Self.text(algorithm: name)) }
    }

    @Test func `headers without end are refused`() throws {
        var request = SignedRequest()
        request.head.headers += (0..<200).map { HTTPHeader("h\($0)", "") }
        #expect(throws: SigV4Failure.tooManyHeaders) { try request.verify() }
        request = SignedRequest(extra: [HTTPHeader("h", String(repeating: "x", count: 65_536))])
        #expect(throws: SigV4Failure.tooManyHeaders) { try request.verify() }
    }

    /// Changes of the bytes of genuine headers: none may trap, and none may be taken.
    @Test func `hostile headers are refused`() throws {
        var random = RandomSource(seed: 4)
        let genuine = SignedRequest(token: "token")
        try genuine.verify()
        var refusals: [String: Int] = [:]
        for _ in 0..<20_000 {
            var request = genuine
            let place = random.number(0..<request.head.headers.count)
            let header = request.head.headers[place]
            let isName = random.isOne(in: 4)
            let text = mutated(isName ? header.name : header.value, &random)
            request.head.headers[place] =
                isName ? HTTPHeader(text, header.value) : HTTPHeader(header.name, text)
            // The client's name is not signed, and case and outer spaces have no meaning.
            if header.name == "User-Agent" || isSame(request.head.headers[place], header) {
                continue
            }
            do throws(SigV4Failure) {
                try request.verify()
                Issue.record("taken: \(request.head.headers[place]) for \(header)")
            } catch {
                refusals[error.exceptionName, default: 0] += 1
            }
        }
        #expect(refusals.keys.count == 4, "\(refusals)")
    }

    private func isSame(_ one: HTTPHeader, _ other: HTTPHeader) -> Bool {
        func plain(_ value: String) -> [Substring] {
            let isDivider = { (c: Character) in " \t,".contains(c) }
            return one.name == "Authorization"
                ? value.split(whereSeparator: isDivider)
                : value.split { $0 == " " || $0 == "\t" }
        }
        return one.name.lowercased() == other.name.lowercased()
            && plain(one.value) == plain(other.value)
    }

    private func mutated(_ text: String, _ random: inout RandomSource) -> String {
        var bytes = Array(text.utf8)
        for _ in 0..<random.number(1..<4) {
            let place = random.number(0..<bytes.count + 1)
            let odd = Array(" ,;=/\t\n%\"\u{0}\u{7f}AZaz09".utf8)
            switch random.number(0..<5) {
            case 0 where place < bytes.count: bytes[place] ^= 1 << UInt8(random.number(0..<8))
            case 1 where place < bytes.count: bytes.remove(at: place)
            case 2: bytes.insert(odd[random.number(0..<odd.count)], at: place)
            case 3: bytes = Array(bytes[..<place])
            default: bytes += bytes[..<place]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
