package import KMSModel

/// What metering takes from an event, whether it is about to be logged or read back.
package protocol MeteredEvent {
    var time: Timestamp { get }
    var operation: String { get }
    var id: String { get }
    var idOfRequest: String { get }
    /// ARNs of keys and of aliases.
    var resources: [String] { get }
    /// False for what the service does by itself, or for the caller of a request that counts
    /// already, and for changes of the keystore: nobody pays for these.
    var isRequest: Bool { get }
    var isRefused: Bool { get }
    var priceClass: PriceClass { get }
}

extension UsageEvent: MeteredEvent {
    package var time: Timestamp { eventTime }
    package var operation: String { eventName }
    package var id: String { eventID }
    package var idOfRequest: String { requestID ?? eventID }
    package var isRequest: Bool { source == .keyService && !isServiceEvent && !isForwarded }
    package var isRefused: Bool { error != nil }

    package var priceClass: PriceClass {
        PriceClass(
            PricedRequest(
                operation: eventName, algorithm: text(of: "encryptionAlgorithm"),
                keySpec: keySpec, sourceKeySpec: sourceKeySpec,
                keyPairSpec: text(of: "keyPairSpec")))
    }

    private func text(of name: String) -> String? {
        for parameter in requestParameters where parameter.name == name {
            if case .text(let text) = parameter.value { return text }
        }
        return nil
    }
}

/// An event as it was read back.
struct MeteredRecord: MeteredEvent {
    let time: Timestamp
    let operation: String
    let id: String
    let idOfRequest: String
    let resources: [String]
    let isRequest: Bool
    let isRefused: Bool
    let priceClass: PriceClass

    /// Of a record's JSON; nil when it is none.
    init?(json: ArraySlice<UInt8>, time: Timestamp) {
        guard let record = JSON(ofLog: Array(json)),
            let name = record["eventName"]?.text, let id = record["eventID"]?.text
        else { return nil }
        self.time = time
        operation = name
        self.id = id
        idOfRequest = record["requestID"]?.text ?? id
        isRefused = record["errorCode"] != nil
        isRequest =
            record["userIdentity"]?["invokedBy"] == nil
            && record["eventSource"]?.text != UsageEvent.Source.keystore.rawValue
        resources = record["resources"]?.elements.compactMap { $0["ARN"]?.text } ?? []
        let parameters = record["requestParameters"]
        let data = record["additionalEventData"]
        priceClass = PriceClass(
            PricedRequest(
                operation: name, algorithm: parameters?["encryptionAlgorithm"]?.text,
                keySpec: data?["keySpec"]?.text, sourceKeySpec: data?["sourceKeySpec"]?.text,
                keyPairSpec: parameters?["keyPairSpec"]?.text))
    }
}
