/// One use of the KMS, in the words of a CloudTrail record (CloudTrail user guide, "Record contents").
package struct UsageEvent: Sendable, Hashable {
    package static let eventVersion = "1.11"

    /// What an event is about.
    package enum Source: String, Sendable, Hashable {
        /// A use of the key service.
        case keyService = "kms.amazonaws.com"
        /// A change of the keystore that AWS KMS has no operation for: who may ask, how it is unlocked.
        case keystore = "keyfold"
    }

    package var source = Source.keyService
    /// A random UUID.
    package var eventID: String
    package var eventTime: Timestamp
    /// The operation, for example `Decrypt`; or of the service itself: `RotateKey`, `DeleteKey`.
    package var eventName: String
    package var scope: AccountScope
    package var caller: Caller
    /// Whether the service made the request in another Region, on behalf of the caller of one that
    /// has an event of its own.
    package var isForwarded = false
    package var isReadOnly: Bool
    /// nil: the event's own id.
    package var requestID: String?
    /// Where the request came from; nil: this machine.
    package var sourceIPAddress: String?
    /// The ARNs of the keys and aliases that were used.
    package var resources: [String]
    /// Lower-camel-case names as in AWS's records; never plaintext, ciphertext or a grant token.
    package var requestParameters: [Parameter]
    package var encryptionContext: EncryptionContext?
    /// Set for operations that change something.
    package var responseElements: [Parameter]
    package var keyMaterialID: KeyMaterialID?
    /// Of a key in a custom key store.
    package var customKeyStoreID: String?
    /// Why a custom key store could not be connected, in the words of its token's library.
    package var connectionFailure: String?
    /// The grant that was retired, or that allowed the request.
    package var grantID: String?
    /// The spec of the key that was used, where the price of a request depends on it.
    package var keySpec: String?
    /// Of ReEncrypt: that of the key that decrypts.
    package var sourceKeySpec: String?
    /// Keyfold's number of the key version that was used, from 1.
    package var keyVersion: UInt32?
    /// The exception's name and message, when the request was refused.
    package var error: KMSError?

    package struct Parameter: Sendable, Hashable {
        package enum Value: Sendable, Hashable {
            case text(String)
            case number(Int)
            case flag(Bool)
            case list([Value])
            /// In this order.
            case map([Parameter])

            package static func texts(_ texts: [String]) -> Value { .list(texts.map(Value.text)) }

            /// An encryption context, sorted as it always is.
            package static func context(_ context: EncryptionContext) -> Value {
                .map(context.pairs.map { Parameter($0.name, .text($0.value)) })
            }
        }

        package var name: String
        package var value: Value

        package init(_ name: String, _ value: Value) {
            self.name = name
            self.value = value
        }
    }

    package init(
        eventID: String, eventTime: Timestamp, eventName: String, scope: AccountScope,
        caller: Caller
    ) {
        self.eventID = eventID
        self.eventTime = eventTime
        self.eventName = eventName
        self.scope = scope
        self.caller = caller
        self.isReadOnly = true
        self.resources = []
        self.requestParameters = []
        self.responseElements = []
    }
}
