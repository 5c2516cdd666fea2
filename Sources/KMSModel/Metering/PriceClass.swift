/// What AWS distinguishes when it charges for requests (AWS KMS pricing, "Key usage").
package enum PriceClass: UInt8, Sendable, CaseIterable, Comparable {
    /// Everything that uses no asymmetric key, management of keys included.
    case symmetric = 1
    /// An RSA_2048 key.
    case rsa2048 = 2
    /// Any other asymmetric key.
    case asymmetric = 3
    /// GenerateDataKeyPair for an elliptic curve.
    case eccKeyPair = 4
    /// GenerateDataKeyPair for RSA.
    case rsaKeyPair = 5

    /// The name in reports and in JSON.
    package var name: String {
        switch self {
        case .symmetric: "symmetric"
        case .rsa2048: "rsa-2048"
        case .asymmetric: "asymmetric"
        case .eccKeyPair: "ecc-key-pair"
        case .rsaKeyPair: "rsa-key-pair"
        }
    }

    /// Asymmetric keys and key pairs are not part of the free tier.
    package var isInFreeTier: Bool { self == .symmetric }

    package static func < (a: PriceClass, b: PriceClass) -> Bool { a.rawValue < b.rawValue }

    /// The class of a request.
    ///
    /// ReEncrypt is one request, of the class of that one of its keys which costs more. AWS says of
    /// its prices only what requests they are of: "requests involving RSA 2048 keys", "asymmetric
    /// requests except RSA 2048".
    package init(_ request: PricedRequest) {
        switch request.operation {
        case "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext":
            self = request.keyPairSpec?.hasPrefix("RSA") == true ? .rsaKeyPair : .eccKeyPair
        case "Sign", "Verify", "GetPublicKey", "DeriveSharedSecret", "Encapsulate", "Decapsulate":
            self = request.keySpec == "RSA_2048" ? .rsa2048 : .asymmetric
        case "Encrypt", "Decrypt", "ReEncrypt":
            if let source = request.sourceKeySpec {
                // The classes of keys are in the order of AWS's prices.
                self = max(
                    PriceClass(keySpec: source), PriceClass(keySpec: request.keySpec ?? source))
            } else if let algorithm = request.algorithm, algorithm != "SYMMETRIC_DEFAULT" {
                self = request.keySpec == "RSA_2048" ? .rsa2048 : .asymmetric
            } else {
                self = .symmetric
            }
        default:
            self = .symmetric
        }
    }

    /// Of a request that decrypts or encrypts with a key of a spec.
    private init(keySpec: String) {
        switch keySpec {
        case "RSA_2048": self = .rsa2048
        case "SYMMETRIC_DEFAULT": self = .symmetric
        default: self = keySpec.hasPrefix("HMAC_") ? .symmetric : .asymmetric
        }
    }
}

/// What an event says of a request's price.
package struct PricedRequest: Hashable, Sendable {
    package let operation: String
    /// Of encryption, where the request names one.
    package let algorithm: String?
    /// Of the key, where the event tells it: an asymmetric key without is no RSA_2048.
    package let keySpec: String?
    /// Of the key that ReEncrypt decrypts with. Events of earlier versions do not tell it: they are
    /// symmetric whatever their keys were, as in the totals that were written with them.
    package let sourceKeySpec: String?
    /// Of the pair to be generated.
    package let keyPairSpec: String?

    package init(
        operation: String, algorithm: String? = nil, keySpec: String? = nil,
        sourceKeySpec: String? = nil, keyPairSpec: String? = nil
    ) {
        self.operation = operation
        self.algorithm = algorithm
        self.keySpec = keySpec
        self.sourceKeySpec = sourceKeySpec
        self.keyPairSpec = keyPairSpec
    }
}

/// A month of UTC's calendar.
package struct CalendarMonth: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Months since January of the year 0.
    package let index: UInt32

    package init(index: UInt32) {
        self.index = index
    }

    /// 1…12.
    package init(year: UInt32, month: UInt32) {
        index = year * 12 + month - 1
    }

    package var year: UInt32 { index / 12 }
    package var month: UInt32 { index % 12 + 1 }

    package init(containing time: Timestamp) {
        let date = time.iso8601Date
        let parts = date.split(separator: "-").compactMap { UInt32($0) }
        self.init(year: parts.first ?? 1970, month: parts.count > 1 ? parts[1] : 1)
    }

    /// Reads `2026-11`.
    package init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].utf8.count == 4, parts[1].utf8.count == 2,
            let year = UInt32(parts[0]), let month = UInt32(parts[1]), (1...12).contains(month)
        else { return nil }
        self.init(year: year, month: month)
    }

    /// `2026-11`.
    package var description: String { String(start.iso8601.prefix(7)) }

    package var next: CalendarMonth { CalendarMonth(index: index + 1) }

    /// Its first moment.
    package var start: Timestamp {
        let (y, m) = (String(year + 10_000).dropFirst(), String(month + 100).dropFirst())
        return Timestamp(iso8601: "\(y)-\(m)-01T00:00:00Z")
            ?? Timestamp(millisecondsSinceEpoch: 0)
    }

    package static func < (a: CalendarMonth, b: CalendarMonth) -> Bool { a.index < b.index }
}
