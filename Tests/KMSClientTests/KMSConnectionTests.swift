import Cryptography
import Foundation
import KMSClient
import KMSModel
import KMSWire
import Synchronization
import TestSupport
import Testing

@Suite struct KMSConnectionTests {
    /// The tests' answers are the exception's name.
    @Sendable private static func exceptionName(_ response: HTTPResponse) -> String? {
        String(decoding: exposed(response.body), as: UTF8.self)
    }

    private static let environment = [
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
    ]

    private let clock = TestClock()

    private func connection(
        _ transport: any HTTPPosting, url: String = "http://localhost:8080",
        policy: RetryPolicy = RetryPolicy()
    ) throws -> KMSConnection {
        KMSConnection(
            endpoint: try Endpoint(url), region: "eu-central-1",
            credentials: AWSCredentialSource(
                environment: AWSEnvironment(Self.environment), clock: clock),
            transport: transport, policy: policy, userAgent: "keyfold/test",
            surroundings: .init(clock: clock, pause: { _ in }, draw: { 0 }))
    }

    private func call(
        _ connection: KMSConnection, isIdempotent: Bool = true
    ) throws -> HTTPResponse {
        try connection.call(
            "Decrypt", body: Array("{}".utf8), isIdempotent: isIdempotent, timeLimit: .seconds(30),
            exceptionName: Self.exceptionName)
    }

    @Test func `an answer is given out, whatever its status`() throws {
        for status in [200, 400, 404] {
            let script = AnswerScript([AnswerScript.answer(status, "DisabledException")])
            #expect(try call(try connection(script)).status == status)
            #expect(script.heads.count == 1)
        }
    }

    @Test func `what may pass is repeated, and signed anew`() throws {
        let script = AnswerScript([
            .failure(.unreachable(detail: "")), AnswerScript.answer(400, "ThrottlingException"),
            AnswerScript.answer(500, "KMSInternalException"), AnswerScript.answer(200),
        ])
        #expect(try call(try connection(script)).status == 200)
        #expect(script.heads.count == 4)
    }

    @Test func `the last failure is the one that is told`() throws {
        let script = AnswerScript([
            AnswerScript.answer(503), AnswerScript.answer(503), AnswerScript.answer(503),
            .failure(.timedOut(wasSent: true)),
        ])
        #expect(throws: ConnectionError.transport(.timedOut(wasSent: true))) {
            try call(try connection(script))
        }
    }

    @Test func `what must not be done twice is not repeated after it was sent`() throws {
        let script = AnswerScript([.failure(.timedOut(wasSent: true)), AnswerScript.answer(200)])
        #expect(throws: ConnectionError.transport(.timedOut(wasSent: true))) {
            try call(try connection(script), isIdempotent: false)
        }
        #expect(script.flags == [false])
    }

    @Test func `credentials that are not known are loaded anew`() throws {
        let script = AnswerScript([
            AnswerScript.answer(400, "UnrecognizedClientException"), AnswerScript.answer(200),
        ])
        #expect(try call(try connection(script)).status == 200)
    }

    @Test func `without credentials nothing is sent`() throws {
        let script = AnswerScript([AnswerScript.answer(200)])
        let connection = KMSConnection(
            endpoint: try Endpoint("http://localhost"), region: "r",
            credentials: AWSCredentialSource(environment: AWSEnvironment([:]), clock: clock),
            transport: script, userAgent: "", surroundings: .init(clock: clock))
        #expect(throws: ConnectionError.credentials(.noCredentials)) { try call(connection) }
        #expect(script.heads == [])
    }

    /// Through libcurl and a real server: what arrives is what was signed.
    @Test func `a request arrives as it was signed`() throws {
        let server = try TestServer()
        let connection = try connection(
            try server.transport("/inspect/x"), url: server.url + "/inspect/x")
        let response = try call(connection)
        let seen = try JSON(String(decoding: exposed(response.body), as: UTF8.self))
        let head = HTTPRequestHead(
            path: try #require(seen["path"].string),
            headers: try seen["headers"].list.map {
                HTTPHeader(try #require($0[0].string), try #require($0[1].string))
            })
        let claim = try SigV4Verifier().claim(of: head, now: clock.now())
        var secret = Array("secret".utf8)
        try SigV4Verifier().verify(
            claim, body: Array("{}".utf8), secret: SecretBytes(consuming: &secret))
        #expect(claim.accessKeyID == "AKIAIOSFODNN7EXAMPLE")
        #expect(claim.sessionToken == "token")
        #expect(claim.scope.region == "eu-central-1")
        #expect(
            claim.signedHeaders == [
                "content-type", "host", "x-amz-date", "x-amz-security-token", "x-amz-target",
            ])
        #expect(head.headers.contains(HTTPHeader("X-Amz-Target", "TrentService.Decrypt")))
        #expect(head.headers.contains(HTTPHeader("User-Agent", "keyfold/test")))
    }

    @Test func `a service that is gone is given up within the time that there is`() throws {
        let server = try TestServer()
        let connection = try connection(
            try server.transport("/silent"), url: server.url + "/silent",
            policy: RetryPolicy(attemptTimeout: .milliseconds(200)))
        let clock = ContinuousClock()
        let time = clock.measure {
            #expect(throws: ConnectionError.transport(.timedOut(wasSent: true))) {
                try connection.call(
                    "Decrypt", body: [], timeLimit: .milliseconds(500),
                    exceptionName: Self.exceptionName)
            }
        }
        #expect(time >= .milliseconds(490))
        #expect(time < .seconds(20))
    }
}
