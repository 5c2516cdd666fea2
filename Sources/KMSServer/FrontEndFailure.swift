package import KMSModel
package import KMSWire

/// Why a request is refused before any operation saw it.
package enum FrontEndFailure: Error, Hashable, Sendable {
    /// A path or method that means nothing here.
    case notFound
    case wrongMethod
    /// Neither AWS JSON 1.1 nor 1.0.
    case wrongContentType
    /// X-Amz-Target is absent, or names no operation of KMS.
    case unknownOperation
    case signature(SigV4Failure)
    case bodyTooLarge
    /// As many requests as the server takes at once are under way.
    case overloaded
    /// The service did not answer in time.
    case timedOut

    /// AWS's front end answers 400 to whatever a client did wrong.
    package var status: Int {
        switch self {
        case .notFound: 404
        case .wrongMethod: 405
        case .wrongContentType, .unknownOperation: 400
        case .signature(let failure): failure.httpStatus
        case .bodyTooLarge: 413
        case .overloaded: 503
        case .timedOut: KMSError.dependencyTimeout("").httpStatus
        }
    }

    /// The exception's name on the wire.
    package var exceptionName: String {
        switch self {
        case .notFound, .wrongMethod, .wrongContentType, .unknownOperation:
            KMSError.Code.unknownOperation.rawValue
        case .signature(let failure): failure.exceptionName
        case .bodyTooLarge: "RequestEntityTooLargeException"
        case .overloaded: "ServiceUnavailableException"
        case .timedOut: KMSError.Code.dependencyTimeout.rawValue
        }
    }

    /// Empty where AWS sends none.
    package var message: String {
        switch self {
        case .notFound, .wrongMethod, .unknownOperation: ""
        case .wrongContentType: "The Content-Type must be application/x-amz-json-1.1"
        case .signature(let failure): failure.message
        case .bodyTooLarge: "The request is larger than \(JSONCodec.maximumBodyBytes) bytes."
        case .overloaded: "The service is busy. Try again later."
        case .timedOut:
            "The system timed out while trying to fulfill the request. You can retry the request."
        }
    }
}

extension KMSError {
    /// 400, but for what the service model calls the service's own faults.
    package var httpStatus: Int {
        switch code {
        case .internalFailure, .dependencyTimeout, .keyUnavailable: 500
        default: 400
        }
    }

    /// Source: recorded from AWS.
    static let throttled = KMSError(
        .throttling,
        "You have exceeded the rate at which you may call KMS. "
            + "Reduce the frequency of your calls.")
}
