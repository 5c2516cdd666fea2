package import KMSModel

extension UsageEvent {
    /// The event as one line of JSON in CloudTrail's shape, without a line end.
    ///
    /// Source: CloudTrail user guide, "CloudTrail record contents"; AWS KMS developer guide,
    /// "Logging AWS KMS API calls".
    package func cloudTrailJSON() -> [UInt8] {
        let buffer = EventBuffer()
        write(to: JSONWriter(buffer: buffer))
        return buffer.bytes()
    }

    /// What the service did by itself.
    var isServiceEvent: Bool {
        guard error == nil, source == .keyService else { return false }
        switch eventName {
        case "RotateKey", "DeleteKey", "DeleteExpiredKeyMaterial", "SynchronizeMultiRegionKey":
            return true
        default:
            return false
        }
    }

    /// CloudTrail gives what the service did by itself a record of another type, but shows
    /// synchronizing as a call without parameters (AWS KMS developer guide,
    /// "SynchronizeMultiRegionKey").
    private var hasServiceDetails: Bool {
        isServiceEvent && eventName != "SynchronizeMultiRegionKey"
    }

    func appendPlaintext(to buffer: EventBuffer) {
        buffer.appendEventHead(time: eventTime)
        write(to: JSONWriter(buffer: buffer))
    }
}

/// Writes one record. The order of its fields is part of the log's format: one event has one
/// encoding.
extension UsageEvent {
    fileprivate func write(to json: JSONWriter) {
        let isServiceEvent = isServiceEvent
        let hasServiceDetails = hasServiceDetails
        json.raw(#"{"eventVersion":"1.11","userIdentity":"#)
        writeIdentity(isServiceEvent: isServiceEvent, to: json)
        json.raw(#","eventTime":"#)
        json.time(eventTime)
        json.raw(#","eventSource":"#)
        json.plainString(source.rawValue)
        json.raw(#","eventName":"#)
        json.string(eventName)
        json.raw(#","awsRegion":"#)
        json.plainString(scope.region)
        writeClient(isServiceEvent: isServiceEvent, to: json)
        if let error = error {
            json.raw(#","errorCode":"#)
            json.string(error.exceptionName)
            json.raw(#","errorMessage":"#)
            // It may repeat what somebody sent, and an event has a bound.
            json.string(error.loggedMessage.firstScalars(8192))
        }
        json.raw(#","requestParameters":"#)
        if isServiceEvent { json.raw("null") } else { writeRequest(to: json) }
        json.raw(#","responseElements":"#)
        writeObject(responseElements, to: json)
        writeAdditionalData(to: json)
        json.raw(#","requestID":"#)
        json.string(requestID ?? eventID)
        json.raw(#","eventID":"#)
        json.string(eventID)
        json.raw(#","readOnly":"#)
        json.flag(isReadOnly)
        writeResources(to: json)
        if hasServiceDetails {
            json.raw(#","eventType":"AwsServiceEvent","managementEvent":true"#)
        } else {
            json.raw(#","eventType":"AwsApiCall","managementEvent":true"#)
        }
        json.raw(#","recipientAccountId":"#)
        json.plainString(scope.account)
        if hasServiceDetails {
            json.raw(#","serviceEventDetails":"#)
            writeRequest(to: json)
        }
        json.raw(#","eventCategory":"Management"}"#)
    }

    /// Where a request came from: this machine, unless the event knows better.
    private func writeClient(isServiceEvent: Bool, to json: JSONWriter) {
        if isServiceEvent {
            json.raw(#","sourceIPAddress":"AWS Internal","userAgent":"AWS Internal""#)
            return
        }
        if let address = sourceIPAddress {
            json.raw(#","sourceIPAddress":"#)
            json.string(address)
        } else {
            json.raw(#","sourceIPAddress":"127.0.0.1""#)
        }
        json.raw(#","userAgent":"#)
        json.string(caller.userAgent)
    }

    /// `userIdentity`, by the form of the principal's ARN (CloudTrail user guide, "CloudTrail
    /// userIdentity element").
    private func writeIdentity(isServiceEvent: Bool, to json: JSONWriter) {
        guard !isServiceEvent else {
            json.raw(#"{"accountId":"#)
            json.plainString(scope.account)
            json.raw(#","invokedBy":"AWS Internal"}"#)
            return
        }
        let arn = caller.principalARN
        let principal = PrincipalIdentity(arn: arn.utf8.span)
        json.raw(#"{"type":""#)
        json.raw(principal.type)
        json.raw(#"","principalId":"#)
        if principal.isAccount {
            json.plainString(scope.account)
        } else {
            json.string(arn.utf8.span.extracting(principal.name))
        }
        json.raw(#","arn":"#)
        json.string(arn)
        json.raw(#","accountId":"#)
        json.plainString(scope.account)
        if principal.isUser {
            json.raw(#","userName":"#)
            json.string(arn.utf8.span.extracting(principal.name))
        }
        if isForwarded { json.raw(#","invokedBy":"kms.amazonaws.com""#) }
        json.raw("}")
    }

    private func writeObject(_ members: [Parameter], to json: JSONWriter) {
        guard !members.isEmpty else { return json.raw("null") }
        json.raw("{")
        json.members(members)
        json.raw("}")
    }

    /// The parameters and, last, the encryption context.
    private func writeRequest(to json: JSONWriter) {
        guard let context = encryptionContext, !context.isEmpty else {
            return writeObject(requestParameters, to: json)
        }
        json.raw("{")
        json.members(requestParameters)
        if !requestParameters.isEmpty { json.raw(",") }
        json.raw(#""encryptionContext":{"#)
        var isFirst = true
        for pair in context.pairs {
            if !isFirst { json.raw(",") }
            isFirst = false
            json.string(pair.name)
            json.raw(":")
            json.string(pair.value)
        }
        json.raw("}}")
    }

    private func writeAdditionalData(to json: JSONWriter) {
        json.raw(#","additionalEventData":{"eventTimeMilliseconds":"#)
        json.number(eventTime.millisecondsSinceEpoch)
        if let material = keyMaterialID {
            json.raw(#","keyMaterialId":"#)
            json.hex(material.bytes)
        }
        if let store = customKeyStoreID {
            json.raw(#","customKeyStoreId":"#)
            json.string(store)
        }
        if let failure = connectionFailure {
            json.raw(#","connectionFailure":"#)
            json.string(failure)
        }
        if let grant = grantID {
            json.raw(#","grantId":"#)
            json.string(grant)
        }
        if let version = keyVersion {
            json.raw(#","keyVersion":"#)
            json.number(version)
        }
        if let keySpec = keySpec {
            json.raw(#","keySpec":"#)
            json.string(keySpec)
        }
        if let sourceKeySpec = sourceKeySpec {
            json.raw(#","sourceKeySpec":"#)
            json.string(sourceKeySpec)
        }
        writeProcess(to: json)
        json.raw("}")
    }

    private func writeProcess(to json: JSONWriter) {
        let (process, activity) = (caller.process, caller.fileActivity)
        guard process != nil || activity != nil else { return }
        json.raw(#","keyfold":{"#)
        if let process {
            json.raw(#""uid":"#)
            json.number(process.uid)
            json.raw(#","gid":"#)
            json.number(process.gid)
            json.raw(#","pid":"#)
            json.number(process.pid)
            if let program = process.program {
                json.raw(#","program":"#)
                json.string(program)
            }
        }
        if let activity {
            if process != nil { json.raw(",") }
            json.raw(#""operation":"#)
            json.string(activity.operation.rawValue)
            if let path = activity.path {
                json.raw(#","path":"#)
                json.string(path)
            }
        }
        json.raw("}")
    }

    private func writeResources(to json: JSONWriter) {
        json.raw(#","resources":["#)
        var isFirst = true
        for arn in resources {
            if !isFirst { json.raw(",") }
            isFirst = false
            json.raw(#"{"accountId":"#)
            json.plainString(scope.account)
            json.raw(#","type":"AWS::KMS::Key","ARN":"#)
            json.string(arn)
            json.raw("}")
        }
        json.raw("]")
    }
}

/// What `userIdentity` says of an ARN `arn:aws:iam::ACCOUNT:RESOURCE`; a resource has no colon.
struct PrincipalIdentity {
    let type: StaticString
    /// Where the last part of the ARN is.
    let name: Range<Int>
    /// Whether it is the account itself: its id is the account's.
    let isAccount: Bool
    var isUser: Bool

    init(arn: Span<UInt8>) {
        var resourceStart = 0
        var slash: Int?
        for index in arn.indices {
            if arn[index] == UInt8(ascii: ":") { resourceStart = index + 1 }
            if arn[index] == UInt8(ascii: "/") { slash = index }
        }
        let nameStart = max(slash.map { $0 + 1 } ?? 0, resourceStart)
        // An ARN that ends in a slash or a colon names itself.
        name = nameStart < arn.count ? nameStart..<arn.count : 0..<arn.count
        func isKind(_ kind: StaticString) -> Bool {
            let length = kind.utf8CodeUnitCount
            guard arn.count >= resourceStart + length else { return false }
            for index in 0..<length {
                // SAFETY: `index` is below the static string's length.
                if arn[resourceStart + index] != (unsafe kind.utf8Start[index]) { return false }
            }
            let end = resourceStart + length
            return end == arn.count || arn[end] == UInt8(ascii: "/")
        }
        isAccount = slash == nil && isKind("root")
        isUser = isKind("user")
        if isAccount {
            type = "Root"
        } else if isUser {
            type = "IAMUser"
        } else if isKind("assumed-role") {
            type = "AssumedRole"
        } else if isKind("role") {
            type = "Role"
        } else {
            type = "Unknown"
        }
    }
}
