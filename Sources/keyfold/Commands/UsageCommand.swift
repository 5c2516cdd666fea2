import ArgumentParser
import Console
import KMSCore
import KMSModel
import UsageLog

struct UsageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "usage",
        abstract: "Show requests and keys by month, and what AWS would bill for them.",
        discussion: """
            The keystore keeps the sums, and 'keyfold log verify' checks them. Refused requests and \
            dry runs are requests, too. Months are UTC's. Keys that are deleted by now are in the \
            bills of their months, from what the log says of them.
            Prices are those that Keyfold was built with; docs/cli.md has the form of a newer list.
            Example: keyfold usage --month 2026-11
            """)

    @Option(help: ArgumentHelp("Only this month.", valueName: "yyyy-mm"))
    var month: String?

    @Option(
        help: ArgumentHelp("A list of AWS's prices, as JSON.", valueName: "file"),
        completion: .file())
    var prices: String?

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if let month, CalendarMonth(month) == nil {
            throw ValidationError("'\(month)' is no month: 2026-11 is one")
        }
    }

    func run() throws {
        let priceList = try prices.map(UsageCommand.priceList) ?? .builtIn
        try common.withSession { session throws(Failure) in
            let (tally, keys) = try Failure.carrying { () throws(KeystoreError) in
                try session.keystore.synchronizeLog()
                let tally = try session.keystore.usageTally()
                let deleted = try session.keystore.deletedKeys(in: tally)
                return (tally, try session.keystore.billedKeys() + deleted)
            }
            let months = UsageMonth.all(
                tally, keys: keys, now: SystemWallClock().now(), prices: priceList)
            let wanted = month.flatMap(CalendarMonth.init)
            let shown = months.filter { wanted == nil || $0.bill.month == wanted }
            for month in shown { common.output.data(month.json, month.text) }
            if shown.isEmpty { common.output.notice("no requests and no keys in that time") }
        }
    }

    private static func priceList(at path: String) throws(Failure) -> PriceList {
        let bytes = try PlainFile.contents(of: path, limitBytes: PriceList.maximumFileBytes + 1)
        do throws(PriceListError) {
            return try PriceList(parsing: bytes)
        } catch {
            throw Failure(
                .damagedData, path, "no list of prices: \(error)",
                wayOut: "docs/cli.md has the form of such a file")
        }
    }
}

/// One month's requests, by key, and its bill.
private struct UsageMonth {
    let requests: [(arn: String, requests: UsageTally.Requests)]
    let bill: Bill
    let prices: PriceList

    static func all(
        _ tally: UsageTally, keys: [BilledKey], now: Timestamp, prices: PriceList
    ) -> [UsageMonth] {
        var byMonth: [CalendarMonth: [(arn: String, requests: UsageTally.Requests)]] = [:]
        for (arn, key) in tally.keys.sorted(by: { $0.key < $1.key }) {
            for requests in key.requests {
                byMonth[requests.period.month, default: []].append((arn, requests))
            }
        }
        let current = CalendarMonth(containing: now)
        let first = keys.map { CalendarMonth(containing: $0.creationDate) }.min() ?? current
        var month = min(first, byMonth.keys.min() ?? first)
        // A clock that was wrong may have dated keys and events anywhere.
        var months: Set<CalendarMonth> = Set(byMonth.keys)
        while month <= current, months.count < 1200 {
            months.insert(month)
            month = month.next
        }
        return months.sorted().map { month in
            let requests = byMonth[month] ?? []
            var counts: [PriceClass: UInt64] = [:]
            for entry in requests {
                counts[entry.requests.period.priceClass, default: 0] += entry.requests.count
            }
            return UsageMonth(
                requests: requests,
                bill: Bill(month, now: now, keys: keys, counts: counts, prices: prices),
                prices: prices)
        }
    }

    var json: JSONValue {
        .object([
            "month": .text(bill.month.description),
            "requests": .list(
                requests.map { entry in
                    .object([
                        "keyArn": .text(ifAny: entry.arn.isEmpty ? nil : entry.arn),
                        "priceClass": .text(entry.requests.period.priceClass.name),
                        "count": .number(entry.requests.count),
                        "refused": .number(entry.requests.refusedCount),
                    ])
                }),
            "bill": .object([
                "currency": .text("USD"), "pricesAsOf": .text(prices.asOf.description),
                "hoursInMonth": .number(bill.hoursInMonth),
                "keys": .list(
                    bill.keys.map { key in
                        .object([
                            "keyArn": .text(key.arn),
                            "hours": .list(key.hours.map { .number($0) }),
                            "amount": .text(key.amount.description),
                        ])
                    }),
                "requests": .list(
                    bill.requests.map { requests in
                        .object([
                            "priceClass": .text(requests.priceClass.name),
                            "count": .number(requests.count),
                            "free": .number(requests.freeCount),
                            "amount": .text(requests.amount.description),
                        ])
                    }),
                "total": .text(bill.total.description),
            ]),
        ])
    }

    var text: String {
        var table = Table("KEY", "PRICE CLASS", "REQUESTS", "REFUSED")
        for entry in requests {
            table.add(
                UsageMonth.name(entry.arn), entry.requests.period.priceClass.name,
                String(entry.requests.count), String(entry.requests.refusedCount))
        }
        var sheet = Sheet()
        sheet.add("Month", bill.month.description)
        sheet.add("Keys charged", String(bill.keys.count))
        let keys = bill.keys.reduce(Dollars.zero) { $0 + $1.amount }
        sheet.add("Keys", "$\(keys)")
        for requests in bill.requests {
            let free = requests.freeCount > 0 ? ", \(requests.freeCount) of them free" : ""
            sheet.add(
                "Requests, \(requests.priceClass.name)",
                "$\(requests.amount) for \(requests.count)\(free)")
        }
        sheet.add("AWS would bill", "$\(bill.total) (prices as of \(prices.asOf))")
        return sheet.text + (requests.isEmpty ? "" : table.text) + "\n"
    }

    private static func name(_ arn: String) -> String {
        arn.isEmpty ? "(no key)" : KeyARN(arn)?.keyID.description ?? arn
    }
}
