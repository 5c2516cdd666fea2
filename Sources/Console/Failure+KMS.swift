package import KMSModel

extension Failure {
    /// - Parameter object: the key or alias as the person named it.
    package init(_ error: KMSError, object: String?) {
        self.init(error, object: object, key: object)
    }

    /// - Parameter file: the file or vault that the key was for.
    package init(_ error: KMSError, file: String) {
        self.init(error, object: file, key: error.keyARN)
    }

    private init(_ error: KMSError, object: String?, key: String?) {
        let text = error.message.isEmpty ? error.plainWords : error.message
        self.init(
            ExitStatus(error), object, text.hasSuffix(".") ? String(text.dropLast()) : text,
            wayOut: error.wayOut(key: key ?? "KEY"))
    }
}

extension ExitStatus {
    package init(_ error: KMSError) {
        switch error.kind {
        case .denied: self = .noPermission
        case .taken: self = .cannotCreate
        case .wrongState: self = .wrongState
        case .unavailable, .timedOut, .unsupported: self = .unavailable
        case .limit, .wouldSucceed: self = .failure
        case .failed: self = error.isOutOfSpace ? .inputOutput : .internalError
        case .badRequest: self = .usage
        case .notGenuine: self = error.code == .incorrectKey ? .failure : .damagedData
        case .missing: self = .notFound
        }
    }
}

extension KMSError {
    /// What to say where AWS KMS sends no text.
    fileprivate var plainWords: String {
        switch code {
        case .invalidCiphertext: "the wrapped key was changed, or belongs to something else"
        case .invalidSignature: "the signature is not genuine"
        case .invalidMAC: "the MAC is not genuine"
        case .notAuthorized: "not authorized"
        default: exceptionName
        }
    }

    /// The key that an answer about a key's state begins with; nil where it names none.
    fileprivate var keyARN: String? {
        message.split(separator: " ").first.flatMap { KeyARN(String($0)) }?.description
    }

    fileprivate func wayOut(key: String) -> String? {
        if isOutOfSpace { return "make room; what was there before is unharmed" }
        switch code {
        case .disabled: return "a disabled key works again after: keyfold key enable \(key)"
        case .invalidAliasName, .invalidARN:
            return "a key is named by its id, its ARN, alias/NAME or the alias's ARN"
        case .incorrectKey: return "'keyfold inspect FILE' names the keys that open a file"
        case .invalidCiphertext:
            return "take the file from a backup, or from the vault it was made in"
        default: break
        }
        switch kind {
        case .wrongState:
            return "'keyfold key show \(key)' tells its state; a key that waits for its deletion "
                + "comes back with 'keyfold key restore' and then 'keyfold key enable'"
        case .missing: return "'keyfold key list' and 'keyfold alias list' show what there is"
        case .taken: return "choose another name, or move it with: keyfold alias update"
        case .denied:
            // What else is refused, such as credentials, says itself what to do.
            guard code == .notAuthorized || message.hasPrefix("User: ") else { return nil }
            return "the keystore's owner may do it; keys below alias/aws/ are the service's own "
                + "and stay as they are"
        case .timedOut, .unavailable: return "try again later"
        case .badRequest, .failed, .limit, .notGenuine, .unsupported, .wouldSucceed: return nil
        }
    }
}
