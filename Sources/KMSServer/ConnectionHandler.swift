internal import Cryptography
internal import KMSModel
internal import KMSWire
internal import NIOCore
internal import NIOHTTP1

/// From the requests of one connection, one after the other, to their answers on the wire. The
/// decisions are ``RequestProcessor``'s; here are bodies, threads and time.
///
/// All of it happens on the connection's event loop, but for what is carried out on the threads of
/// ``RequestPool``: a task for each connection would cost more than what a request asks for. Before
/// it stands NIO's handler that lets no request pass before the one before it is answered.
final class ConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private enum State {
        /// No request has begun, as far as its head is not whole.
        case idle
        case reading(Exchange, Intent, IncomingBody)
        /// The request is there, but the answers before it are not read.
        case held(Exchange, Intent, IncomingBody)
        /// Somebody else's thread is at work.
        case answering(Exchange, KMSOperation?)
        /// Whatever comes is thrown away.
        case ended
    }

    /// What is to be done when a body is there.
    private enum Intent {
        case reply(ServerAnswer)
        /// The same, without a wait for the body, and for the last time on this connection.
        case turnAway(ServerAnswer)
        case health
        case carryOut(AdmittedRequest)

        var operation: KMSOperation? {
            if case .carryOut(let admitted) = self { admitted.operation } else { nil }
        }
    }

    /// One request and where it came from.
    struct Exchange: Sendable {
        let head: KMSWire.HTTPRequestHead
        let peer: Peer
        let requestID: String
        let begin: ServerParts.Now
        /// Whether the client uses the connection again.
        let keepsConnection: Bool
    }

    /// The peer has a moment to read why, before what it still sends meets a closed socket.
    private static let farewellSeconds: Int64 = 1

    private let server: ServerParts
    private let listener: Listener
    private let origin: Origin
    private let deadlines: ConnectionDeadlines
    private var context: ChannelHandlerContext?
    private var state = State.idle
    /// Of the requests of this connection.
    private var number = 0
    private var closesAfterAnswer = false
    /// Answers that are being written; more than one where requests are sent ahead.
    private var answersUnderWay = 0

    init(_ server: ServerParts, _ listener: Listener, _ origin: Origin) {
        self.server = server
        self.listener = listener
        self.origin = origin
        deadlines = ConnectionDeadlines(server.limits)
    }

    // MARK: Events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        deadlines.present = .after(server.limits.idleSeconds)
        deadlines.begin(on: context.eventLoop) { [self] in timeIsUp($0) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadlines.end()
        forgetBody()
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        forgetBody()
        if case .answering = state {} else { state = .ended }
        deadlines.end()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch (unwrapInboundIn(data), state) {
        case (.head(let head), .idle): begin(head, context)
        case (.body(let piece), .reading(let exchange, let intent, let body)):
            receive(piece, of: body, exchange, intent, context)
        case (.end, .reading(let exchange, let intent, let body)):
            act(intent, exchange, body, context)
        case (_, .idle), (_, .reading), (_, .held), (_, .answering), (_, .ended): break
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if case .held(let exchange, let intent, let body) = state, context.channel.isWritable {
            act(intent, exchange, body, context)
        }
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed = event else {
            return context.fireUserInboundEventTriggered(event)
        }
        // Whoever has ended its side is answered.
        closeWhenAnswered()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A parser that was in the middle of a request complains of the end, too; nobody reads an
        // answer then.
        guard context.channel.isActive else { return }
        guard error is HTTPParserError, isAwaitingRequest else {
            return context.close(promise: nil)
        }
        forgetBody()
        state = .ended
        let head = HTTPResponseHead(
            version: .http1_1, status: .badRequest,
            headers: ["Connection": "close", "Content-Length": "0"])
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        context.close(mode: .output, promise: nil)
        sayFarewell(context)
    }

    /// Ends the connection, after the answer that is being worked on if there is one.
    func closeWhenAnswered() {
        closesAfterAnswer = true
        guard let context else { return }
        switch state {
        case .idle, .reading: if answersUnderWay == 0 { context.close(promise: nil) }
        case .held, .answering, .ended: break
        }
    }

    private var isAwaitingRequest: Bool {
        switch state {
        case .idle, .reading: true
        case .held, .answering, .ended: false
        }
    }

    private func timeIsUp(_ what: ConnectionDeadlines.What) {
        guard let context else { return }
        if what == .present, case .answering(let exchange, let operation) = state {
            // The work goes on; nobody waits for it any more.
            reply(refusal(.timedOut, operation, exchange), exchange, context)
        } else {
            context.close(promise: nil)
        }
    }

    private func sayFarewell(_ context: ChannelHandlerContext) {
        let channel = context.channel
        context.eventLoop.scheduleTask(in: .seconds(Self.farewellSeconds)) {
            channel.close(mode: .all, promise: nil)
        }
    }

    private func forgetBody() {
        switch state {
        case .reading(_, _, let body), .held(_, _, let body):
            body.giveUp()
            state = .ended
        case .idle, .answering, .ended: break
        }
    }
}

// MARK: - Requests

extension ConnectionHandler {
    private func begin(_ head: NIOHTTP1.HTTPRequestHead, _ context: ChannelHandlerContext) {
        let exchange = Exchange(
            head: KMSWire.HTTPRequestHead(head), peer: origin.peer, requestID: RandomUUID.text(),
            begin: server.now(), keepsConnection: head.isKeepAlive)
        let announced = head.headers.first(name: "content-length").flatMap { Int($0) }
        let intent = intent(exchange)
        if case .turnAway(let answer) = intent {
            return reply(answer, exchange, context, closes: true)
        }
        if case .carryOut = intent, let expected = head.headers.first(name: "expect"),
            expected.lowercased() == "100-continue"
        {
            let goOn = HTTPResponseHead(version: .http1_1, status: .continue)
            context.writeAndFlush(wrapOutboundOut(.head(goOn)), promise: nil)
        }
        let keeps = if case .carryOut = intent { true } else { false }
        let body = IncomingBody(server.budget, keeps: keeps, announced: announced)
        state = .reading(exchange, intent, body)
        deadlines.present = .after(server.limits.transferSeconds)
        if body.isTooLarge { refuse(.bodyTooLarge, exchange, intent, context) }
    }

    private func intent(_ exchange: Exchange) -> Intent {
        if let special = special(exchange) { return special }
        switch server.processor.admit(
            exchange.head, from: exchange.peer, requestID: exchange.requestID,
            at: exchange.begin.moment)
        {
        case .refused(let answer): return .reply(answer)
        case .turnedAway(let answer): return .turnAway(answer)
        case .accepted(let admitted): return .carryOut(admitted)
        }
    }

    /// Health and numbers; nil for everything else, which is KMS's.
    private func special(_ exchange: Exchange) -> Intent? {
        let isRead = exchange.head.method == "GET" || exchange.head.method == "HEAD"
        let showsNumbers = listener.role == .numbers || exchange.peer.isLocal
        switch exchange.head.path {
        case "/health" where isRead: return .health
        case "/metrics" where isRead && showsNumbers:
            let text = server.registry.text()
            return .reply(
                exchange.plain(status: 200, type: PrometheusRegistry.contentType, text))
        default:
            guard listener.role == .numbers else { return nil }
            return .turnAway(refusal(.notFound, nil, exchange))
        }
    }

    private func receive(
        _ piece: ByteBuffer, of body: IncomingBody, _ exchange: Exchange, _ intent: Intent,
        _ context: ChannelHandlerContext
    ) {
        switch body.append(piece) {
        case .taken: break
        case .tooLarge: refuse(.bodyTooLarge, exchange, intent, context)
        case .noRoom: refuse(.overloaded, exchange, intent, context)
        }
    }

    /// Answers before the body has ended, and so for the last time on this connection: what follows
    /// on it is unknown.
    private func refuse(
        _ failure: FrontEndFailure, _ exchange: Exchange, _ intent: Intent,
        _ context: ChannelHandlerContext
    ) {
        forgetBody()
        let answer =
            if case .reply(let answer) = intent {
                answer
            } else {
                refusal(failure, intent.operation, exchange)
            }
        reply(answer, exchange, context, closes: true)
    }

    private func act(
        _ intent: Intent, _ exchange: Exchange, _ body: IncomingBody,
        _ context: ChannelHandlerContext
    ) {
        guard context.channel.isWritable else {
            state = .held(exchange, intent, body)
            deadlines.present = nil
            return
        }
        switch intent {
        case .reply(let answer), .turnAway(let answer):
            body.giveUp()
            reply(answer, exchange, context)
        case .health:
            let host = server.host
            carryOut(exchange, nil, body.whole(), context) { _ in exchange.health(host.isReady) }
        case .carryOut(let admitted):
            let (processor, now) = (server.processor, server.now)
            let work = { @Sendable (body: WipedBytes) in
                var bytes = body.taken()
                return processor.answer(admitted, body: &bytes, at: now().moment)
            }
            let whole = body.whole()
            // Such work takes less than handing it to another thread and back.
            if processor.isQuick(admitted), let answer = server.pool.runAlone({ work(whole) }) {
                server.budget.give(whole.count)
                reply(answer, exchange, context)
            } else {
                carryOut(exchange, admitted.operation, whole, context, work)
            }
        }
    }

    /// - Parameter body: counts in the budget until the work has ended.
    private func carryOut(
        _ exchange: Exchange, _ operation: KMSOperation?, _ body: WipedBytes,
        _ context: ChannelHandlerContext,
        _ work: @escaping @Sendable (WipedBytes) -> ServerAnswer
    ) {
        number += 1
        state = .answering(exchange, operation)
        deadlines.present = .after(server.limits.answerSeconds)
        let (own, loop) = (NIOLoopBound(self, eventLoop: context.eventLoop), context.eventLoop)
        let (number, budget) = (number, server.budget)
        let isTaken = server.pool.run(on: loop) { isActive in
            defer { budget.give(body.count) }
            return isActive ? work(body) : nil
        } then: { answer in
            loop.execute { own.value.finish(number, answer) }
        }
        guard !isTaken else { return }
        budget.give(body.count)
        finish(number, nil)
    }

    /// - Parameter answer: nil where the service is too busy.
    private func finish(_ number: Int, _ answer: ServerAnswer?) {
        // An answer that nobody waits for is wiped with its last reference.
        guard number == self.number, case .answering(let exchange, let operation) = state else {
            return
        }
        let answer = answer ?? refusal(.overloaded, operation, exchange)
        guard let context else { return server.tell(answer.record, of: exchange) }
        reply(answer, exchange, context)
    }

    private func refusal(
        _ failure: FrontEndFailure, _ operation: KMSOperation?, _ exchange: Exchange
    ) -> ServerAnswer {
        server.processor.refusal(
            failure, operation: operation, requestID: exchange.requestID,
            at: exchange.begin.moment.time)
    }

    // MARK: Answers

    private func reply(
        _ answer: ServerAnswer, _ exchange: Exchange, _ context: ChannelHandlerContext,
        closes: Bool = false
    ) {
        server.tell(answer.record, of: exchange)
        let isLast = closes || closesAfterAnswer || !exchange.keepsConnection
        let head = answer.head(closes: isLast)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if exchange.head.method != "HEAD" {
            let body = answer.body.withBytes { context.channel.allocator.buffer(bytes: $0) }
            context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        }
        answer.body.wipeAll()
        // The next request may come while the end is being written.
        state = isLast ? .ended : .idle
        let (idle, transfer) = (server.limits.idleSeconds, server.limits.transferSeconds)
        deadlines.present = .after(isLast ? transfer : idle)
        answersUnderWay += 1
        if answersUnderWay == 1 { deadlines.write = .after(transfer) }
        let promise = context.eventLoop.makePromise(of: Void.self)
        let own = NIOLoopBound(self, eventLoop: context.eventLoop)
        promise.futureResult.whenComplete { _ in own.value.hasWritten(lingers: closes) }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: promise)
    }

    private func hasWritten(lingers: Bool) {
        answersUnderWay -= 1
        deadlines.write = answersUnderWay > 0 ? .after(server.limits.transferSeconds) : nil
        guard let context, answersUnderWay == 0 else { return }
        switch state {
        case .ended where lingers: sayFarewell(context)
        case .ended: context.close(promise: nil)
        case .idle where closesAfterAnswer: context.close(promise: nil)
        case .idle, .reading, .held, .answering: break
        }
    }
}
