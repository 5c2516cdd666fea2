/// What a bill asks of a key.
package struct BilledKey: Hashable, Sendable {
    package let arn: String
    package let manager: KeyManager
    package let creationDate: Timestamp
    /// When its deletion was scheduled: from then on it is free, unless the deletion is cancelled,
    /// which makes it as if it never was.
    package let freeSince: Timestamp?
    /// When its versions after the first were made.
    package let rotations: [Timestamp]

    package init(
        arn: String, manager: KeyManager, creationDate: Timestamp, freeSince: Timestamp?,
        rotations: [Timestamp]
    ) {
        self.arn = arn
        self.manager = manager
        self.creationDate = creationDate
        self.freeSince = freeSince
        self.rotations = rotations
    }
}

/// What AWS would charge for the keys and the requests of one month. A pure function.
package struct Bill: Hashable, Sendable {
    package struct Key: Hashable, Sendable {
        package let arn: String
        /// Of the key, and of each charged rotation.
        package let hours: [Int64]
        package let amount: Dollars
    }

    package struct Requests: Hashable, Sendable {
        package let priceClass: PriceClass
        package let count: UInt64
        package let freeCount: UInt64
        package let amount: Dollars
    }

    package let month: CalendarMonth
    package let hoursInMonth: Int64
    /// By ARN; those that cost nothing are left out.
    package let keys: [Key]
    package let requests: [Requests]

    package var total: Dollars {
        keys.reduce(.zero) { $0 + $1.amount } + requests.reduce(.zero) { $0 + $1.amount }
    }

    /// - Parameters:
    ///   - now: of a month that is not over, what has come up until now is charged.
    ///   - counts: requests of the month; refused ones and dry runs are requests, too.
    package init(
        _ month: CalendarMonth, now: Timestamp, keys: [BilledKey], counts: [PriceClass: UInt64],
        prices: PriceList
    ) {
        self.month = month
        let whole = month.start..<month.next.start
        hoursInMonth = whole.hours
        let end = min(now, whole.upperBound)
        self.keys = keys.sorted { $0.arn < $1.arn }.compactMap { key in
            Bill.charge(key, in: whole, until: end, prices)
        }
        var freeLeft = prices.freeRequestsPerMonth
        requests = counts.sorted { $0.key < $1.key }.filter { $0.value > 0 }.map {
            priceClass, count in
            let free = priceClass.isInFreeTier ? min(count, freeLeft) : 0
            freeLeft -= free
            return Requests(
                priceClass: priceClass, count: count, freeCount: free,
                amount: prices.price(of: count - free, priceClass))
        }
    }

    /// A key and its first rotations cost the same, each from its own hour on.
    private static func charge(
        _ key: BilledKey, in month: Range<Timestamp>, until end: Timestamp, _ prices: PriceList
    ) -> Key? {
        guard key.manager == .customer else { return nil }
        let end = min(end, key.freeSince ?? end)
        let starts = [key.creationDate] + key.rotations.sorted().prefix(prices.chargedRotations)
        let hours = starts.map { start -> Int64 in
            // A replica has rotations from before it was made.
            let start = max(start, key.creationDate, month.lowerBound)
            return start < end ? (start..<end).hours : 0
        }
        guard hours.contains(where: { $0 > 0 }) else { return nil }
        let amount = hours.reduce(Int64(0)) {
            $0 + prices.perKeyMonth.billionths * $1 / month.hours
        }
        return Key(
            arn: key.arn, hours: hours.filter { $0 > 0 }, amount: Dollars(billionths: amount))
    }
}

extension Range<Timestamp> {
    /// Hours that were begun.
    fileprivate var hours: Int64 {
        let milliseconds = upperBound.millisecondsSinceEpoch - lowerBound.millisecondsSinceEpoch
        return (milliseconds + 3_599_999) / 3_600_000
    }
}
