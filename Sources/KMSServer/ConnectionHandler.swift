internal import HTTPTypes
internal import HummingbirdCore
internal import KMSModel
internal import KMSWire
internal import Logging
internal import NIOCore

/// From one request on a connection to its answer on the wire. The decisions are
/// ``RequestProcessor``'s; here are bodies, threads and time.
struct HTTPResponder: Sendable {
    let server: ServerParts
    let listener: Listener

    func respond(
        _ request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel
    ) async throws {
        let begin = server.now()
        let peer = try await Peer(of: channel, at: listener)
        let exchange = Exchange(
            head: HTTPRequestHead(request.head), peer: peer, requestID: RequestID.random(),
            begin: begin)
        var reply = try await special(exchange, channel)
        if reply == nil {
            switch server.processor.admit(
                exchange.head, from: peer, requestID: exchange.requestID, at: begin.moment)
            {
            case .refused(let answer):
                reply = try await refuse(answer, request, exchange, channel)
            case .accepted(let admitted):
                if request.headers[.expect]?.lowercased() == "100-continue" {
                    try await writer.writeInformationalHead(HTTPResponse(status: .continue))
                }
                reply = try await carryOut(admitted, request, exchange, channel)
            }
        }
        guard let reply else { return }
        server.tell(reply.answer.record, of: exchange)
        try await send(reply, isHead: exchange.head.method == "HEAD", writer, channel)
    }

    /// One request and where it came from.
    struct Exchange: Sendable {
        let head: HTTPRequestHead
        let peer: Peer
        let requestID: String
        let begin: ServerParts.Now
    }

    private struct Reply {
        let answer: ServerAnswer
        /// Whether the connection can't be used again, since what follows on it is unknown.
        var closes = false
    }

    // MARK: What is not KMS

    /// Health and numbers; nil for everything else, which is KMS's.
    private func special(_ exchange: Exchange, _ channel: any Channel) async throws -> Reply? {
        let isRead = exchange.head.method == "GET" || exchange.head.method == "HEAD"
        let showsNumbers = listener.role == .numbers || exchange.peer.isLocal
        switch exchange.head.path {
        case "/health" where isRead: return Reply(answer: await health(exchange, channel))
        case "/metrics" where isRead && showsNumbers:
            return Reply(
                answer: plain(
                    exchange, status: 200, type: PrometheusRegistry.contentType,
                    server.registry.text()))
        default:
            guard listener.role == .numbers else { return nil }
            let answer = server.processor.refusal(
                .notFound, requestID: exchange.requestID, at: exchange.begin.moment.time)
            return Reply(answer: answer, closes: true)
        }
    }

    private func health(_ exchange: Exchange, _ channel: any Channel) async -> ServerAnswer {
        let outcome = await server.pool.run(on: channel.eventLoop) { [self] in
            server.host.isReady
                ? plain(exchange, status: 200, type: "application/json", "{\"status\":\"ok\"}")
                : plain(
                    exchange, status: 503, type: "application/json",
                    "{\"status\":\"unavailable\"}")
        }
        if case .answered(let answer) = outcome { return answer }
        return plain(exchange, status: 503, type: "application/json", "{\"status\":\"busy\"}")
    }

    private func plain(
        _ exchange: Exchange, status: Int, type: String, _ text: String
    ) -> ServerAnswer {
        let record = RequestRecord(
            requestID: exchange.requestID, operation: nil, principalARN: nil, status: status,
            exceptionName: status < 400 ? nil : "ServiceUnavailableException")
        return ServerAnswer(
            status: status, contentType: type, body: Array(text.utf8), record: record,
            at: exchange.begin.moment.time)
    }

    // MARK: What is KMS

    private func refuse(
        _ answer: ServerAnswer, _ request: Request, _ exchange: Exchange, _ channel: any Channel
    ) async throws -> Reply {
        // The body is on its way already. Most are short, and the connection is of use afterwards.
        switch try await read(request, keeping: false, channel) {
        case .whole: return Reply(answer: answer)
        case .tooLarge, .noRoom: return Reply(answer: answer, closes: true)
        }
    }

    private func carryOut(
        _ admitted: AdmittedRequest, _ request: Request, _ exchange: Exchange,
        _ channel: any Channel
    ) async throws -> Reply {
        switch try await read(request, keeping: true, channel) {
        case .tooLarge:
            return Reply(answer: refusal(.bodyTooLarge, admitted, exchange), closes: true)
        case .noRoom:
            return Reply(answer: refusal(.overloaded, admitted, exchange), closes: true)
        case .whole(let body):
            defer { server.budget.give(body.count) }
            let (processor, now) = (server.processor, server.now)
            let outcome = await server.pool.run(on: channel.eventLoop) {
                var body = body.taken()
                return processor.answer(admitted, body: &body, at: now().moment)
            }
            switch outcome {
            case .answered(let answer): return Reply(answer: answer)
            case .overloaded: return Reply(answer: refusal(.overloaded, admitted, exchange))
            case .timedOut: return Reply(answer: refusal(.timedOut, admitted, exchange))
            }
        }
    }

    private func refusal(
        _ failure: FrontEndFailure, _ admitted: AdmittedRequest, _ exchange: Exchange
    ) -> ServerAnswer {
        server.processor.refusal(
            failure, operation: admitted.operation, requestID: exchange.requestID,
            at: exchange.begin.moment.time)
    }

    // MARK: Bytes

    private enum Reading {
        case whole(WipedBytes)
        case tooLarge
        case noRoom
    }

    /// Reads the body to its end, in the time and to the size that it may have.
    ///
    /// - Parameter keeping: whether anybody wants it.
    /// - Throws: when the connection ends first, which it also does after its time.
    private func read(
        _ request: Request, keeping: Bool, _ channel: any Channel
    ) async throws -> Reading {
        let limit = JSONCodec.maximumBodyBytes
        let announced = request.headers[.contentLength].flatMap { Int($0) }
        if let announced, announced > limit { return .tooLarge }
        let deadline = server.closing(channel, afterSeconds: server.limits.transferSeconds)
        defer { deadline.cancel() }
        var bytes: [UInt8] = []
        // One piece of memory where that is possible, since it may hold plaintext and is wiped.
        if keeping { bytes.reserveCapacity(announced ?? 8192) }
        var count = 0
        var isWhole = false
        defer { if keeping, !isWhole { server.budget.give(count) } }
        for try await piece in request.body {
            count += piece.readableBytes
            if keeping, !server.budget.take(piece.readableBytes) {
                count -= piece.readableBytes
                return .noRoom
            }
            if count > limit { return .tooLarge }
            if keeping { bytes.append(contentsOf: piece.readableBytesView) }
        }
        isWhole = true
        return .whole(WipedBytes(bytes))
    }

    private func send(
        _ reply: Reply, isHead: Bool, _ writer: consuming ResponseWriter,
        _ channel: any Channel
    ) async throws {
        let deadline = server.closing(channel, afterSeconds: server.limits.transferSeconds)
        defer { deadline.cancel() }
        var head = HTTPResponse(status: .init(code: reply.answer.status))
        for header in reply.answer.headers {
            guard let name = HTTPField.Name(header.name) else { continue }
            head.headerFields.append(HTTPField(name: name, value: header.value))
        }
        if reply.closes { head.headerFields[.connection] = "close" }
        let body =
            isHead
            ? ResponseBody()
            : ResponseBody(
                byteBuffer: reply.answer.body.withBytes { channel.allocator.buffer(bytes: $0) })
        reply.answer.body.wipeAll()
        try await writer.write(response: head, body: body)
        // The peer has a moment to read why, before what it still sends meets a closed socket.
        if reply.closes { _ = server.closing(channel, afterSeconds: 1) }
    }
}

extension HTTPRequestHead {
    /// The head as it stood on the wire, Host included.
    fileprivate init(_ request: HTTPRequest) {
        let target = request.path ?? ""
        let mark = target.firstIndex(of: "?") ?? target.endIndex
        var headers = request.authority.map { [HTTPHeader("host", $0)] } ?? []
        for field in request.headerFields {
            headers.append(HTTPHeader(field.name.rawName, field.value))
        }
        self.init(
            method: request.method.rawValue, path: String(target[..<mark]),
            query: String(target[mark...].dropFirst()), headers: headers)
    }
}
