/// An amount of US dollars, in billionths: a request costs millionths.
package struct Dollars: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let billionths: Int64

    package init(billionths: Int64) {
        self.billionths = billionths
    }

    package static let zero = Dollars(billionths: 0)
    /// What no bill of a month comes to; some hundreds of it still add up.
    package static let most = Dollars(billionths: .max / 1024)

    package static func cents(_ count: Int64) -> Dollars { Dollars(billionths: count * 10_000_000) }

    package static func + (a: Dollars, b: Dollars) -> Dollars {
        Dollars(billionths: a.billionths + b.billionths)
    }

    package static func < (a: Dollars, b: Dollars) -> Bool { a.billionths < b.billionths }

    /// Rounded to cents, half up: `1.24`. Never negative.
    package var description: String {
        let cents = (billionths + 5_000_000) / 10_000_000
        let rest = cents % 100
        return "\(cents / 100).\(rest < 10 ? "0" : "")\(rest)"
    }
}

/// What AWS KMS charges, as of a month: the content of a data file.
///
/// Regions differ in none of these but China's; taxes and the free tier of other services are not
/// in here.
package struct PriceList: Sendable {
    /// When it was looked up.
    package let asOf: CalendarMonth
    package let sources: [String]
    /// Of a key that the customer manages, and of each rotation that is charged.
    package let perKeyMonth: Dollars
    /// So many rotations add to a key's price; the ones after them are free.
    package let chargedRotations: Int
    package let freeRequestsPerMonth: UInt64
    /// Of 10,000 requests.
    package let perTenThousand: [PriceClass: Dollars]

    /// Of so many requests of a class, the free ones taken off.
    func price(of count: UInt64, _ priceClass: PriceClass) -> Dollars {
        let perTenThousand = perTenThousand[priceClass] ?? .zero
        // Every price of 10,000 is a multiple of 10,000 billionths.
        let (amount, isTooMuch) = Int64(clamping: count)
            .multipliedReportingOverflow(by: perTenThousand.billionths / 10_000)
        return isTooMuch ? Dollars.most : min(Dollars(billionths: amount), Dollars.most)
    }
}
