internal import Cryptography
package import KMSModel
package import KMSWire

/// From a request to its answer: what the server does, without sockets, clocks and threads.
///
/// In two steps, so that a body is only read for requests that may be good. Both may be called from
/// any thread; the second looks into the keystore and takes the time that this takes.
package struct RequestProcessor: Sendable {
    /// A client's own words about itself in the usage log: this many bytes at most.
    package static let maximumUserAgentBytes = 256

    private let host: any KeyServiceHost
    private let verifier: SigV4Verifier
    private let quota: RequestQuota?

    package init(
        host: any KeyServiceHost, verifier: SigV4Verifier = SigV4Verifier(),
        quota: RequestQuota? = nil
    ) {
        self.host = host
        self.verifier = verifier
        self.quota = quota
    }

    /// The first step: all that can be said without the body, and without a wait for the keystore.
    package func admit(
        _ head: HTTPRequestHead, from peer: Peer, requestID: String, at moment: Moment
    ) -> Admission {
        var operation: KMSOperation?
        do throws(FrontEndFailure) {
            guard head.path == "/" else { throw .notFound }
            guard head.method == "POST" else { throw .wrongMethod }
            try checkContentType(head)
            let target = try Self.operation(head)
            operation = target
            let credentials = try credentials(head, peer, at: moment.time)
            return .accepted(
                AdmittedRequest(
                    operation: target, credentials: credentials, peer: peer,
                    userAgent: Self.userAgent(head), requestID: requestID))
        } catch {
            let answer = refusal(
                error, operation: operation, requestID: requestID, at: moment.time)
            return error == .signature(.unrecognizedClient)
                ? .turnedAway(answer) : .refused(answer)
        }
    }

    /// Whether the second step takes microseconds, unless something holds it up: what is asked with
    /// symmetric keys above all. With a key pair it may take milliseconds.
    package func isQuick(_ request: AdmittedRequest) -> Bool {
        switch request.operation {
        case .encrypt, .decrypt, .reEncrypt, .generateDataKey, .generateDataKeyWithoutPlaintext,
            .generateMAC, .verifyMAC, .generateRandom, .describeKey:
            host.answersAtOnce
        default: false
        }
    }

    /// The second step: who asks, whether they may so soon again, and the operation itself.
    ///
    /// - Parameter body: wiped and emptied, since it may hold plaintext.
    package func answer(
        _ request: AdmittedRequest, body: inout [UInt8], at moment: Moment
    ) -> ServerAnswer {
        defer {
            wipe(&body)
            body = []
        }
        var principal: String?
        do throws(RequestFailure) {
            let (caller, service) = try authenticated(request, body)
            principal = caller.principalARN
            let input = try RequestFailure.carrying { () throws(KMSError) in
                try JSONCodec.decode(body: body, as: request.operation.input)
            }
            let operationClass = OperationClass(request.operation, input)
            if let quota,
                !quota.admits(caller.principalARN, request.region(host), operationClass, at: moment)
            {
                throw .kms(.throttled)
            }
            let answer = try RequestFailure.carrying { () throws(KMSError) in
                try JSONCodec.encode(
                    try service.answer(request.operation, input, as: caller),
                    as: request.operation.output)
            }
            return ServerAnswer(
                status: 200, body: answer,
                record: record(request, principal, status: 200, exception: nil), at: moment.time)
        } catch {
            return failure(error, request, principal, at: moment.time)
        }
    }

    /// For requests that never come as far as ``answer(_:body:at:)``.
    package func refusal(
        _ failure: FrontEndFailure, operation: KMSOperation? = nil, requestID: String,
        at time: Timestamp
    ) -> ServerAnswer {
        let record = RequestRecord(
            requestID: requestID, operation: operation, principalARN: nil, status: failure.status,
            exceptionName: failure.exceptionName)
        return ServerAnswer(
            status: failure.status,
            body: JSONCodec.encodeError(failure.exceptionName, failure.message), record: record,
            at: time)
    }
}

/// What the first step says.
package enum Admission: Sendable {
    case refused(ServerAnswer)
    /// So is whatever else comes from there: nobody here has such an access key.
    case turnedAway(ServerAnswer)
    /// Its body is worth reading.
    case accepted(AdmittedRequest)
}

/// A request whose head is in order. Nobody has been believed yet.
package struct AdmittedRequest: Sendable {
    package let operation: KMSOperation
    fileprivate let credentials: Credentials
    fileprivate let peer: Peer
    fileprivate let userAgent: String
    package let requestID: String

    fileprivate enum Credentials: Sendable {
        case signed(SigV4Claim)
        /// The kernel says who it is.
        case process(ProcessIdentity, region: String?)
    }

    fileprivate func region(_ host: any KeyServiceHost) -> String {
        switch credentials {
        case .signed(let claim): claim.scope.region
        case .process(_, let region): region ?? host.defaultRegion
        }
    }
}

/// A point in time on two clocks: the calendar's, and one that never jumps.
package struct Moment: Sendable, Hashable {
    package let time: Timestamp
    /// Since whenever the second clock began.
    package let uptimeMilliseconds: Int64

    package init(time: Timestamp, uptimeMilliseconds: Int64) {
        self.time = time
        self.uptimeMilliseconds = uptimeMilliseconds
    }
}

private enum RequestFailure: Error {
    case frontEnd(FrontEndFailure)
    case kms(KMSError)

    static func carrying<Result>(
        _ body: () throws(KMSError) -> Result
    ) throws(RequestFailure) -> Result {
        do throws(KMSError) {
            return try body()
        } catch {
            throw .kms(error)
        }
    }
}

// MARK: - The head

extension RequestProcessor {
    private static let targetPrefix = "TrentService."
    private static let operations = Dictionary(
        uniqueKeysWithValues: KMSOperation.allCases.map { ($0.rawValue, $0) })

    private static func operation(_ head: HTTPRequestHead) throws(FrontEndFailure) -> KMSOperation {
        guard let target = head.onlyValue("x-amz-target"), target.hasPrefix(targetPrefix),
            let operation = operations[String(target.dropFirst(targetPrefix.count))]
        else { throw .unknownOperation }
        return operation
    }

    /// Version 1.0 differs in nothing that KMS has. Parameters, such as a charset, are let pass.
    private func checkContentType(_ head: HTTPRequestHead) throws(FrontEndFailure) {
        let value = head.onlyValue("content-type") ?? ""
        let type = value.prefix { $0 != ";" && $0 != " " }.lowercased()
        guard type == ServerAnswer.jsonType || type == "application/x-amz-json-1.0" else {
            throw .wrongContentType
        }
    }

    private func credentials(
        _ head: HTTPRequestHead, _ peer: Peer, at time: Timestamp
    ) throws(FrontEndFailure) -> AdmittedRequest.Credentials {
        let claim = try claim(head, peer, at: time)
        switch peer {
        // Over a Unix socket a signature proves nothing that the kernel does not know better. It
        // still names the Region that the client means.
        case .process(let process): return .process(process, region: claim?.scope.region)
        case .network:
            guard let claim else { throw .signature(.missingAuthenticationToken) }
            // There are no temporary credentials here, so no token can be right.
            guard claim.sessionToken == nil, !host.lacksAccessKey(id: claim.accessKeyID) else {
                throw .signature(.unrecognizedClient)
            }
            return .signed(claim)
        }
    }

    /// nil without an Authorization header, for a peer that needs none. One that can't be read is
    /// refused all the same: its Region is not known, and another one has other keys.
    private func claim(
        _ head: HTTPRequestHead, _ peer: Peer, at time: Timestamp
    ) throws(FrontEndFailure) -> SigV4Claim? {
        if case .process = peer, head.values("authorization").isEmpty { return nil }
        do throws(SigV4Failure) {
            return try verifier.claim(of: head, now: time)
        } catch {
            throw .signature(error)
        }
    }

    /// Printable ASCII, and not too long.
    private static func userAgent(_ head: HTTPRequestHead) -> String {
        let text = head.values("user-agent").first ?? ""
        let printable = UInt8(ascii: " ")...UInt8(ascii: "~")
        return String(
            decoding: text.utf8.prefix(maximumUserAgentBytes).map {
                printable.contains($0) ? $0 : UInt8(ascii: "?")
            }, as: UTF8.self)
    }
}

extension HTTPRequestHead {
    /// - Parameter name: in lower case.
    fileprivate func values(_ name: String) -> [String] {
        headers.filter { $0.isNamed(name) }.map(\.value)
    }

    /// nil also when there are two: which one counts would be a guess.
    fileprivate func onlyValue(_ name: String) -> String? {
        let values = values(name)
        return values.count == 1 ? values[0] : nil
    }
}

extension HTTPHeader {
    /// Without a copy of the name in lower case; names are ASCII (RFC 9110 §5.1).
    fileprivate func isNamed(_ lowercaseName: String) -> Bool {
        let (own, wanted) = (name.utf8.span, lowercaseName.utf8.span)
        guard own.count == wanted.count else { return false }
        for index in own.indices {
            let isCapital = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(own[index])
            guard wanted[index] == (isCapital ? own[index] | 0x20 : own[index]) else {
                return false
            }
        }
        return true
    }
}

// MARK: - Who asks

extension RequestProcessor {
    private func authenticated(
        _ request: AdmittedRequest, _ body: [UInt8]
    ) throws(RequestFailure) -> (Caller, any KeyService) {
        let region = request.region(host)
        var caller = Caller(
            principalARN: "", process: nil, userAgent: request.userAgent,
            requestID: request.requestID)
        switch request.credentials {
        case .process(let process, _):
            caller.principalARN = host.principalARN(uid: process.uid)
            caller.process = process
        case .signed(let claim):
            caller.principalARN = try verified(claim, body).principalARN
            if case .network(let address, let usesTLS) = request.peer {
                caller.transport = .network(address: address, usesTLS: usesTLS)
            }
        }
        guard let service = host.service(in: region) else {
            throw .frontEnd(.signature(.wrongScope([.region(region)])))
        }
        return (caller, service)
    }

    private func verified(
        _ claim: SigV4Claim, _ body: [UInt8]
    ) throws(RequestFailure) -> HostAccessKey {
        let key = try RequestFailure.carrying { () throws(KMSError) in
            try host.accessKey(id: claim.accessKeyID)
        }
        guard let key else { throw .frontEnd(.signature(.unrecognizedClient)) }
        do throws(SigV4Failure) {
            try verifier.verify(claim, body: body, secret: key.secret)
        } catch {
            throw .frontEnd(.signature(error))
        }
        return key
    }
}

// MARK: - Failures

extension RequestProcessor {
    private func failure(
        _ failure: RequestFailure, _ request: AdmittedRequest, _ principal: String?,
        at time: Timestamp
    ) -> ServerAnswer {
        switch failure {
        case .frontEnd(let failure):
            return refusal(
                failure, operation: request.operation, requestID: request.requestID, at: time)
        case .kms(let error):
            return ServerAnswer(
                status: error.httpStatus, body: JSONCodec.encode(error),
                record: record(
                    request, principal, status: error.httpStatus, exception: error.exceptionName),
                at: time)
        }
    }

    private func record(
        _ request: AdmittedRequest, _ principal: String?, status: Int, exception: String?
    ) -> RequestRecord {
        RequestRecord(
            requestID: request.requestID, operation: request.operation, principalARN: principal,
            status: status, exceptionName: exception)
    }
}
