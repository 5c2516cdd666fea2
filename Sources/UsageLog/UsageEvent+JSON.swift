package import KMSModel

extension UsageEvent {
    /// What the service does by itself; CloudTrail gives these a record of another type.
    private static let serviceEvents: Set<String> = [
        "RotateKey", "DeleteKey", "DeleteExpiredKeyMaterial", "SynchronizeMultiRegionKey",
    ]

    /// Where a request came from: this machine, always.
    private static let localAddress = "127.0.0.1"
    private static let serviceName = "AWS Internal"

    /// The event as one line of JSON in CloudTrail's shape, without a line end.
    ///
    /// Source: CloudTrail user guide, "CloudTrail record contents"; AWS KMS developer guide,
    /// "Logging AWS KMS API calls".
    package func cloudTrailJSON() -> [UInt8] {
        record(prefix: [])
    }

    /// The plaintext of the event's record: kind, time, JSON.
    func recordPlaintext() -> [UInt8] {
        var prefix = [RecordKind.event.rawValue]
        prefix.appendBigEndian(eventTime.millisecondsSinceEpoch)
        return record(prefix: prefix)
    }

    private var isServiceEvent: Bool {
        error == nil && UsageEvent.serviceEvents.contains(eventName)
    }

    private func record(prefix: [UInt8]) -> [UInt8] {
        let isServiceEvent = isServiceEvent
        var json = JSONWriter(prefix: prefix, capacity: 2048)
        json.beginObject()
        json.field("eventVersion", UsageEvent.eventVersion)
        writeIdentity(isServiceEvent: isServiceEvent, to: &json)
        json.field("eventTime", eventTime)
        json.field("eventSource", UsageEvent.eventSource)
        json.field("eventName", eventName)
        json.field("awsRegion", scope.region)
        json.field(
            "sourceIPAddress",
            isServiceEvent ? UsageEvent.serviceName : UsageEvent.localAddress)
        json.field("userAgent", isServiceEvent ? UsageEvent.serviceName : caller.userAgent)
        if let error {
            json.field("errorCode", error.exceptionName)
            json.field("errorMessage", error.message)
        }
        if isServiceEvent {
            json.null("requestParameters")
        } else {
            writeParameters(
                requestParameters, context: encryptionContext, "requestParameters", &json)
        }
        writeParameters(responseElements, context: nil, "responseElements", &json)
        writeAdditionalData(to: &json)
        json.field("requestID", eventID)
        json.field("eventID", eventID)
        json.field("readOnly", isReadOnly)
        writeResources(to: &json)
        json.field("eventType", isServiceEvent ? "AwsServiceEvent" : "AwsApiCall")
        json.field("managementEvent", true)
        json.field("recipientAccountId", scope.account)
        if isServiceEvent {
            writeParameters(
                requestParameters, context: encryptionContext, "serviceEventDetails", &json)
        }
        json.field("eventCategory", "Management")
        json.endObject()
        return json.bytes
    }

    /// `userIdentity`, by the form of the principal's ARN (CloudTrail user guide, "CloudTrail
    /// userIdentity element").
    private func writeIdentity(isServiceEvent: Bool, to json: inout JSONWriter) {
        json.beginObject("userIdentity")
        if isServiceEvent {
            json.field("accountId", scope.account)
            json.field("invokedBy", UsageEvent.serviceName)
        } else {
            let principal = PrincipalIdentity(arn: caller.principalARN, in: scope)
            json.field("type", principal.type)
            json.field("principalId", principal.id)
            json.field("arn", caller.principalARN)
            json.field("accountId", scope.account)
            if let name = principal.userName { json.field("userName", name) }
        }
        json.endObject()
    }

    private func writeParameters(
        _ parameters: [Parameter], context: EncryptionContext?, _ name: StaticString,
        _ json: inout JSONWriter
    ) {
        guard !parameters.isEmpty || context?.isEmpty == false else {
            json.null(name)
            return
        }
        json.beginObject(name)
        for parameter in parameters {
            switch parameter.value {
            case .text(let text): json.field(dynamic: parameter.name, text)
            case .number(let number): json.field(dynamic: parameter.name, number)
            case .flag(let flag): json.field(dynamic: parameter.name, flag)
            }
        }
        if let context, !context.isEmpty {
            json.beginObject("encryptionContext")
            for pair in context.pairs { json.field(dynamic: pair.name, pair.value) }
            json.endObject()
        }
        json.endObject()
    }

    private func writeAdditionalData(to json: inout JSONWriter) {
        json.beginObject("additionalEventData")
        json.field("eventTimeMilliseconds", eventTime.millisecondsSinceEpoch)
        if let keyMaterialID { json.field("keyMaterialId", hex: keyMaterialID.bytes) }
        if let keyVersion { json.field("keyVersion", keyVersion) }
        if caller.process != nil || caller.fileActivity != nil {
            json.beginObject("keyfold")
            if let process = caller.process {
                json.field("uid", process.uid)
                json.field("gid", process.gid)
                json.field("pid", process.pid)
                if let program = process.program { json.field("program", program) }
            }
            if let activity = caller.fileActivity {
                json.field("operation", activity.operation.rawValue)
                if let path = activity.path { json.field("path", path) }
            }
            json.endObject()
        }
        json.endObject()
    }

    private func writeResources(to json: inout JSONWriter) {
        json.beginArray("resources")
        for arn in resources {
            json.beginObject()
            json.field("accountId", scope.account)
            json.field("type", "AWS::KMS::Key")
            json.field("ARN", arn)
            json.endObject()
        }
        json.endArray()
    }
}

/// What `userIdentity` says of an ARN.
struct PrincipalIdentity {
    let type: String
    let id: String
    let userName: String?

    init(arn: String, in scope: AccountScope) {
        let bytes = arn.utf8
        // `arn:aws:iam::ACCOUNT:RESOURCE`; a resource has no colon.
        let resource = bytes.lastIndex(of: UInt8(ascii: ":")).map(bytes.index(after:))
        let resourceStart = resource ?? bytes.startIndex
        let slash = bytes.lastIndex(of: UInt8(ascii: "/"))
        let nameStart = max(slash.map(bytes.index(after:)) ?? resourceStart, resourceStart)
        let name = String(arn[nameStart...])
        let kind = bytes[resourceStart...].prefix { $0 != UInt8(ascii: "/") }
        var userName: String?
        var id = name.isEmpty ? arn : name
        if slash == nil, kind.elementsEqual("root".utf8) {
            type = "Root"
            id = scope.account
        } else if kind.elementsEqual("user".utf8) {
            type = "IAMUser"
            userName = name
        } else if kind.elementsEqual("assumed-role".utf8) {
            type = "AssumedRole"
        } else if kind.elementsEqual("role".utf8) {
            type = "Role"
        } else {
            type = "Unknown"
        }
        self.id = id
        self.userName = userName
    }
}
