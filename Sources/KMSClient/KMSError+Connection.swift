package import KMSModel
internal import KMSWire

extension KMSError {
    /// What a caller of ``KeyService`` is told where no answer came.
    package init(_ error: ConnectionError, from endpoint: Endpoint) {
        switch error {
        case .credentials(let error):
            let hint = error.hint.map { ": \($0)" } ?? ""
            self = .accessDenied(error.message + hint)
        case .transport(let error):
            let message = error.message(about: "the key service \(endpoint)")
            switch error {
            case .timedOut, .unreachable, .connectionLost: self = .dependencyTimeout(message)
            case .insecure: self = .keyUnavailable(message)
            case .tooLong, .malformedAnswer, .malformedHeader, .library:
                self = .internalFailure(message)
            }
        }
    }

    /// What a service answered instead of success. Exceptions of the front end, which the service
    /// model leaves out, become the nearest that it has.
    ///
    /// - Parameter error: nil where the body says nothing that can be read.
    init(_ error: WireError?, status: Int) {
        if let known = error?.kmsError {
            self = known
            return
        }
        let words = error.map { $0.message.isEmpty ? $0.name : "\($0.name): \($0.message)" }
        switch status {
        case 400..<500 where error != nil:
            // Signatures, tokens and access keys that are not believed.
            self = .accessDenied("the key service refused the credentials: \(words ?? "")")
        case 500...:
            self = .keyUnavailable(
                "the key service answered HTTP \(status)" + (words.map { ": \($0)" } ?? ""))
        default:
            self = .internalFailure(
                "the key service answered HTTP \(status) without an AWS error: is this the URL of "
                    + "a key service?")
        }
    }
}

extension ConnectionError {
    /// Whether the next request would meet the same.
    var isOutage: Bool {
        switch self {
        case .credentials: false
        case .transport(let error):
            switch error {
            case .unreachable, .insecure, .timedOut, .connectionLost: true
            case .tooLong, .malformedAnswer, .malformedHeader, .library: false
            }
        }
    }
}
