import Cryptography
import KMSModel
import Testing

@testable import KMSWire

@Suite struct SigV4VectorTests {
    @Test(arguments: try SigV4Vector.load())
    func `the canonical request is the published one`(_ vector: SigV4Vector) throws {
        let headers = HeaderTable(vector.head.headers)
        let canonical = CanonicalRequest.bytes(
            of: vector.head, headers, signing: Set(headers.names).sorted(),
            bodyDigest: SHA256.hash(vector.body))
        #expect(
            String(decoding: try #require(canonical), as: UTF8.self) == vector.canonicalRequest)
    }

    @Test(arguments: try SigV4Vector.load())
    func `signing gives the published signature`(_ vector: SigV4Vector) throws {
        let signer = SigV4Signer(region: SigV4Vector.region, service: SigV4Vector.service)
        let time = try #require(SigV4Vector.time)
        let added = signer.headers(
            for: vector.unsigned, body: vector.body, credentials: vector.credentials, at: time)
        let authorization = try #require(added.last)
        #expect(authorization.name == "Authorization")
        #expect(authorization.value.hasSuffix("Signature=" + vector.signature))
        #expect(added.first == HTTPHeader("X-Amz-Date", "20150830T123600Z"))
        let token = vector.header("X-Amz-Security-Token")
        #expect(added.first { $0.name == "X-Amz-Security-Token" }?.value == token)
    }

    @Test(arguments: try SigV4Vector.load())
    func `the published signature is verified, and no other`(_ vector: SigV4Vector) throws {
        let verifier = SigV4Verifier(service: SigV4Vector.service)
        let time = try #require(SigV4Vector.time)
        let names = Set(HeaderTable(vector.head.headers).names).sorted().joined(separator: ";")
        var head = vector.head
        func sign(_ signature: String) -> HTTPHeader {
            HTTPHeader(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request,"
                    + "SignedHeaders=\(names),Signature=\(signature)")
        }
        head.headers.append(sign(vector.signature))
        let claim = try verifier.claim(of: head, now: time)
        #expect(claim.accessKeyID == "AKIDEXAMPLE")
        #expect(claim.scope.region == "us-east-1")
        #expect(claim.sessionToken == vector.header("X-Amz-Security-Token"))
        let secret = vector.credentials.secretAccessKey
        try verifier.verify(claim, body: vector.body, secret: secret)

        let flipped = vector.signature.hasPrefix("a") ? "b" : "a"
        head.headers[head.headers.count - 1] = sign(flipped + vector.signature.dropFirst())
        let other = try verifier.claim(of: head, now: time)
        #expect(throws: SigV4Failure.signatureMismatch) {
            try verifier.verify(other, body: vector.body, secret: secret)
        }
    }
}
