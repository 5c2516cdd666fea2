import Cryptography
import KMSModel
import KMSServer
import KMSWire
import Testing

@Suite struct RequestProcessorTests {
    private let host = FakeHost()
    private var processor: RequestProcessor { RequestProcessor(host: host) }

    @Test func `a signed request reaches its operation, and the answer comes back`() throws {
        let answering = FakeHost(
            answering: .success(
                Structure([
                    .plaintext: .secret(secretBytes("secret")),
                    .keyID: .text("arn:aws:kms:us-east-1:111122223333:key/k"),
                ])))
        var request = TestRequest()
        request.target = "TrentService.Decrypt"
        request.body = #"{"CiphertextBlob":"AQID","EncryptionContext":{"a":"b"}}"#
        let answer = RequestProcessor(host: answering).process(request, answering)
        #expect(answer.status == 200)
        #expect(
            answer.text
                == #"{"Plaintext":"c2VjcmV0","KeyId":"arn:aws:kms:us-east-1:111122223333:key/k"}"#)
        let call = try #require(answering.calls.first)
        #expect(call.operation == .decrypt)
        #expect(call.input.bytes(.ciphertextBlob) == [1, 2, 3])
        #expect(call.input.context(.encryptionContext) == EncryptionContext(["a": "b"]))
        #expect(
            call.caller
                == Caller(
                    principalARN: FakeHost.principal, process: nil, userAgent: "a/1 b",
                    transport: .network(address: "192.0.2.7", usesTLS: false),
                    requestID: "id-1"))
        #expect(answer.record.operation == .decrypt)
        #expect(answer.record.principalARN == FakeHost.principal)
        #expect(answer.record.outcome == "success")
    }

    @Test func `an answer has the headers of AWS's answers`() {
        let answer = processor.process(TestRequest(), host)
        #expect(answer.text == "{}")
        #expect(answer.header("x-amzn-RequestId") == "id-1")
        #expect(answer.header("Content-Type") == "application/x-amz-json-1.1")
        #expect(answer.header("Content-Length") == "2")
        #expect(answer.header("Date") == "Wed, 18 Nov 2026 11:06:40 GMT")
        #expect(answer.header("Cache-Control")?.contains("no-store") == true)
    }

    @Test(arguments: [
        "application/x-amz-json-1.1", "application/x-amz-json-1.0",
        "application/x-amz-json-1.1; charset=utf-8", "Application/X-Amz-Json-1.1",
    ])
    func `both versions of the content type are taken`(_ type: String) {
        var request = TestRequest()
        request.contentType = type
        #expect(processor.process(request, host).status == 200)
    }

    @Test(arguments: [nil, "", "application/json", "text/plain", "application/x-amz-json-1.11"])
    func `another content type is refused`(_ type: String?) {
        var request = TestRequest()
        request.contentType = type
        let answer = processor.process(request, host)
        #expect(answer.status == 400)
        #expect(answer.error?.name == "UnknownOperationException")
        #expect(host.calls.isEmpty)
    }

    @Test(arguments: [
        nil, "", "ListKeys", "TrentService.", "TrentService.listKeys", "TrentService.ListKeysX",
        "trentservice.ListKeys", "Other.ListKeys", "TrentService.ListKeys ",
    ])
    func `what names no operation is an unknown operation`(_ target: String?) {
        var request = TestRequest()
        request.target = target
        let answer = processor.process(request, host)
        #expect(answer.status == 400)
        #expect(answer.text == #"{"__type":"UnknownOperationException"}"#)
    }

    @Test func `a second target is refused, whichever it names`() {
        let answer = processor.process(TestRequest(), host) {
            $0.headers.append(HTTPHeader("x-amz-target", "TrentService.Decrypt"))
        }
        #expect(answer.error?.name == "UnknownOperationException")
        #expect(host.calls.isEmpty)
    }

    @Test(arguments: [
        ("GET", "/", 405), ("PUT", "/", 405), ("POST", "/x", 404), ("GET", "//", 404),
    ])
    func `only POST to the root means anything`(_ method: String, _ path: String, _ status: Int) {
        var request = TestRequest()
        (request.method, request.path) = (method, path)
        let answer = processor.process(request, host)
        #expect(answer.status == status)
        #expect(host.calls.isEmpty)
    }

    @Test func `every operation is known by its name`() {
        for operation in KMSOperation.allCases {
            var request = TestRequest()
            request.target = "TrentService.\(operation.rawValue)"
            #expect(processor.process(request, host).status == 200)
        }
        #expect(host.calls.map(\.operation) == KMSOperation.allCases)
    }

    @Test func `a body that is no request is a serialization error`() {
        var request = TestRequest()
        request.body = #"{"Limit":"x"}"#
        let answer = processor.process(request, host)
        #expect(answer.status == 400)
        #expect(
            answer.error?.kmsError
                == .serialization("STRING_VALUE cannot be converted to Integer"))
        #expect(host.calls.isEmpty)
    }

    @Test func `the body is wiped and emptied`() {
        let head = TestRequest().head(host)
        guard
            case .accepted(let admitted) = processor.admit(
                head, from: TestRequest.network, requestID: "id", at: TestRequest.moment)
        else {
            Issue.record("the request was refused")
            return
        }
        var body = Array("{}".utf8)
        _ = processor.answer(admitted, body: &body, at: TestRequest.moment)
        #expect(body.isEmpty)
    }

    @Test func `an answer's body is wiped where it lies, however often it was passed on`() {
        let answer = processor.process(TestRequest(), host)
        let copy = answer
        answer.body.wipeAll()
        #expect(copy.body.withBytes { $0 } == [0, 0])
    }

    @Test(arguments: KMSError.Code.allCases)
    func `what the service refuses goes back by name`(_ code: KMSError.Code) {
        let failing = FakeHost(answering: .failure(KMSError(code, "why")))
        let answer = RequestProcessor(host: failing).process(TestRequest(), failing)
        let faults: Set<KMSError.Code> = [.internalFailure, .dependencyTimeout, .keyUnavailable]
        #expect(answer.status == (faults.contains(code) ? 500 : 400))
        #expect(answer.error?.kmsError == KMSError(code, "why"))
        #expect(answer.record.exceptionName == code.rawValue)
        #expect(answer.record.outcome != "success")
    }

    @Test func `an answer that the model does not have is an internal failure`() {
        let wrong = FakeHost(answering: .success(Structure([.plaintext: .text("x")])))
        let answer = RequestProcessor(host: wrong).process(TestRequest(), wrong)
        #expect(answer.status == 500)
        #expect(answer.error?.name == "KMSInternalException")
    }

    @Test func `a user agent is short and printable in the usage log`() {
        let request = TestRequest()
        _ = processor.process(request, host) { head in
            head.headers.removeAll { $0.name == "User-Agent" }
            head.headers.append(
                HTTPHeader("user-agent", "a\u{7}é" + String(repeating: "x", count: 1000)))
        }
        let agent = host.calls.first?.caller.userAgent ?? ""
        #expect(agent.utf8.count == 256)
        #expect(agent.hasPrefix("a???xxx"))
    }
}

@Suite struct AuthenticationTests {
    private let host = FakeHost()
    private var processor: RequestProcessor { RequestProcessor(host: host) }

    private func refusal(
        _ request: TestRequest, changing change: (inout HTTPRequestHead) -> Void = { _ in }
    ) -> WireError? {
        let answer = processor.process(request, host, changing: change)
        #expect(answer.status == 400)
        #expect(answer.record.principalARN == nil)
        #expect(host.calls.isEmpty)
        return answer.error
    }

    @Test func `the Region is that of the signature`() throws {
        for region in ["us-east-1", "eu-central-1"] {
            var request = TestRequest()
            request.region = region
            #expect(processor.process(request, host).status == 200)
        }
    }

    @Test func `a Region that the account does not have is refused as AWS refuses it`() {
        var request = TestRequest()
        request.region = "mars-north-1"
        let error = refusal(request)
        #expect(error?.name == "InvalidSignatureException")
        #expect(
            error?.message
                == "Credential should be scoped to a valid region, not 'mars-north-1'. ")
    }

    @Test func `a request without a signature lacks its token`() {
        var request = TestRequest()
        request.isSigned = false
        let error = refusal(request)
        #expect(error?.name == "MissingAuthenticationTokenException")
        #expect(error?.message == "Missing Authentication Token")
    }

    @Test func `an access key that nobody has, and a token that nobody gave, are unrecognized`() {
        var stranger = TestRequest()
        stranger.accessKeyID = "AKIAUNKNOWNUNKNOWN00"
        #expect(refusal(stranger)?.name == "UnrecognizedClientException")
        var temporary = TestRequest()
        temporary.token = "token"
        let error = refusal(temporary)
        #expect(error?.name == "UnrecognizedClientException")
        #expect(error?.message == "The security token included in the request is invalid.")
    }

    @Test func `a changed body, target or signature is refused`() {
        let mismatch = "InvalidSignatureException"
        let answer = {
            let head = TestRequest().head(host)
            guard
                case .accepted(let admitted) = processor.admit(
                    head, from: TestRequest.network, requestID: "id", at: TestRequest.moment)
            else { return nil as WireError? }
            var body = Array("{ }".utf8)
            return processor.answer(admitted, body: &body, at: TestRequest.moment).error
        }()
        #expect(answer?.name == mismatch)
        let target = refusal(TestRequest()) { head in
            head.headers = head.headers.map {
                $0.name == "X-Amz-Target"
                    ? HTTPHeader($0.name, "TrentService.ScheduleKeyDeletion") : $0
            }
        }
        #expect(target?.name == mismatch)
        let signature = refusal(TestRequest()) { head in
            head.headers = head.headers.map {
                $0.name == "Authorization"
                    ? HTTPHeader($0.name, $0.value.dropLast() + "z") : $0
            }
        }
        #expect(signature?.name == mismatch)
        #expect(
            signature?.message.hasPrefix("The request signature we calculated does not match")
                == true)
    }

    @Test func `a clock that is off by more than five minutes is refused`() {
        for milliseconds: Int64 in [-301_000, 301_000] {
            var request = TestRequest()
            request.signedAt = TestRequest.time.advanced(byMilliseconds: milliseconds)
            #expect(refusal(request)?.name == "InvalidSignatureException")
        }
    }

    @Test func `access keys that can't be read are the service's fault`() {
        host.loseKeys()
        let answer = processor.process(TestRequest(), host)
        #expect(answer.status == 500)
        #expect(answer.error?.name == "KMSInternalException")
        #expect(host.calls.isEmpty)
    }

    @Test func `what can be refused by the head alone needs no body`() {
        var request = TestRequest()
        request.isSigned = false
        guard
            case .refused(let answer) = processor.admit(
                request.head(host), from: TestRequest.network, requestID: "id",
                at: TestRequest.moment)
        else {
            Issue.record("the request was admitted")
            return
        }
        #expect(answer.error?.name == "MissingAuthenticationTokenException")
    }

    @Test func `who names an access key that nobody has is turned away by the head alone`() {
        var stranger = TestRequest()
        stranger.accessKeyID = "AKIAUNKNOWNUNKNOWN00"
        var admissions: [Admission] = []
        for request in [stranger, TestRequest()] {
            admissions.append(admission(of: request))
            host.tellOfKeysAtOnce()
            admissions.append(admission(of: request))
        }
        guard case .accepted = admissions[0], case .turnedAway(let answer) = admissions[1],
            case .accepted = admissions[2], case .accepted = admissions[3]
        else {
            Issue.record("\(admissions)")
            return
        }
        #expect(answer.status == 400)
        #expect(answer.error?.name == "UnrecognizedClientException")
        #expect(
            answer.error?.message == "The security token included in the request is invalid.")
    }

    private func admission(of request: TestRequest) -> Admission {
        processor.admit(
            request.head(host), from: request.peer, requestID: "id", at: TestRequest.moment)
    }

    // MARK: Unix sockets

    private let process = ProcessIdentity(uid: 1000, gid: 100, pid: 42, program: "curl")

    @Test func `a process on this machine is its user, without a signature`() throws {
        var request = TestRequest()
        request.isSigned = false
        request.peer = .process(process)
        #expect(processor.process(request, host).status == 200)
        let caller = try #require(host.calls.first?.caller)
        #expect(caller.principalARN == "arn:aws:iam::111122223333:user/local/uid-1000")
        #expect(caller.process == process)
        #expect(caller.transport == .local)
    }

    @Test(arguments: ["192.0.2.7", "127.0.0.1", "::1"])
    func `over TCP a request is as secure as TLS makes it, over a Unix socket it is secure`(
        _ address: String
    ) {
        var request = TestRequest()
        for usesTLS in [false, true] {
            request.peer = .network(address: address, usesTLS: usesTLS)
            #expect(processor.process(request, host).status == 200)
        }
        request.peer = .process(process)
        #expect(processor.process(request, host).status == 200)
        #expect(host.calls.map(\.caller.isSecureTransport) == [false, true, true])
    }

    @Test func `over a Unix socket a signature names the Region, and nobody`() throws {
        var request = TestRequest()
        request.peer = .process(process)
        request.accessKeyID = "AKIAUNKNOWNUNKNOWN00"
        request.region = "us-east-1"
        #expect(processor.process(request, host).status == 200)
        #expect(
            host.calls.first?.caller.principalARN
                == "arn:aws:iam::111122223333:user/local/uid-1000")
        request.region = "mars-north-1"
        #expect(processor.process(request, host).error?.name == "InvalidSignatureException")
    }

    @Test(arguments: [
        ("", "MissingAuthenticationTokenException"),
        ("Bearer x", "MissingAuthenticationTokenException"),
        ("AWS4-HMAC-SHA256 Credential=A/20261118/us-east-1/kms", "IncompleteSignatureException"),
    ])
    func `over a Unix socket a signature that can't be read is refused, not taken for none`(
        _ authorization: String, _ name: String
    ) {
        var request = TestRequest()
        request.peer = .process(process)
        let error = refusal(request) { head in
            head.headers = head.headers.map {
                $0.name == "Authorization" ? HTTPHeader($0.name, authorization) : $0
            }
        }
        #expect(error?.name == name)
    }

    @Test func `over a Unix socket, too, a signature is of this time and for this service`() {
        var request = TestRequest()
        request.peer = .process(process)
        request.signedAt = TestRequest.time.advanced(byMilliseconds: -301_000)
        #expect(refusal(request)?.name == "InvalidSignatureException")
        request.signedAt = TestRequest.time
        let foreign = refusal(request) { head in
            head.headers = head.headers.map {
                HTTPHeader($0.name, $0.value.replacing("/kms/", with: "/s3/"))
            }
        }
        #expect(foreign?.name == "InvalidSignatureException")
    }
}

@Suite struct PeerTests {
    @Test(arguments: [
        ("127.0.0.1", true), ("127.9.9.9", true), ("::1", true), ("::ffff:127.0.0.1", true),
        ("192.0.2.1", false), ("::2", false), ("", false), ("1.127.0.0", false),
    ])
    func `addresses of this machine are known`(_ address: String, _ isLocal: Bool) {
        #expect(Peer.network(address: address).isLocal == isLocal)
    }
}
