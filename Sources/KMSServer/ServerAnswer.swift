package import KMSModel
package import KMSWire
internal import Cryptography

/// What goes back for one request.
package struct ServerAnswer: Sendable {
    package let status: Int
    package let headers: [HTTPHeader]
    /// May hold plaintext: whoever sends it wipes it.
    package var body: [UInt8]
    package let record: RequestRecord

    package func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    package mutating func wipeBody() { wipe(&body) }
}

/// What logs and counters may know of a request: no key, no text and no context of it.
package struct RequestRecord: Sendable, Hashable {
    package let requestID: String
    /// nil when the request named none.
    package let operation: KMSOperation?
    /// nil before anybody was believed to be somebody.
    package let principalARN: String?
    package let status: Int
    /// The exception's name; nil after success.
    package let exceptionName: String?

    /// A word of a small set.
    package var outcome: String {
        switch exceptionName {
        case nil: "success"
        case KMSError.Code.accessDenied.rawValue?, KMSError.Code.notAuthorized.rawValue?: "denied"
        case KMSError.Code.throttling.rawValue?: "throttled"
        default: status < 500 ? "refused" : "failed"
        }
    }
}

extension ServerAnswer {
    static let jsonType = "application/x-amz-json-1.1"

    /// An answer with the headers that AWS KMS's answers have.
    init(
        status: Int, contentType: String = jsonType, body: [UInt8], record: RequestRecord,
        at time: Timestamp
    ) {
        self.status = status
        self.body = body
        self.record = record
        headers = [
            HTTPHeader("x-amzn-RequestId", record.requestID),
            HTTPHeader("Date", HTTPDate.text(time)),
            HTTPHeader("Content-Type", contentType),
            HTTPHeader("Content-Length", String(body.count)),
            HTTPHeader("Cache-Control", "no-cache, no-store, must-revalidate, private"),
        ]
    }
}

/// The form of dates in HTTP (RFC 9110 §5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
enum HTTPDate {
    private static let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// For times since 1970.
    static func text(_ time: Timestamp) -> String {
        // 1970-01-01 was a Thursday.
        let day = days[Int(max(0, time.millisecondsSinceEpoch) / 86_400_000 % 7)]
        let parts = time.iso8601.split { "-T:Z".contains($0) }
        let month = months[(Int(parts[1]) ?? 1) - 1]
        return "\(day), \(parts[2]) \(month) \(parts[0]) \(parts[3]):\(parts[4]):\(parts[5]) GMT"
    }
}
