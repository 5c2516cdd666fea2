package import KMSModel

/// One event as it stands in the log.
package struct LoggedEvent: Sendable, Hashable {
    package let segment: SegmentID
    /// From 1 in each segment.
    package let sequence: UInt64
    /// The CloudTrail record, one line, without a line end.
    package let json: [UInt8]

    package let eventID: String
    package let eventTime: Timestamp
    package let eventName: String
    /// The resources' ARNs: keys, and an alias where the operation named one.
    package let keyARNs: [String]
    /// "AWS Internal" for what the service did by itself.
    package let principalARN: String
    package let keyVersion: UInt32?
    /// The exception's name, when the request was refused.
    package let errorCode: String?
    package let errorMessage: String?
    /// Of ReEncrypt what the ciphertext was sealed with before.
    package let encryptionContext: [Pair]
    package let uid: UInt32?
    package let gid: UInt32?
    package let pid: Int32?
    package let program: String?
    /// Of a change of the keystore itself: what it was about.
    package let administered: [Pair]
    /// What was done to a file: `open`, `create`, ….
    package let fileOperation: String?
    package let path: String?

    package struct Pair: Sendable, Hashable {
        package let name: String
        package let value: String
    }

    /// nil when the JSON is not a record.
    init?(segment: SegmentID, sequence: UInt64, time: Int64, json: [UInt8]) {
        guard let record = JSON(ofLog: json), let name = record["eventName"]?.text else {
            return nil
        }
        let data = record["additionalEventData"]
        let process = data?["keyfold"]
        let identity = record["userIdentity"]
        self.segment = segment
        self.sequence = sequence
        self.json = json
        eventID = record["eventID"]?.text ?? ""
        eventTime = Timestamp(millisecondsSinceEpoch: time)
        eventName = name
        keyARNs = record["resources"]?.elements.compactMap { $0["ARN"]?.text } ?? []
        principalARN = identity?["arn"]?.text ?? identity?["invokedBy"]?.text ?? ""
        keyVersion = data?["keyVersion"]?.integer(UInt32.self)
        errorCode = record["errorCode"]?.text
        errorMessage = record["errorMessage"]?.text
        let parameters = record["requestParameters"]
        let context = parameters?["encryptionContext"] ?? parameters?["sourceEncryptionContext"]
        encryptionContext =
            context?.members.compactMap { member in
                member.value.text.map { Pair(name: member.name, value: $0) }
            } ?? []
        uid = process?["uid"]?.integer(UInt32.self)
        gid = process?["gid"]?.integer(UInt32.self)
        pid = process?["pid"]?.integer(Int32.self)
        program = process?["program"]?.text
        let isOfKeystore = record["eventSource"]?.text == UsageEvent.Source.keystore.rawValue
        administered =
            !isOfKeystore
            ? []
            : parameters?.members.compactMap { member in
                member.value.shownText.map { Pair(name: member.name, value: $0) }
            } ?? []
        fileOperation = process?["operation"]?.text
        path = process?["path"]?.text
    }
}

/// Which events are wanted; what is nil or empty does not filter.
package struct UsageLogFilter: Sendable, Hashable {
    /// The first moment that is wanted.
    package var since: Timestamp?
    /// The first moment that is not wanted any more.
    package var until: Timestamp?
    /// ARNs or ids of keys (or ARNs of aliases that requests named); one that fits is enough.
    package var keys: Set<String>
    /// A principal's ARN, or the last part of one (`uid-1000`, `root`).
    package var principal: String?
    /// An operation's exact name.
    package var eventName: String?

    package init(
        since: Timestamp? = nil, until: Timestamp? = nil, keys: Set<String> = [],
        principal: String? = nil, eventName: String? = nil
    ) {
        self.since = since
        self.until = until
        self.keys = keys
        self.principal = principal
        self.eventName = eventName
    }

    func accepts(time: Int64) -> Bool {
        if let since, time < since.millisecondsSinceEpoch { return false }
        if let until, time >= until.millisecondsSinceEpoch { return false }
        return true
    }

    /// Whether any of the times may be wanted.
    func accepts(anyOf times: ClosedRange<Int64>) -> Bool {
        if let since, times.upperBound < since.millisecondsSinceEpoch { return false }
        if let until, times.lowerBound >= until.millisecondsSinceEpoch { return false }
        return true
    }

    /// False only when the record surely does not fit: before it is parsed.
    func mayAccept(json: [UInt8]) -> Bool {
        if let eventName, !eventName.contains(where: \.isEscapedInJSON),
            !json.containsBytes("\"eventName\":\"\(eventName)\"")
        {
            return false
        }
        return keys.isEmpty || keys.contains { json.containsBytes($0) }
    }

    func accepts(_ event: LoggedEvent) -> Bool {
        if let eventName, event.eventName != eventName { return false }
        if let principal, event.principalARN != principal,
            !event.principalARN.hasSuffix("/" + principal),
            !event.principalARN.hasSuffix(":" + principal)
        {
            return false
        }
        guard !keys.isEmpty else { return true }
        return event.keyARNs.contains(where: acceptsResource)
    }

    func acceptsResource(_ arn: String) -> Bool {
        keys.contains(arn) || keys.contains { arn.hasSuffix(":key/" + $0) }
    }

    /// Whether an index can tell where events that fit may be.
    var isSelective: Bool { since != nil || until != nil || !keys.isEmpty }
}

extension JSON {
    fileprivate var shownText: String? {
        switch self {
        case .text(let text), .number(let text): text
        case .flag(let flag): "\(flag)"
        case .null, .array, .object: nil
        }
    }
}

extension Character {
    fileprivate var isEscapedInJSON: Bool {
        guard let value = asciiValue else { return true }
        return value < 0x20 || value == 0x22 || value == 0x5C || value == 0x7F
    }
}

extension [UInt8] {
    fileprivate func containsBytes(_ text: String) -> Bool {
        let needle = Array(text.utf8)
        guard let first = needle.first, needle.count <= count else { return needle.isEmpty }
        for start in 0...(count - needle.count) where self[start] == first {
            var length = 1
            while length < needle.count, self[start + length] == needle[length] { length += 1 }
            if length == needle.count { return true }
        }
        return false
    }
}
