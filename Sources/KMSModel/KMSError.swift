/// An answer of AWS KMS that is not success. The message is AWS's where AWS's is known.
package enum KMSError: Error, Hashable, Sendable {
    case accessDenied(String)
    case alreadyExists(String)
    case conflict(String)
    case dependencyTimeout(String)
    case disabled(String)
    case incorrectKey
    case internalFailure(String)
    case invalidAliasName(String)
    case invalidARN(String)
    case invalidCiphertext
    case invalidKeyUsage(String)
    case invalidMarker
    case invalidState(String)
    case keyUnavailable(String)
    case limitExceeded(String)
    case malformedPolicyDocument(String)
    case notAuthorized
    case notFound(String)
    case tag(String)
    case unsupportedOperation(String)
    case validation(String)

    /// The exception's name on the wire.
    package var exceptionName: String {
        switch self {
        case .accessDenied: "AccessDeniedException"
        case .alreadyExists: "AlreadyExistsException"
        case .conflict: "ConflictException"
        case .dependencyTimeout: "DependencyTimeoutException"
        case .disabled: "DisabledException"
        case .incorrectKey: "IncorrectKeyException"
        case .internalFailure: "KMSInternalException"
        case .invalidAliasName: "InvalidAliasNameException"
        case .invalidARN: "InvalidArnException"
        case .invalidCiphertext: "InvalidCiphertextException"
        case .invalidKeyUsage: "InvalidKeyUsageException"
        case .invalidMarker: "InvalidMarkerException"
        case .invalidState: "KMSInvalidStateException"
        case .keyUnavailable: "KeyUnavailableException"
        case .limitExceeded: "LimitExceededException"
        case .malformedPolicyDocument: "MalformedPolicyDocumentException"
        case .notAuthorized: "NotAuthorizedException"
        case .notFound: "NotFoundException"
        case .tag: "TagException"
        case .unsupportedOperation: "UnsupportedOperationException"
        case .validation: "ValidationException"
        }
    }

    /// The text of the answer; empty where AWS sends none.
    package var message: String {
        switch self {
        case .accessDenied(let text), .alreadyExists(let text), .conflict(let text),
            .dependencyTimeout(let text), .disabled(let text), .internalFailure(let text),
            .invalidAliasName(let text), .invalidARN(let text), .invalidKeyUsage(let text),
            .invalidState(let text), .keyUnavailable(let text), .limitExceeded(let text),
            .malformedPolicyDocument(let text), .notFound(let text), .tag(let text),
            .unsupportedOperation(let text), .validation(let text):
            text
        case .incorrectKey:
            "The key ID in the request does not identify a CMK that can perform this operation."
        case .invalidMarker: "Could not deserialize marker"
        case .invalidCiphertext, .notAuthorized: ""
        }
    }
}

extension KMSError: CustomStringConvertible {
    package var description: String {
        message.isEmpty ? exceptionName : "\(exceptionName): \(message)"
    }
}
