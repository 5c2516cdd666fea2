internal import KMSModel
internal import KMSWire
internal import NIOHTTP1

extension KMSWire.HTTPRequestHead {
    /// The head as it stood on the wire.
    init(_ request: NIOHTTP1.HTTPRequestHead) {
        let target = request.uri
        let mark = target.utf8.firstIndex(of: UInt8(ascii: "?")) ?? target.endIndex
        self.init(
            method: request.method.rawValue, path: String(target[..<mark]),
            query: String(target[mark...].dropFirst()),
            headers: request.headers.map { HTTPHeader($0.name, $0.value) })
    }
}

extension ServerAnswer {
    /// - Parameter closes: whether it is the last one of its connection.
    func head(closes: Bool) -> HTTPResponseHead {
        var fields = HTTPHeaders()
        fields.reserveCapacity(headers.count + 1)
        for header in headers { fields.add(name: header.name, value: header.value) }
        if closes { fields.add(name: "Connection", value: "close") }
        return HTTPResponseHead(
            version: .http1_1, status: HTTPResponseStatus(statusCode: status), headers: fields)
    }
}

extension ConnectionHandler.Exchange {
    func health(_ isReady: Bool) -> ServerAnswer {
        isReady
            ? plain(status: 200, type: "application/json", "{\"status\":\"ok\"}")
            : plain(status: 503, type: "application/json", "{\"status\":\"unavailable\"}")
    }

    /// An answer that is none of KMS's.
    func plain(status: Int, type: String, _ text: String) -> ServerAnswer {
        let record = RequestRecord(
            requestID: requestID, operation: nil, principalARN: nil, status: status,
            exceptionName: status < 400 ? nil : "ServiceUnavailableException")
        return ServerAnswer(
            status: status, contentType: type, body: Array(text.utf8), record: record,
            at: begin.moment.time)
    }
}
