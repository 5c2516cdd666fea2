package import KMSModel

/// What metering takes from an event, whether it is about to be logged or read back.
package struct MeteredEvent: Sendable {
    let time: Timestamp
    let operation: String
    let eventID: String
    let requestID: String
    let keyARNs: [String]
    /// False for what the service does by itself, which nobody pays for.
    let isRequest: Bool
    let isRefused: Bool
    let priceClass: PriceClass

    /// Whether it counts as a use of its keys: a cryptographic operation that succeeded.
    var isUse: Bool { !isRefused && MeteredEvent.isCryptographic(operation) }

    /// The operations that use a key's material (GetKeyLastUsage's `Operation`).
    private static func isCryptographic(_ operation: String) -> Bool {
        switch operation {
        case "Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext",
            "ReEncrypt", "Sign", "Verify", "GenerateMac", "VerifyMac", "DeriveSharedSecret",
            "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext", "Encapsulate",
            "Decapsulate":
            true
        default:
            false
        }
    }

    package init(_ event: UsageEvent) {
        time = event.eventTime
        operation = event.eventName
        eventID = event.eventID
        requestID = event.requestID ?? event.eventID
        isRefused = event.error != nil
        isRequest = !event.isServiceEvent
        keyARNs = event.resources.filter(MeteredEvent.isKey)
        func parameter(_ name: String) -> String? {
            guard let value = event.requestParameters.first(where: { $0.name == name })?.value,
                case .text(let text) = value
            else { return nil }
            return text
        }
        priceClass = PriceClass(
            operation: event.eventName, algorithm: parameter("encryptionAlgorithm"),
            keySpec: event.keySpec, keyPairSpec: parameter("keyPairSpec"))
    }

    /// Of a record's JSON; nil when it is none.
    init?(json: ArraySlice<UInt8>, time: Timestamp) {
        guard let record = JSONValue(parsing: Array(json)),
            let name = record["eventName"]?.text, let eventID = record["eventID"]?.text
        else { return nil }
        self.time = time
        operation = name
        self.eventID = eventID
        requestID = record["requestID"]?.text ?? eventID
        isRefused = record["errorCode"] != nil
        isRequest = record["eventType"]?.text != "AwsServiceEvent"
        keyARNs =
            record["resources"]?.elements.compactMap { $0["ARN"]?.text }
            .filter(MeteredEvent.isKey) ?? []
        let parameters = record["requestParameters"]
        priceClass = PriceClass(
            operation: name, algorithm: parameters?["encryptionAlgorithm"]?.text,
            keySpec: record["additionalEventData"]?["keySpec"]?.text,
            keyPairSpec: parameters?["keyPairSpec"]?.text)
    }

    /// Aliases are resources of some events, too.
    private static func isKey(_ arn: String) -> Bool {
        let bytes = arn.utf8
        guard let slash = bytes.firstIndex(of: UInt8(ascii: "/")) else { return false }
        return bytes[..<slash].suffix(4).elementsEqual(":key".utf8)
    }
}
