internal import HummingbirdCore
internal import KMSModel
internal import Logging
internal import NIOCore
internal import NIOHTTP1

/// How a connection that was accepted becomes one of the protocol: HTTP/1.1 of NIO's, then
/// ``ConnectionHandler``. Accepting, counting and ending connections is Hummingbird's.
struct KeyChannel: ServerChildChannel {
    struct Value: ServerChildChannelValue {
        let channel: any Channel
        fileprivate let handler: NIOLoopBound<ConnectionHandler>
    }

    let server: ServerParts
    let listener: Listener

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        Origin.of(channel, at: listener).flatMapThrowing { origin in
            var limits = NIOHTTPDecoderLimitConfiguration()
            limits.maxHeaderFieldSize = ServerLimits.headerFieldBytes
            limits.maxHeaderListSize = ServerLimits.headerBytes
            limits.maxHeaderFieldCount = ServerLimits.headerFields
            let pipeline = channel.pipeline.syncOperations
            // Errors are answered by the last handler; names and values of headers are our own.
            try pipeline.configureHTTPServerPipeline(
                withPipeliningAssistance: true, withErrorHandling: false,
                withOutboundHeaderValidation: false, withEncoderConfiguration: .init(),
                withDecoderLimitConfiguration: limits)
            let handler = ConnectionHandler(server, listener, origin)
            try pipeline.addHandler(handler)
            return Value(
                channel: channel, handler: NIOLoopBound(handler, eventLoop: channel.eventLoop))
        }
    }

    func handle(value: Value, logger: Logger) async {
        await withTaskCancellationHandler {
            // How it ended is nobody's concern.
            try? await value.channel.closeFuture.get()
        } onCancel: {
            value.channel.eventLoop.execute { value.handler.value.closeWhenAnswered() }
        }
    }
}
