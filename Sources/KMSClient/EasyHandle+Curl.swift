internal import CCurl
internal import Cryptography
internal import KMSWire
internal import Platform

/// libcurl, set up once for the process.
enum CurlLibrary {
    /// `static let` runs once, as curl_global_init demands.
    private static let status = keyfold_curl_global_init()

    static func setUp() throws(TransportError) {
        guard status == CURLE_OK else { throw failure(status) }
    }

    static func failure(_ code: CURLcode, detail: String? = nil) -> TransportError {
        .library(code: Int32(code.rawValue), detail: detail ?? text(code))
    }

    static func text(_ code: CURLcode) -> String {
        // SAFETY: the library answers an immortal NUL-terminated string for every code.
        unsafe curl_easy_strerror(code).map { unsafe String(cString: $0) } ?? "unknown"
    }
}

/// One CURL easy handle with its connection. One thread at a time.
///
/// Unchecked: the transport's pool gives a handle to one caller and forgets it until it
/// is back.
@safe
final class EasyHandle: @unchecked Sendable {  // SAFETY: above
    private let handle: UnsafeMutableRawPointer
    private let errorText: UnsafeMutablePointer<CChar>
    private var answer: AnswerCollector

    /// A handle for an endpoint; nothing is connected yet.
    init(endpoint: Endpoint, options: HTTPTransport.Options) throws(TransportError) {
        try CurlLibrary.setUp()
        guard let made = unsafe curl_easy_init() else {
            throw CurlLibrary.failure(CURLE_OUT_OF_MEMORY)
        }
        unsafe handle = made
        unsafe errorText = UnsafeMutablePointer.allocate(capacity: Int(CURL_ERROR_SIZE))
        unsafe errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        answer = AnswerCollector(limitBytes: options.maximumResponseBytes)
        try setUpProtocol(endpoint)
        try setUpSecurity(endpoint, options)
        try setUpAnswer(options)
    }

    deinit {
        // SAFETY: made in `init`, freed only here; the text outlives the handle that writes to it.
        unsafe curl_easy_cleanup(handle)
        unsafe errorText.deallocate()
    }
}

// MARK: - Options that stay

extension EasyHandle {
    private func setUpProtocol(_ endpoint: Endpoint) throws(TransportError) {
        try set(CURLOPT_URL, endpoint.url)
        let code = unsafe keyfold_curl_set_protocols(handle, endpoint.carrier == .tls ? 1 : 0)
        guard code == CURLE_OK else { throw CurlLibrary.failure(code) }
        if case .unixSocket(let path) = endpoint.carrier {
            try set(CURLOPT_UNIX_SOCKET_PATH, path)
        }
        // The empty name switches off what the environment says.
        if endpoint.isLoopback { try set(CURLOPT_PROXY, "") }
        try set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        try set(CURLOPT_FOLLOWLOCATION, 0)
        try set(CURLOPT_POST, 1)
        try set(CURLOPT_TCP_KEEPALIVE, 1)
        try set(CURLOPT_MAXCONNECTS, 1)
        // No signals: timeouts must work in any thread. A slow resolver is left behind.
        try set(CURLOPT_NOSIGNAL, 1)
        unsafe keyfold_curl_set_quick_exit(handle)
    }

    private func setUpSecurity(
        _ endpoint: Endpoint, _ options: HTTPTransport.Options
    ) throws(TransportError) {
        guard endpoint.carrier == .tls else { return }
        try set(CURLOPT_SSL_VERIFYPEER, 1)
        try set(CURLOPT_SSL_VERIFYHOST, 2)
        try set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
        if let file = options.caFile {
            try set(CURLOPT_CAINFO, file)
            // Else the system's directory would be trusted, too.
            let code = unsafe keyfold_curl_set_string(handle, CURLOPT_CAPATH, nil)
            guard code == CURLE_OK else { throw CurlLibrary.failure(code) }
        }
    }

    private func setUpAnswer(_ options: HTTPTransport.Options) throws(TransportError) {
        // SAFETY: libcurl keeps the pointers and uses them in `perform` only: `errorText` and
        // `answer` live as long as this object, which outlasts the call.
        let context = unsafe Unmanaged.passUnretained(answer).toOpaque()
        let codes = unsafe [
            keyfold_curl_set_pointer(handle, CURLOPT_ERRORBUFFER, errorText),
            keyfold_curl_set_callback(handle, CURLOPT_WRITEFUNCTION, takeBody),
            keyfold_curl_set_pointer(handle, CURLOPT_WRITEDATA, context),
            keyfold_curl_set_callback(handle, CURLOPT_HEADERFUNCTION, takeHeader),
            keyfold_curl_set_pointer(handle, CURLOPT_HEADERDATA, context),
            keyfold_curl_set_size(
                handle, CURLOPT_MAXFILESIZE_LARGE, Int64(options.maximumResponseBytes)),
        ]
        for code in codes where code != CURLE_OK { throw CurlLibrary.failure(code) }
    }

    private func set(_ option: CURLoption, _ value: Int) throws(TransportError) {
        let code = unsafe keyfold_curl_set_long(handle, option, value)
        guard code == CURLE_OK else { throw CurlLibrary.failure(code) }
    }

    private func set(_ option: CURLoption, _ value: String) throws(TransportError) {
        // SAFETY: the string becomes a C string for the length of the call, which copies it.
        let code = unsafe keyfold_curl_set_string(handle, option, value)
        guard code == CURLE_OK else { throw CurlLibrary.failure(code) }
    }
}

// MARK: - One request

extension EasyHandle {
    func perform(_ call: HTTPCall, body: RawSpan) throws(TransportError) -> HTTPResponse {
        let lines = try HeaderLines(call.headerLines)
        answer.begin()
        try set(CURLOPT_TIMEOUT_MS, call.timeoutMilliseconds)
        try set(CURLOPT_CONNECTTIMEOUT_MS, call.connectTimeoutMilliseconds)
        // A connection that is used again, and turns out dead, makes libcurl send a second time.
        try set(CURLOPT_FRESH_CONNECT, call.isIdempotent ? 0 : 1)
        unsafe errorText.pointee = 0
        let code = SignalMask.withoutBrokenPipes {
            unsafe body.withUnsafeBytes { body in
                // SAFETY: body and lines outlive the transfer; the handle forgets both after it.
                // An empty body has no address, which libcurl takes for "ask for the body".
                defer {
                    unsafe keyfold_curl_set_pointer(handle, CURLOPT_POSTFIELDS, nil)
                    unsafe keyfold_curl_set_pointer(handle, CURLOPT_HTTPHEADER, nil)
                }
                unsafe keyfold_curl_set_pointer(handle, CURLOPT_HTTPHEADER, lines.first)
                unsafe keyfold_curl_set_size(
                    handle, CURLOPT_POSTFIELDSIZE_LARGE, Int64(body.count))
                unsafe keyfold_curl_set_pointer(
                    handle, CURLOPT_POSTFIELDS, body.baseAddress ?? UnsafeRawPointer(errorText))
                return unsafe curl_easy_perform(handle)
            }
        }
        // The last use of the lines is not where libcurl reads them.
        extendLifetime(lines)
        guard code == CURLE_OK else {
            answer.discard()
            throw failure(code)
        }
        return answer.response(status: number(CURLINFO_RESPONSE_CODE))
    }

    private func number(_ info: CURLINFO) -> Int {
        var value = 0
        // SAFETY: `value` outlives the call.
        let code = unsafe keyfold_curl_get_long(handle, info, &value)
        return code == CURLE_OK ? value : 0
    }

    private func failure(_ code: CURLcode) -> TransportError {
        let wasSent = number(CURLINFO_REQUEST_SIZE) > 0
        let detail = errorDetail ?? CurlLibrary.text(code)
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_CONNECT,
            CURLE_PROXY:
            return .unreachable(detail: detail)
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CIPHER,
            CURLE_SSL_ISSUER_ERROR, CURLE_SSL_CERTPROBLEM:
            return .insecure(detail: detail)
        case CURLE_OPERATION_TIMEDOUT: return .timedOut(wasSent: wasSent)
        case CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_GOT_NOTHING, CURLE_PARTIAL_FILE,
            CURLE_SSL_CONNECT_ERROR:  // The handshake ended, for whatever reason.
            return .connectionLost(wasSent: wasSent, detail: detail)
        case CURLE_FILESIZE_EXCEEDED: return .tooLong(limitBytes: answer.limitBytes)
        case CURLE_WRITE_ERROR where answer.isTooLong:
            return .tooLong(limitBytes: answer.limitBytes)
        case CURLE_WEIRD_SERVER_REPLY, CURLE_UNSUPPORTED_PROTOCOL, CURLE_WRITE_ERROR,
            CURLE_BAD_CONTENT_ENCODING:
            return .malformedAnswer(detail: detail)
        default: return CurlLibrary.failure(code, detail: detail)
        }
    }

    /// libcurl's words about this failure; nil when it left none.
    private var errorDetail: String? {
        // SAFETY: libcurl writes at most CURL_ERROR_SIZE bytes, NUL included.
        let text = unsafe String(cString: errorText)
        let printable = text.utf8.prefix(200).map { (0x20...0x7E).contains($0) ? $0 : 0x3F }
        return printable.isEmpty ? nil : String(decoding: printable, as: UTF8.self)
    }
}

/// A curl_slist of header lines, freed with its last reference.
@safe
private final class HeaderLines {
    private(set) var first: UnsafeMutablePointer<curl_slist>?

    init(_ lines: [String]) throws(TransportError) {
        for line in lines {
            // SAFETY: the call copies the line; nil leaves the list as it was, to be freed.
            guard let longer = unsafe curl_slist_append(first, line) else {
                throw CurlLibrary.failure(CURLE_OUT_OF_MEMORY)
            }
            unsafe first = longer
        }
    }

    deinit {
        unsafe curl_slist_free_all(first)
    }
}

// MARK: - Callbacks

private func takeBody(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int,
    _ context: UnsafeMutableRawPointer?
) -> Int {
    // SAFETY: libcurl gives back the collector of the handle that performs, and `size * count`
    // bytes that are valid for this call.
    guard let context = unsafe context else { return 0 }
    let collector = unsafe Unmanaged<AnswerCollector>.fromOpaque(context).takeUnretainedValue()
    let piece = unsafe UnsafeRawBufferPointer(start: bytes, count: size * count)
    return unsafe collector.take(body: piece) ? size * count : 0
}

private func takeHeader(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int,
    _ context: UnsafeMutableRawPointer?
) -> Int {
    // SAFETY: as above.
    guard let context = unsafe context else { return 0 }
    let collector = unsafe Unmanaged<AnswerCollector>.fromOpaque(context).takeUnretainedValue()
    let line = unsafe UnsafeRawBufferPointer(start: bytes, count: size * count)
    return unsafe collector.take(headerLine: Array(line)) ? size * count : 0
}

/// Collects one answer at a time; its memory is used again, and wiped in between.
private final class AnswerCollector {
    private static let keptBytes = 16_384
    private static let maximumHeaders = 128

    let limitBytes: Int
    private(set) var isTooLong = false
    private var headers: [HTTPHeader] = []
    private var body: [UInt8] = []

    init(limitBytes: Int) {
        self.limitBytes = limitBytes
        body.reserveCapacity(Self.keptBytes)
    }

    deinit { discard() }

    func begin() {
        isTooLong = false
        headers = []
    }

    func take(body piece: UnsafeRawBufferPointer) -> Bool {
        guard piece.count <= limitBytes - body.count else {
            isTooLong = true
            return false
        }
        if body.capacity - body.count < piece.count { grow(by: piece.count) }
        unsafe body.append(contentsOf: piece)
        return true
    }

    /// Moves to more room, and leaves nothing behind.
    private func grow(by count: Int) {
        var larger: [UInt8] = []
        larger.reserveCapacity(max(body.count + count, body.capacity * 2))
        larger.append(contentsOf: body)
        wipe(&body)
        body = larger
    }

    /// A status line begins anew: what was before it announced this one.
    func take(headerLine line: [UInt8]) -> Bool {
        if line.starts(with: "HTTP/".utf8) { headers = [] }
        guard let cut = line.firstIndex(of: UInt8(ascii: ":")) else { return true }
        let isSpace = { (byte: UInt8) in byte <= 0x20 }
        var value = line[(cut + 1)...].drop(while: isSpace)
        while let last = value.last, isSpace(last) { value.removeLast() }
        headers.append(
            HTTPHeader(
                String(decoding: line[..<cut], as: UTF8.self),
                String(decoding: value, as: UTF8.self)))
        return headers.count <= Self.maximumHeaders
    }

    func response(status: Int) -> HTTPResponse {
        defer { discard() }
        return HTTPResponse(
            status: status, headers: headers,
            body: body.withRawSpan { SecretBytes(copying: $0) })
    }

    func discard() {
        wipe(&body)
        if body.capacity > Self.keptBytes * 4 {
            body = []
            body.reserveCapacity(Self.keptBytes)
        } else {
            body.removeAll(keepingCapacity: true)
        }
    }
}
