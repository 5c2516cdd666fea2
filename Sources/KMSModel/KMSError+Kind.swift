extension KMSError {
    /// What an exception means to whoever asked: what errnos, exit codes and advice are made from.
    package enum Kind: Sendable, Hashable {
        /// Somebody has to allow it.
        case denied
        /// The named object is not there.
        case missing
        /// The name is taken.
        case taken
        /// The object is there and its state forbids it.
        case wrongState
        /// Nobody answers just now; later the same request may work.
        case unavailable
        case timedOut
        /// This service never does it.
        case unsupported
        /// The request itself is wrong.
        case badRequest
        /// Ciphertext, signature or token that is not what it should be.
        case notGenuine
        case limit
        case failed
        /// It would have worked (DryRun).
        case wouldSucceed
    }

    /// No `default`: a new code must choose before it compiles.
    package var kind: Kind {
        switch code {
        case .accessDenied, .notAuthorized: .denied
        case .notFound, .keyStoreNotFound, .clusterNotFound, .externalKeyNotFound,
            .invalidGrantID:
            .missing
        case .alreadyExists, .keyStoreNameInUse, .clusterInUse, .externalKeyInUse: .taken
        case .invalidState, .keyStoreInvalidState: isOutage ? .unavailable : .wrongState
        case .conflict, .disabled, .keyStoreHasKeys, .clusterNotActive: .wrongState
        case .keyUnavailable, .throttling: .unavailable
        case .dependencyTimeout: .timedOut
        case .unsupportedOperation: .unsupported
        case .invalidAliasName, .invalidARN, .invalidKeyUsage, .invalidMarker, .malformedPolicy,
            .tag, .validation, .serialization, .unknownOperation, .clusterInvalidConfiguration,
            .clusterNotRelated, .incorrectTrustAnchor, .externalKeyInvalidConfiguration:
            .badRequest
        case .invalidCiphertext, .incorrectKey, .incorrectKeyMaterial, .invalidMAC,
            .invalidSignature, .invalidImportToken, .expiredImportToken, .invalidGrantToken:
            .notGenuine
        case .limitExceeded: .limit
        case .internalFailure: .failed
        case .dryRun: .wouldSucceed
        }
    }
}
