/// Why bytes are no price list.
package enum PriceListError: Error, Hashable, Sendable {
    case notJSON(JSONError)
    /// A member that every price list has; those of `tenThousandRequests` behind a dot.
    case missing(String)
    /// A member that this version knows nothing of: a price that would not be charged.
    case unknown(String)
    case invalid(String, expected: String)
}

extension PriceListError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .notJSON(let error): "no JSON: \(error)"
        case .missing(let member): "'\(member)' is missing"
        case .unknown(let member): "'\(member)' is not known"
        case .invalid(let member, let expected): "'\(member)' must be \(expected)"
        }
    }
}

/// The data file's form, which docs/cli.md describes for those who write one.
extension PriceList {
    package static let maximumFileBytes = 65_536
    private static let format: UInt64 = 1

    /// The list that this program was built with (`aws-kms-prices.json`, beside this file).
    package static let builtIn: PriceList = {
        do throws(PriceListError) {
            return try PriceList(parsing: PackageResources.aws_kms_prices_json)
        } catch {
            preconditionFailure("BUG: the price list that is built in: \(error)")
        }
    }()

    /// Reads a whole data file.
    package init(parsing bytes: [UInt8]) throws(PriceListError) {
        let limits = JSON.Limits(maximumBytes: Self.maximumFileBytes, maximumDepth: 4)
        var file: PriceListMembers
        do throws(JSONError) {
            file = PriceListMembers(try JSON(parsing: bytes, within: limits))
        } catch {
            throw .notJSON(error)
        }
        // First: a file of another form may be anything else.
        guard try file.count("format", upTo: .max) == Self.format else {
            throw .invalid("format", expected: "\(Self.format)")
        }
        guard let asOf = CalendarMonth(try file.text("asOf")) else {
            throw .invalid("asOf", expected: "a month such as \"2026-11\"")
        }
        guard try file.text("currency") == "USD" else {
            throw .invalid("currency", expected: "\"USD\"")
        }
        var prices = PriceListMembers(
            try file.take("tenThousandRequests"), within: "tenThousandRequests.")
        var perTenThousand: [PriceClass: Dollars] = [:]
        for priceClass in PriceClass.allCases {
            perTenThousand[priceClass] = try prices.amount(priceClass.name)
        }
        try prices.end()
        self.init(
            asOf: asOf, sources: try file.texts("sources"),
            perKeyMonth: try file.amount("keyMonth"),
            chargedRotations: Int(try file.count("chargedRotations", upTo: 1000)),
            freeRequestsPerMonth: try file.count("freeRequestsPerMonth", upTo: 1_000_000_000_000),
            perTenThousand: perTenThousand)
        try file.end()
    }
}

extension Dollars {
    /// Reads `0.03`, exactly: up to 9,999 dollars, and five decimals, so that a ten-thousandth of
    /// the amount is whole billionths. nil for anything else.
    init?(decimal text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), (1...4).contains(parts[0].utf8.count),
            let whole = Int64(parts[0]), whole >= 0
        else { return nil }
        let decimals = parts.count == 2 ? parts[1] : "0"
        guard (1...5).contains(decimals.utf8.count), decimals.utf8.allSatisfy(\.isASCIIDigit),
            let fraction = Int64(decimals + String(repeating: "0", count: 9 - decimals.utf8.count))
        else { return nil }
        self.init(billionths: whole * 1_000_000_000 + fraction)
    }
}

/// An object's members, of which each is taken once.
private struct PriceListMembers {
    private var members: [JSON.Member]?
    /// What stands before the members' names in errors.
    private let prefix: String

    init(_ json: JSON, within prefix: String = "") {
        if case .object(let members) = json { self.members = members }
        self.prefix = prefix
    }

    mutating func take(_ name: String) throws(PriceListError) -> JSON {
        guard let index = members?.firstIndex(where: { $0.name == name }),
            let member = members?.remove(at: index)
        else { throw .missing(prefix + name) }
        return member.value
    }

    mutating func text(_ name: String) throws(PriceListError) -> String {
        guard case .text(let text) = try take(name) else {
            throw .invalid(prefix + name, expected: "a text")
        }
        return text
    }

    mutating func texts(_ name: String) throws(PriceListError) -> [String] {
        let error = PriceListError.invalid(prefix + name, expected: "a list of texts")
        guard case .array(let values) = try take(name) else { throw error }
        var texts: [String] = []
        for value in values {
            guard case .text(let text) = value else { throw error }
            texts.append(text)
        }
        return texts
    }

    mutating func count(_ name: String, upTo limit: UInt64) throws(PriceListError) -> UInt64 {
        guard case .number(let text) = try take(name), let count = UInt64(text), count <= limit
        else { throw .invalid(prefix + name, expected: "a whole number from 0 to \(limit)") }
        return count
    }

    mutating func amount(_ name: String) throws(PriceListError) -> Dollars {
        guard case .number(let text) = try take(name), let amount = Dollars(decimal: text) else {
            throw .invalid(
                prefix + name,
                expected: "an amount of dollars from 0 to 9999.99999, with five decimals at most")
        }
        return amount
    }

    /// - Throws: where a member is left.
    func end() throws(PriceListError) {
        if let member = members?.first { throw .unknown(prefix + member.name) }
    }
}
