package import KMSModel
package import KMSWire
internal import Cryptography
internal import Synchronization

/// What goes back for one request.
package struct ServerAnswer: Sendable {
    package let status: Int
    package let headers: [HTTPHeader]
    /// May hold plaintext: whoever sends it wipes it.
    package let body: WipedBytes
    package let record: RequestRecord

    package func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }
}

/// Bytes in one place, which are wiped when nobody needs them any more. An array that is passed
/// from hand to hand would be copied by the wiping, and stay as it was.
package final class WipedBytes: Sendable {
    private let storage: Mutex<[UInt8]>
    package let count: Int

    /// Takes the array over; the caller must not keep it.
    init(_ bytes: consuming [UInt8]) {
        count = bytes.count
        storage = Mutex(bytes)
    }

    deinit { wipeAll() }

    /// Lends the bytes, which must not be kept.
    package func withBytes<Result>(_ body: ([UInt8]) -> Result) -> Result {
        storage.withLock { body($0) }
    }

    /// Gives the bytes away, to whoever wipes them.
    func taken() -> [UInt8] {
        storage.withLock { bytes in
            defer { bytes = [] }
            return bytes
        }
    }

    package func wipeAll() { storage.withLock { wipe(&$0) } }
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
        status: Int, contentType: String = jsonType, body: consuming [UInt8], record: RequestRecord,
        at time: Timestamp
    ) {
        self.status = status
        self.record = record
        let count = body.count
        self.body = WipedBytes(body)
        headers = [
            HTTPHeader("x-amzn-RequestId", record.requestID),
            HTTPHeader("Date", HTTPDate.text(time)),
            HTTPHeader("Content-Type", contentType),
            HTTPHeader("Content-Length", String(count)),
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

    /// The last text that was made, and its second.
    private static let last = Mutex<(second: Int64, text: String)>((-1, ""))

    /// For times since 1970.
    static func text(_ time: Timestamp) -> String {
        let second = time.millisecondsSinceEpoch / 1000
        return last.withLock { last in
            if last.second != second { last = (second, made(time)) }
            return last.text
        }
    }

    private static func made(_ time: Timestamp) -> String {
        // 1970-01-01 was a Thursday.
        let day = days[Int(max(0, time.millisecondsSinceEpoch) / 86_400_000 % 7)]
        let parts = time.iso8601.split { "-T:Z".contains($0) }
        let month = months[(Int(parts[1]) ?? 1) - 1]
        return "\(day), \(parts[2]) \(month) \(parts[0]) \(parts[3]):\(parts[4]):\(parts[5]) GMT"
    }
}
