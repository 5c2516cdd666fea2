package import KMSModel

extension Failure {
    /// - Parameter object: the key, alias or file as the person named it.
    package init(_ error: KMSError, object: String?) {
        let text = error.message.isEmpty ? error.plainWords : error.message
        self.init(
            ExitStatus(error), object, text.hasSuffix(".") ? String(text.dropLast()) : text,
            wayOut: error.wayOut(object: object))
    }
}

extension ExitStatus {
    package init(_ error: KMSError) {
        switch error {
        case .accessDenied, .notAuthorized: self = .noPermission
        case .alreadyExists: self = .cannotCreate
        case .conflict, .disabled, .invalidState: self = .wrongState
        case .dependencyTimeout, .keyUnavailable, .unsupportedOperation: self = .unavailable
        case .incorrectKey, .limitExceeded: self = .failure
        case .internalFailure: self = .internalError
        case .invalidAliasName, .invalidARN, .invalidKeyUsage, .invalidMarker,
            .malformedPolicyDocument, .tag, .validation:
            self = .usage
        case .invalidCiphertext: self = .damagedData
        case .notFound: self = .notFound
        }
    }
}

extension KMSError {
    /// What to say where AWS KMS sends no text.
    fileprivate var plainWords: String {
        switch self {
        case .invalidCiphertext: "the wrapped key was changed, or belongs to something else"
        case .notAuthorized: "not authorized"
        case .accessDenied, .alreadyExists, .conflict, .dependencyTimeout, .disabled,
            .incorrectKey, .internalFailure, .invalidAliasName, .invalidARN, .invalidKeyUsage,
            .invalidMarker, .invalidState, .keyUnavailable, .limitExceeded,
            .malformedPolicyDocument, .notFound, .tag, .unsupportedOperation, .validation:
            exceptionName
        }
    }

    fileprivate func wayOut(object: String?) -> String? {
        let key = object ?? "KEY"
        return switch self {
        case .disabled: "a disabled key works again after: keyfold key enable \(key)"
        case .invalidState:
            "'keyfold key show \(key)' tells its state; a key that waits for its deletion comes "
                + "back with 'keyfold key restore' and then 'keyfold key enable'"
        case .notFound: "'keyfold key list' and 'keyfold alias list' show what there is"
        case .alreadyExists: "choose another name, or move it with: keyfold alias update"
        case .invalidAliasName, .invalidARN:
            "a key is named by its id, its ARN, alias/NAME or the alias's ARN"
        case .invalidCiphertext: "take the file from a backup, or from the vault it was made in"
        case .incorrectKey: "'keyfold inspect FILE' names the keys that open a file"
        case .accessDenied, .notAuthorized:
            "the keystore's owner may do it; keys below alias/aws/ are the service's own and "
                + "stay as they are"
        case .dependencyTimeout, .keyUnavailable: "try again later"
        case .conflict, .internalFailure, .invalidKeyUsage, .invalidMarker, .limitExceeded,
            .malformedPolicyDocument, .tag, .unsupportedOperation, .validation:
            nil
        }
    }
}
