internal import KMSCore
internal import Platform
package import UsageLog

extension Failure {
    package init(_ error: UsageLogError) {
        if case .interrupted(let failure as Failure) = error {
            self = failure
            return
        }
        if case .anchorStore(let cause as KeystoreError) = error {
            self.init(cause)
            return
        }
        self.init(ExitStatus(error), nil, "\(error)", wayOut: error.wayOut)
    }
}

extension ExitStatus {
    package init(_ error: UsageLogError) {
        switch error {
        case .system(let errno, _): self = ExitStatus(errno)
        case .anchorStore(let cause as KeystoreError): self = ExitStatus(cause)
        case .anchorStore where error.isDamagedAnchor: self = .damagedData
        case .full, .anchorStore: self = .inputOutput
        case .tampered, .damaged: self = .damagedData
        case .eventTooLarge, .closed, .signing: self = .internalError
        case .interrupted: self = .failure
        }
    }
}

extension UsageLogError {
    fileprivate var wayOut: String? {
        switch self {
        case .tampered, .damaged: "'keyfold log verify' tells all that is wrong"
        case .anchorStore where isDamagedAnchor:
            "put back a backup: keyfold keystore restore FILE --keystore DIR"
        case .full: "make room where the keystore is"
        case .system(.accessDenied, _):
            "the keystore's owner, or root, may read it; what is not the owner's there goes back to "
                + "him with chown(1)"
        case .system, .anchorStore, .eventTooLarge, .closed, .signing, .interrupted: nil
        }
    }
}
