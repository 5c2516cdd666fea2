import Cryptography
import KMSModel
import Platform
import TestSupport
import Testing

@testable import KMSClient

@Suite struct RemoteKeyServiceTests {
    private static let keyID = "1234abcd-12ab-34cd-56ef-1234567890ab"
    private static let arn = "arn:aws:kms:eu-west-1:111122223333:key/\(keyID)"
    private static let caller = Caller(
        principalARN: "", process: ProcessIdentity(uid: 1000, gid: 1000, pid: 7, program: "a b"),
        userAgent: "keyfoldfs/0", fileActivity: FileActivity(operation: .open, path: "secret"))
    private static let opened =
        #"{"KeyId":"\#(arn)","Plaintext":"aGVsbG8=","EncryptionAlgorithm":"SYMMETRIC_DEFAULT","#
        + #""KeyMaterialId":"new-in-2030","Unknown":{"a":[1]}}"#

    private func service(
        _ script: AnswerScript, account: String? = nil, url: String = "http://localhost:8080"
    ) throws -> RemoteKeyService {
        let endpoint = try Endpoint(url)
        let clock = TestClock()
        let environment = AWSEnvironment([
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret",
        ])
        return RemoteKeyService(.init(region: "us-east-1", account: account)) { region in
            KMSConnection(
                endpoint: endpoint.inRegion(region), region: region,
                credentials: AWSCredentialSource(environment: environment, clock: clock),
                transport: script, userAgent: "keyfold/test",
                surroundings: .init(clock: clock, pause: { _ in }, draw: { 0 }))
        }
    }

    private func decrypt(
        _ service: RemoteKeyService, under key: String? = arn
    ) throws(KMSError) -> UnwrappedData {
        try service.decrypt(
            [1, 2, 3], under: key, context: EncryptionContext(["a": "b"]), as: Self.caller)
    }

    @Test
    func `a request is what AWS KMS takes, and its answer may say more than is known`() throws {
        let script = AnswerScript([AnswerScript.answer(200, Self.opened)])
        let data = try decrypt(try service(script))
        #expect(exposed(data.plaintext) == Array("hello".utf8))
        #expect(data.keyARN.description == Self.arn)
        #expect(
            script.bodies == [
                #"{"CiphertextBlob":"AQID","KeyId":"\#(Self.arn)","EncryptionContext":{"a":"b"}}"#
            ])
        #expect(script.lastHeader("X-Amz-Target") == "TrentService.Decrypt")
        #expect(script.lastHeader("User-Agent") == "keyfoldfs/0 op/open uid/1000")
    }

    @Test
    func `a request is signed for its key's Region, or for the service's own`() throws {
        let script = AnswerScript([
            AnswerScript.answer(200, Self.opened), AnswerScript.answer(200, Self.opened),
        ])
        let service = try service(script, url: "https://kms.us-east-1.amazonaws.com")
        _ = try decrypt(service)
        #expect(script.lastHeader("Authorization")?.contains("/eu-west-1/kms/") ?? false)
        #expect(script.lastHeader("Host") == "kms.eu-west-1.amazonaws.com")
        _ = try decrypt(service, under: "alias/x")
        #expect(script.lastHeader("Authorization")?.contains("/us-east-1/kms/") ?? false)
        #expect(script.lastHeader("Host") == "kms.us-east-1.amazonaws.com")
    }

    @Test
    func `keys of another account than the trusted one are refused before anything is sent`()
        throws
    {
        let script = AnswerScript([])
        let service = try service(script, account: "444455556666")
        let failure = #expect(throws: KMSError.self) { try decrypt(service) }
        #expect(failure?.code == .accessDenied)
        let reEncrypt = ReEncryptRequest(
            blob: [1], sourceKey: "alias/x", sourceContext: .empty,
            destinationKey: "arn:aws:kms:eu-west-1:111122223333:alias/x",
            destinationContext: .empty)
        #expect(throws: KMSError.self) { try service.reEncrypt(reEncrypt, as: Self.caller) }
        // Nor one whose account can't be read.
        for arn in ["arn:aws:other:eu-west-1:444455556666:key/\(Self.keyID)", "arn:x"] {
            let unread = #expect(throws: KMSError.self) { try decrypt(service, under: arn) }
            #expect(unread?.code == .accessDenied)
        }
        #expect(script.heads.isEmpty)
    }

    @Test(arguments: [
        (400, #"{"__type":"DisabledException","message":"m"}"#, KMSError(.disabled, "m")),
        (400, #"{"__type":"com.amazonaws.kms#NotFoundException"}"#, KMSError(.notFound)),
        (
            400, #"{"__type":"InvalidSignatureException","message":"no"}"#,
            .accessDenied(
                "the key service refused the credentials: InvalidSignatureException: no")
        ),
        (
            403, #"{"__type":"ForbiddenException"}"#,
            .accessDenied("the key service refused the credentials: ForbiddenException")
        ),
        (
            404, "<html>",
            .internalFailure(
                "the key service answered HTTP 404 without an AWS error: is this the URL of a key "
                    + "service?")
        ),
        (501, "<html>", .keyUnavailable("the key service answered HTTP 501")),
    ])
    func `an error is AWS's where the model has it`(
        _ status: Int, _ body: String, _ expected: KMSError
    ) throws {
        let script = AnswerScript([AnswerScript.answer(status, body)])
        #expect(throws: expected) { try decrypt(try service(script)) }
    }

    @Test(arguments: ["", "{", "[]", #"{"KeyId":"x"}"#, #"{"Plaintext":"%%%%"}"#])
    func `an answer that is not one is an error, whatever it is`(_ body: String) throws {
        let script = AnswerScript([AnswerScript.answer(200, body)])
        let failure = #expect(throws: KMSError.self) { try decrypt(try service(script)) }
        #expect(failure?.code == .internalFailure)
    }

    @Test
    func `a service that is gone is asked once, and then not for a while`() throws {
        let failures = Array(
            repeating: AnswerScript.Answer.failure(.unreachable(detail: "refused")), count: 4)
        let script = AnswerScript(failures)
        let service = try service(script)
        for _ in 0..<3 {
            let failure = #expect(throws: KMSError.self) { try decrypt(service) }
            #expect(failure?.code == .dependencyTimeout)
        }
        #expect(script.heads.count == 4)
    }

    @Test
    func `a Region that is gone does not hold up another one with an endpoint of its own`() throws {
        let gone = Array(
            repeating: AnswerScript.Answer.failure(.unreachable(detail: "refused")), count: 4)
        let script = AnswerScript(gone + [AnswerScript.answer(200, Self.opened)])
        let service = try service(script, url: "https://kms.us-east-1.amazonaws.com")
        #expect(throws: KMSError.self) { try decrypt(service) }
        #expect(script.lastHeader("Host") == "kms.eu-west-1.amazonaws.com")
        _ = try decrypt(service, under: "alias/x")
        #expect(script.lastHeader("Host") == "kms.us-east-1.amazonaws.com")
        // What is gone is not asked again.
        #expect(throws: KMSError.self) { try decrypt(service) }
        #expect(script.heads.count == 5)
    }

    @Test
    func `Regions with one endpoint share its outage`() throws {
        let gone = Array(
            repeating: AnswerScript.Answer.failure(.unreachable(detail: "refused")), count: 4)
        let script = AnswerScript(gone)
        let service = try service(script)
        #expect(throws: KMSError.self) { try decrypt(service) }
        #expect(throws: KMSError.self) { try decrypt(service, under: "alias/x") }
        #expect(script.heads.count == 4)
    }

    @Test
    func `what must not happen twice is never sent twice`() throws {
        let script = AnswerScript([.failure(.timedOut(wasSent: true))])
        let service = try service(script)
        #expect(throws: KMSError.self) {
            try service.createKey(CreateKeyRequest(), as: Self.caller)
        }
        #expect(script.flags == [false])
    }

    @Test func `a data key of another length than asked for is none`() throws {
        let short = #"{"KeyId":"\#(Self.arn)","Plaintext":"aGVsbG8=","CiphertextBlob":"AQID"}"#
        let service = try service(AnswerScript([AnswerScript.answer(200, short)]))
        let error = #expect(throws: KMSError.self) {
            try service.generateDataKey(
                under: "alias/x", byteCount: 32, context: EncryptionContext(["a": "b"]),
                as: Self.caller)
        }
        #expect(error?.code == .internalFailure)
    }

    @Test
    func `a cache asks once for what it knows, and makes nothing up`() throws {
        let dataKey = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="
        let made =
            #"{"KeyId":"\#(Self.arn)","Plaintext":"\#(dataKey)","CiphertextBlob":"AQID"}"#
        let script = AnswerScript([
            AnswerScript.answer(200, made),
            AnswerScript.answer(400, #"{"__type":"InvalidCiphertextException"}"#),
        ])
        let limits = try #require(DataKeyCache.Limits("5m,10"))
        let service = try CachingKeyService(before: try service(script), limits: limits)
        defer { service.close() }
        let context = EncryptionContext(["a": "b"])
        let key = try service.generateDataKey(
            under: "alias/x", byteCount: 32, context: context, as: Self.caller)
        let opened = try service.decrypt(
            key.wrapped.blob, under: Self.arn, context: context, as: Self.caller)
        #expect(opened.plaintext.isEqual(to: key.plaintext))
        #expect(script.heads.count == 1)
        // Another context is another request.
        #expect(throws: KMSError.invalidCiphertext) {
            try service.decrypt(
                key.wrapped.blob, under: Self.arn, context: .empty, as: Self.caller)
        }
    }
}
