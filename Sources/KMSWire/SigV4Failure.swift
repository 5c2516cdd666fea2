package import KMSModel

/// Why a signed request is refused, in the words of AWS's front end.
///
/// Messages as recorded from AWS (KMS, DynamoDB, Kinesis); what the sender wrote is repeated as
/// printable ASCII of at most 128 characters, and the Authorization header only as its digest.
package enum SigV4Failure: Error, Hashable, Sendable {
    package enum Parameter: String, Sendable, CaseIterable {
        case credential = "Credential"
        case signature = "Signature"
        case signedHeaders = "SignedHeaders"
    }

    /// What a credential scope has wrong.
    package enum ScopeFault: Hashable, Sendable {
        case region(String)
        case service(expected: String)
        case terminator(String)
        case date(scope: String, header: String)
    }

    /// Neither an Authorization header of a Signature Version 4, nor anything else we take.
    /// Presigned URLs are nothing we take.
    case missingAuthenticationToken
    case signedTwice
    /// A word of the Authorization header without `=`.
    case malformedParameter(authorizationDigest: String)
    /// A parameter that does not exist or occurs twice.
    case unexpectedParameter(authorizationDigest: String)
    case missing([Parameter], isDateMissing: Bool, authorizationDigest: String)
    /// A header that may occur once, by its name in lower case.
    case repeatedHeader(String)
    case tooManyHeaders
    case malformedSignedHeaders
    case malformedDate(String)
    case expired(signed: Timestamp, now: Timestamp)
    case notYetCurrent(signed: Timestamp, now: Timestamp)
    /// Of a header that must be signed, the name in lower case.
    case unsignedHeader(String)
    case unsupportedAlgorithm(String)
    case malformedCredential(String)
    case wrongScope([ScopeFault])
    /// There is no such access key; found by whoever looks it up.
    case unrecognizedClient
    case signatureMismatch

    /// How far the sender's clock may be off, in either direction.
    package static let toleranceMilliseconds: Int64 = 5 * 60 * 1000

    /// Services with a JSON protocol answer 400 to all of them.
    package var httpStatus: Int { 400 }

    /// The exception's name on the wire.
    package var exceptionName: String {
        switch self {
        case .missingAuthenticationToken: "MissingAuthenticationTokenException"
        case .malformedParameter, .unexpectedParameter, .missing, .repeatedHeader, .tooManyHeaders,
            .malformedSignedHeaders, .malformedDate, .unsupportedAlgorithm, .malformedCredential:
            "IncompleteSignatureException"
        case .signedTwice, .expired, .notYetCurrent, .unsignedHeader, .wrongScope,
            .signatureMismatch:
            "InvalidSignatureException"
        case .unrecognizedClient: "UnrecognizedClientException"
        }
    }

    package var message: String {
        switch self {
        case .missingAuthenticationToken: "Missing Authentication Token"
        case .signedTwice:
            "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP "
                + "header."
        case .malformedParameter(let digest):
            "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with "
                + "SHA-256 and encoded with Base64): '\(digest)'."
        case .unexpectedParameter(let digest):
            "Unknown or repeated parameter in Authorization header (hashed with SHA-256 and "
                + "encoded with Base64): '\(digest)'."
        case .missing(let parameters, let isDateMissing, let digest):
            Self.missingText(parameters, isDateMissing)
                + "(Hashed with SHA-256 and encoded with Base64) Authorization=\(digest)"
        case .repeatedHeader(let name): "Header '\(name)' must occur once."
        case .tooManyHeaders: "The request has too many headers."
        case .malformedSignedHeaders:
            "SignedHeaders must be header names in lower case, sorted, with ';' between them."
        case .malformedDate(let text):
            "Date must be in ISO-8601 'basic format'. Got '\(text)'. "
                + "See http://en.wikipedia.org/wiki/ISO_8601"
        case .expired(let signed, let now):
            Self.skewText("Signature expired", signed, "is now earlier than", now, "-")
        case .notYetCurrent(let signed, let now):
            Self.skewText("Signature not yet current", signed, "is still later than", now, "+")
        case .unsignedHeader(let name):
            "\(Self.titled(name)) must be a 'SignedHeader' in the AWS Authorization."
        case .unsupportedAlgorithm(let name):
            "Unsupported AWS 'algorithm': '\(name)' (only AWS4-HMAC-SHA256 for now). "
        case .malformedCredential(let text):
            "Credential must have exactly 5 slash-delimited elements, "
                + "e.g. keyid/date/region/service/term, got '\(text)'"
        case .wrongScope(let faults): faults.map(\.text).joined()
        case .unrecognizedClient: "The security token included in the request is invalid."
        case .signatureMismatch:
            "The request signature we calculated does not match the signature you provided. "
                + "Check your AWS Secret Access Key and signing method. "
                + "Consult the service documentation for details."
        }
    }

    private static func missingText(_ parameters: [Parameter], _ isDateMissing: Bool) -> String {
        let sentences = parameters.map {
            "Authorization header requires '\($0.rawValue)' parameter. "
        }
        let date =
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
        return sentences.joined() + (isDateMissing ? date : "")
    }

    /// `'X-Amz-Date'`; the host has two names.
    private static func titled(_ name: String) -> String {
        if name == "host" { return "'Host' or ':authority'" }
        let words = name.split(separator: "-").map { $0.prefix(1).uppercased() + $0.dropFirst() }
        return "'\(words.joined(separator: "-"))'"
    }

    private static func skewText(
        _ what: String, _ signed: Timestamp, _ relation: String, _ now: Timestamp, _ sign: String
    ) -> String {
        let shift = sign == "-" ? -toleranceMilliseconds : toleranceMilliseconds
        let border = BasicDate.text(now.advanced(byMilliseconds: shift))
        return "\(what): \(BasicDate.text(signed)) \(relation) \(border) "
            + "(\(BasicDate.text(now)) \(sign) 5 min.)"
    }
}

extension SigV4Failure.ScopeFault {
    /// A sentence and a space, as AWS strings them together; the last possible one has none.
    fileprivate var text: String {
        switch self {
        case .region(let name): "Credential should be scoped to a valid region, not '\(name)'. "
        case .service(let expected):
            "Credential should be scoped to correct service: '\(expected)'. "
        case .terminator(let name):
            "Credential should be scoped with a valid terminator: 'aws4_request', not '\(name)'. "
        case .date(let scope, let header):
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
                + "HTTP: '\(scope)' != '\(header.prefix(8))', from '\(header)'."
        }
    }
}

extension SigV4Failure: CustomStringConvertible {
    package var description: String { "\(exceptionName): \(message)" }
}
