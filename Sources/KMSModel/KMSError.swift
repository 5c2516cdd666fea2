/// An answer of AWS KMS that is not success. The message is AWS's where AWS's is known.
package struct KMSError: Error, Hashable, Sendable {
    /// Which exception, by its name on the wire.
    package enum Code: String, Sendable, Hashable, CaseIterable {
        // Of the service model.
        case alreadyExists = "AlreadyExistsException"
        case clusterInUse = "CloudHsmClusterInUseException"
        case clusterInvalidConfiguration = "CloudHsmClusterInvalidConfigurationException"
        case clusterNotActive = "CloudHsmClusterNotActiveException"
        case clusterNotFound = "CloudHsmClusterNotFoundException"
        case clusterNotRelated = "CloudHsmClusterNotRelatedException"
        case conflict = "ConflictException"
        case dependencyTimeout = "DependencyTimeoutException"
        case disabled = "DisabledException"
        case dryRun = "DryRunOperationException"
        case expiredImportToken = "ExpiredImportTokenException"
        case incorrectKey = "IncorrectKeyException"
        case incorrectKeyMaterial = "IncorrectKeyMaterialException"
        case incorrectTrustAnchor = "IncorrectTrustAnchorException"
        case internalFailure = "KMSInternalException"
        case invalidAliasName = "InvalidAliasNameException"
        case invalidARN = "InvalidArnException"
        case invalidCiphertext = "InvalidCiphertextException"
        case invalidGrantID = "InvalidGrantIdException"
        case invalidGrantToken = "InvalidGrantTokenException"
        case invalidImportToken = "InvalidImportTokenException"
        case invalidKeyUsage = "InvalidKeyUsageException"
        case invalidMAC = "KMSInvalidMacException"
        case invalidMarker = "InvalidMarkerException"
        case invalidSignature = "KMSInvalidSignatureException"
        case invalidState = "KMSInvalidStateException"
        case keyStoreHasKeys = "CustomKeyStoreHasCMKsException"
        case keyStoreInvalidState = "CustomKeyStoreInvalidStateException"
        case keyStoreNameInUse = "CustomKeyStoreNameInUseException"
        case keyStoreNotFound = "CustomKeyStoreNotFoundException"
        case keyUnavailable = "KeyUnavailableException"
        case limitExceeded = "LimitExceededException"
        case malformedPolicy = "MalformedPolicyDocumentException"
        case notFound = "NotFoundException"
        case tag = "TagException"
        case unsupportedOperation = "UnsupportedOperationException"
        case externalKeyInUse = "XksKeyAlreadyInUseException"
        case externalKeyInvalidConfiguration = "XksKeyInvalidConfigurationException"
        case externalKeyNotFound = "XksKeyNotFoundException"
        // Of the front end, which the service model leaves out.
        case accessDenied = "AccessDeniedException"
        case notAuthorized = "NotAuthorizedException"
        case serialization = "SerializationException"
        case throttling = "ThrottlingException"
        case unknownOperation = "UnknownOperationException"
        case validation = "ValidationException"
    }

    package let code: Code
    /// Empty where AWS sends none.
    package let message: String
    /// Whether the service's own disk was full: room mends it. Nothing on the wire tells it.
    package let isOutOfSpace: Bool
    /// Whether it is no state of the keystore that forbids this, but something outside of it, such
    /// as a token, that does not answer as it should: later the same request may work. AWS has the
    /// same exception for both, so nothing on the wire tells it.
    package let isOutage: Bool
    /// What the usage log says: `message`, but where the caller must not know it all. Nothing on
    /// the wire tells it.
    package let loggedMessage: String

    package init(
        _ code: Code, _ message: String = "", isOutOfSpace: Bool = false, isOutage: Bool = false,
        loggedMessage: String? = nil
    ) {
        self.code = code
        self.message = message
        self.isOutOfSpace = isOutOfSpace
        self.isOutage = isOutage
        self.loggedMessage = loggedMessage ?? message
    }

    /// The exception's name on the wire.
    package var exceptionName: String { code.rawValue }
}

extension KMSError: CustomStringConvertible {
    package var description: String {
        message.isEmpty ? exceptionName : "\(exceptionName): \(message)"
    }
}

// The exceptions that the rules speak of most, in the words of an enumeration.
extension KMSError {
    package static func accessDenied(_ message: String) -> KMSError {
        KMSError(.accessDenied, message)
    }
    package static func alreadyExists(_ message: String) -> KMSError {
        KMSError(.alreadyExists, message)
    }
    package static func conflict(_ message: String) -> KMSError { KMSError(.conflict, message) }
    package static func dependencyTimeout(_ message: String) -> KMSError {
        KMSError(.dependencyTimeout, message)
    }
    package static func disabled(_ message: String) -> KMSError { KMSError(.disabled, message) }
    package static func internalFailure(_ message: String) -> KMSError {
        KMSError(.internalFailure, message)
    }
    package static func invalidAliasName(_ message: String) -> KMSError {
        KMSError(.invalidAliasName, message)
    }
    package static func invalidARN(_ message: String) -> KMSError {
        KMSError(.invalidARN, message)
    }
    package static func invalidKeyUsage(_ message: String) -> KMSError {
        KMSError(.invalidKeyUsage, message)
    }
    package static func invalidState(_ message: String) -> KMSError {
        KMSError(.invalidState, message)
    }
    package static func keyUnavailable(_ message: String) -> KMSError {
        KMSError(.keyUnavailable, message)
    }
    package static func limitExceeded(_ message: String) -> KMSError {
        KMSError(.limitExceeded, message)
    }
    package static func malformedPolicyDocument(_ message: String) -> KMSError {
        KMSError(.malformedPolicy, message)
    }
    package static func notFound(_ message: String) -> KMSError { KMSError(.notFound, message) }
    package static func serialization(_ message: String) -> KMSError {
        KMSError(.serialization, message)
    }
    package static func tag(_ message: String) -> KMSError { KMSError(.tag, message) }
    package static func unsupportedOperation(_ message: String) -> KMSError {
        KMSError(.unsupportedOperation, message)
    }
    package static func validation(_ message: String) -> KMSError {
        KMSError(.validation, message)
    }

    package static let incorrectKey = KMSError(
        .incorrectKey,
        "The key ID in the request does not identify a CMK that can perform this operation.")
    package static let invalidCiphertext = KMSError(.invalidCiphertext)
    package static let invalidMarker = KMSError(.invalidMarker)
    package static let notAuthorized = KMSError(.notAuthorized)
}
