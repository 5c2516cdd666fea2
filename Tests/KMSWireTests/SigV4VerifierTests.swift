import Cryptography
import KMSModel
import Testing

@testable import KMSWire

@Suite struct SigV4VerifierTests {
    @Test func `a signed request is verified, with and without a session token`() throws {
        try SignedRequest().verify()
        try SignedRequest(token: "token").verify()
        let digest = String(decoding: hexadecimal(SHA256.hash(SignedRequest().body)), as: UTF8.self)
        try SignedRequest(extra: [HTTPHeader("X-Amz-Content-Sha256", digest)]).verify()
    }

    @Test func `header names are compared without case, and order does not matter`() throws {
        var request = SignedRequest()
        request.head.headers = request.head.headers.reversed().map {
            HTTPHeader($0.name.uppercased(), $0.value)
        }
        try request.verify()
    }

    @Test func `spaces around and within a header's value do not matter`() throws {
        var request = SignedRequest(extra: [HTTPHeader("X-Amz-Note", "one two")])
        request.set("X-Amz-Note", "  one  \t two ")
        try request.verify()
        request.set("X-Amz-Note", "onetwo")
        #expect(throws: SigV4Failure.signatureMismatch) { try request.verify() }
    }

    @Test(arguments: ["\n", "\r", "\r\n"])
    func `a line break in a header's value is no form of a space`(_ end: String) throws {
        var request = SignedRequest(extra: [HTTPHeader("X-Amz-Note", "one two")])
        request.set("X-Amz-Note", "one two\(end)")
        #expect(throws: SigV4Failure.signatureMismatch) { try request.verify() }
    }

    // MARK: Each part of a request is covered

    @Test func `another method, path, query, body or secret is no longer signed`() throws {
        var changed = [SignedRequest](repeating: SignedRequest(), count: 5)
        changed[0].head.method = "PUT"
        changed[1].head.path = "/other"
        changed[2].head.query = "a=b"
        changed[3].body[0] ^= 1
        changed[4].body.append(UInt8(ascii: " "))
        for request in changed {
            #expect(throws: SigV4Failure.signatureMismatch) { try request.verify() }
        }
        #expect(throws: SigV4Failure.signatureMismatch) {
            try SignedRequest().verify(secret: "secret2")
        }
        #expect(throws: SigV4Failure.signatureMismatch) { try SignedRequest().verify(secret: "") }
    }

    @Test(arguments: ["Host", "Content-Type", "X-Amz-Target", "X-Amz-Security-Token"])
    func `another value of a signed header is no longer signed`(_ name: String) throws {
        var request = SignedRequest(token: "token")
        request.set(name, "other")
        #expect(throws: SigV4Failure.signatureMismatch) { try request.verify() }
    }

    @Test func `another date is no longer signed`() throws {
        var request = SignedRequest()
        request.set("X-Amz-Date", "20261124T120001Z")
        #expect(throws: SigV4Failure.signatureMismatch) { try request.verify() }
    }

    @Test func `a signed header that is gone is missed`() throws {
        var request = SignedRequest()
        request.remove("Content-Type")
        #expect(throws: SigV4Failure.signatureMismatch) { try request.verify() }
    }

    @Test(arguments: 0..<64)
    func `every digit of the signature counts`(_ index: Int) throws {
        var request = SignedRequest()
        let text = Array(request.authorization)
        let place = text.count - 64 + index
        var changed = text
        changed[place] = text[place] == "0" ? "1" : "0"
        request.authorization = String(changed)
        #expect(throws: SigV4Failure.signatureMismatch) { try request.verify() }
    }

    @Test func `a signature of another length or in capitals is none`() throws {
        let text = SignedRequest().authorization
        let capitals = text.dropLast(64) + text.suffix(64).uppercased()
        for other in [String(text.dropLast()), text + "0", String(capitals)] {
            var request = SignedRequest()
            request.authorization = other
            #expect(throws: SigV4Failure.signatureMismatch) { try request.verify() }
        }
    }

    @Test func `a digest that is announced must be the body's`() throws {
        for digest in ["UNSIGNED-PAYLOAD", String(repeating: "0", count: 64), ""] {
            let request = SignedRequest(extra: [HTTPHeader("X-Amz-Content-Sha256", digest)])
            #expect(throws: SigV4Failure.signatureMismatch) { try request.verify() }
        }
    }

    // MARK: The clock

    @Test(arguments: [-300_000, -1, 0, 1, 300_000] as [Int64])
    func `the clock may be off by five minutes`(_ milliseconds: Int64) throws {
        try SignedRequest().verify(now: SignedRequest.time.advanced(byMilliseconds: milliseconds))
    }

    @Test func `an older request has expired`() throws {
        let now = SignedRequest.time.advanced(byMilliseconds: 300_001)
        let failure = SigV4Failure.expired(signed: SignedRequest.time, now: now)
        #expect(throws: failure) { try SignedRequest().verify(now: now) }
        #expect(failure.exceptionName == "InvalidSignatureException")
        #expect(
            failure.message == "Signature expired: 20261124T120000Z is now earlier than "
                + "20261124T120000Z (20261124T120500Z - 5 min.)")
    }

    @Test func `a request from the future is not yet current`() throws {
        let now = SignedRequest.time.advanced(byMilliseconds: -301_000)
        let failure = SigV4Failure.notYetCurrent(signed: SignedRequest.time, now: now)
        #expect(throws: failure) { try SignedRequest().verify(now: now) }
        #expect(
            failure.message == "Signature not yet current: 20261124T120000Z is still later than "
                + "20261124T115959Z (20261124T115459Z + 5 min.)")
    }

    @Test(arguments: [
        "", "2026", "2026-11-24T12:00:00Z", "20261124T120000", "20261124T120000z",
        "20261124 120000Z", "20261124T120060Z", "20261131T120000Z", "20260229T120000Z",
        "20261324T120000Z", "20261124T240000Z", "2026112\u{661}T120000Z", "Tue, 24 Nov 2026",
        "20261124T120000Z,20261124T120000Z",
    ])
    func `a date of any other form is refused`(_ text: String) throws {
        var request = SignedRequest()
        request.set("X-Amz-Date", text)
        let failure = SigV4Failure.malformedDate(quotable(text.utf8))
        #expect(throws: failure) { try request.verify() }
        #expect(failure.exceptionName == "IncompleteSignatureException")
    }

    @Test func `leap days are dates, in leap years only`() throws {
        #expect(BasicDate.time("20240229T235959Z")?.iso8601 == "2024-02-29T23:59:59Z")
        #expect(BasicDate.time("20000229T000000Z")?.iso8601 == "2000-02-29T00:00:00Z")
        #expect(BasicDate.time("21000229T000000Z") == nil)
        #expect(BasicDate.time("20240431T000000Z") == nil)
        #expect(BasicDate.time("20240430T000000Z") != nil)
    }

    @Test func `the Date header serves when there is no X-Amz-Date, and must be signed`() throws {
        var request = SignedRequest()
        request.remove("X-Amz-Date")
        request.set("Date", "20261124T120000Z")
        #expect(throws: SigV4Failure.unsignedHeader("date")) { try request.verify() }
    }

    // MARK: The cache of signing keys

    @Test func `a key from the cache serves only the secret it was made from`() throws {
        let keys = SigningKeyCache()
        let verifier = SigV4Verifier(keys: keys)
        try SignedRequest().verify(with: verifier)
        #expect(keys.count == 1)
        try SignedRequest().verify(with: verifier)
        #expect(keys.count == 1)
        #expect(throws: SigV4Failure.signatureMismatch) {
            try SignedRequest().verify(secret: "replaced", with: verifier)
        }
        try SignedRequest().verify(with: verifier)
    }

    @Test func `requests that fail put nothing into the cache`() throws {
        let keys = SigningKeyCache()
        let verifier = SigV4Verifier(keys: keys)
        for region in 0..<100 {
            var request = SignedRequest()
            request.authorization = request.authorization.replacing("us-east-1", with: "r\(region)")
            #expect(throws: SigV4Failure.signatureMismatch) { try request.verify(with: verifier) }
        }
        #expect(keys.count == 0)
    }
}
