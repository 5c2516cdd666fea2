/// Why there is no answer to a request.
///
/// Never holds a header or a body. A `detail` is libcurl's own words, printable and short.
package enum TransportError: Error, Hashable, Sendable {
    /// There was no connection: the name, the network, or nobody who listens.
    case unreachable(detail: String)
    /// There was no safe connection: the certificate is not one to trust.
    case insecure(detail: String)
    case timedOut(wasSent: Bool)
    /// The connection ended before the answer did. The request may have been carried out.
    case connectionLost(wasSent: Bool, detail: String)
    case tooLong(limitBytes: Int)
    case malformedAnswer(detail: String)
    /// A header that cannot be sent, by its name.
    case malformedHeader(String)
    /// libcurl refused for another reason, usually for lack of memory.
    case library(code: Int32, detail: String)

    /// Whether the service may have seen the request, and so may have done what it asks.
    package var mayHaveBeenCarriedOut: Bool {
        switch self {
        case .unreachable, .insecure, .malformedHeader: false
        case .timedOut(let wasSent), .connectionLost(let wasSent, _): wasSent
        case .tooLong, .malformedAnswer, .library: true
        }
    }

    /// - Parameter service: who did not answer.
    package func message(about service: String) -> String {
        switch self {
        case .unreachable(let detail): "\(service) cannot be reached: \(detail)"
        case .insecure(let detail): "no safe connection to \(service): \(detail)"
        case .timedOut: "\(service) did not answer in time"
        case .connectionLost(_, let detail): "the connection to \(service) was lost: \(detail)"
        case .tooLong(let limit): "\(service) answered more than \(limit) bytes"
        case .malformedAnswer(let detail):
            "\(service) does not speak HTTP as it should: \(detail)"
        case .malformedHeader(let name): "the header \(name) cannot be sent"
        case .library(let code, let detail): "libcurl failed with code \(code): \(detail)"
        }
    }
}

extension TransportError: CustomStringConvertible {
    package var description: String { message(about: "the key service") }
}
