internal import KMSModel
internal import KMSWire
internal import Synchronization

/// How often each class of requests may be made, in requests a second.
package struct QuotaTable: Sendable, Hashable {
    /// A class that is not in it has no limit.
    package private(set) var rates: [OperationClass: Double] = [:]

    package init() {}

    /// AWS's own defaults for most Regions (developer guide, "Request quotas", 2026). ML-KEM has
    /// none there; it gets those of ML-DSA.
    package static let aws: QuotaTable = {
        var table = QuotaTable()
        let shared: [OperationClass: Double] = [
            .symmetric: 10_000, .rsa: 1000, .ecc: 1000, .mlDSA: 1000, .mlKEM: 1000,
        ]
        table.rates = shared
        for spec in DataKeyPairSpec.allCases { table.rates[.dataKeyPair(spec)] = rate(spec) }
        for case .single(let operation) in OperationClass.all {
            table.rates[.single(operation)] = rate(operation)
        }
        return table
    }()

    private static func rate(_ spec: DataKeyPairSpec) -> Double {
        switch spec {
        case .rsa2048: 20
        case .rsa3072: 4
        case .rsa4096: 1
        case .sm2: 25
        case .eccNistP256, .eccNistP384, .eccNistP521, .eccSecgP256k1, .eccNistEdwards25519,
            .mlKem512, .mlKem768, .mlKem1024:
            100
        }
    }

    private static func rate(_ operation: KMSOperation) -> Double {
        switch operation {
        case .describeKey, .getPublicKey, .listResourceTags: 2000
        case .getKeyPolicy, .getKeyRotationStatus: 1000
        case .listAliases, .listKeys: 500
        case .listGrants, .listKeyPolicies, .listKeyRotations, .listRetirableGrants: 100
        case .createGrant, .retireGrant, .revokeGrant: 50
        case .deleteAlias, .deleteImportedKeyMaterial, .enableKeyRotation, .importKeyMaterial,
            .putKeyPolicy, .scheduleKeyDeletion:
            15
        case .tagResource: 10
        case .getParametersForImport: 1
        default: 5
        }
    }

    /// Reads `CLASS=RATE`, or `aws` for ``aws``. A rate is more than 0 and at most a million.
    ///
    /// - Returns: false when it is neither.
    package mutating func apply(_ rule: String) -> Bool {
        if rule == "aws" {
            rates.merge(Self.aws.rates) { $1 }
            return true
        }
        guard let mark = rule.lastIndex(of: "="),
            let operationClass = OperationClass(name: String(rule[..<mark])),
            let rate = Double(rule[rule.index(after: mark)...]), rate > 0, rate <= 1_000_000
        else { return false }
        rates[operationClass] = rate
        return true
    }

    /// Reads a file: one rule a line, `#` begins a comment.
    ///
    /// - Returns: the number of the first line that is no rule; nil when all are.
    package mutating func apply(fileText text: String) -> Int? {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        for (number, line) in lines.enumerated() {
            let rule = line.prefix { $0 != "#" }.filter { !$0.isWhitespace }
            if !rule.isEmpty, !apply(rule) { return number + 1 }
        }
        return nil
    }
}

/// Token buckets: a second's worth of requests at once, and the rate in the long run, for each
/// principal, Region and class.
///
/// Thread-safe. Holds at most ``capacity`` buckets, the least lately used ones make room: somebody
/// with that many principals gets a full bucket more often than others.
package final class RequestQuota: Sendable {
    package static let capacity = 10_000

    private struct Name: Hashable {
        let principal: String
        let region: String
        let operationClass: OperationClass
    }

    private let table: QuotaTable
    private let buckets = Mutex(BoundedCache<Name, TokenBucket>(capacity: capacity))

    package init(_ table: QuotaTable) {
        self.table = table
    }

    package var bucketCount: Int { buckets.withLock { $0.count } }

    /// Whether one more request is within the quota, and counts it if so.
    package func admits(
        _ principal: String, _ region: String, _ operationClass: OperationClass, at moment: Moment
    ) -> Bool {
        guard let rate = table.rates[operationClass] else { return true }
        let name = Name(principal: principal, region: region, operationClass: operationClass)
        return buckets.withLock { buckets in
            var bucket =
                buckets.value(for: name)
                ?? TokenBucket(rate: rate, nowMilliseconds: moment.uptimeMilliseconds)
            let isAdmitted = bucket.take(nowMilliseconds: moment.uptimeMilliseconds)
            buckets.insert(bucket, for: name)
            return isAdmitted
        }
    }
}

/// Tokens that come at a steady rate, as many as a second brings and one at least.
struct TokenBucket: Sendable {
    private let ratePerSecond: Double
    private var tokens: Double
    private var filledAtMilliseconds: Int64

    init(rate: Double, nowMilliseconds: Int64) {
        ratePerSecond = rate
        tokens = max(1, rate)
        filledAtMilliseconds = nowMilliseconds
    }

    mutating func take(nowMilliseconds: Int64) -> Bool {
        let elapsed = max(0, nowMilliseconds - filledAtMilliseconds)
        tokens = min(max(1, ratePerSecond), tokens + ratePerSecond * Double(elapsed) / 1000)
        filledAtMilliseconds = max(filledAtMilliseconds, nowMilliseconds)
        guard tokens >= 1 else { return false }
        tokens -= 1
        return true
    }
}
