import KMSModel
import Testing

/// The price rule, on the examples of AWS's pricing page and at its edges.
@Suite struct BillTests {
    private let november = CalendarMonth(year: 2026, month: 11)
    private let later = Timestamp(iso8601: "2027-01-01") ?? Timestamp(secondsSinceEpoch: 0)

    private func time(_ text: String) -> Timestamp {
        Timestamp(iso8601: text) ?? Timestamp(secondsSinceEpoch: 0)
    }

    private func key(
        _ created: String, manager: KeyManager = .customer, freeSince: String? = nil,
        rotations: [String] = []
    ) -> BilledKey {
        BilledKey(
            arn: "arn", manager: manager, creationDate: time(created),
            freeSince: freeSince.map(time), rotations: rotations.map(time))
    }

    private func bill(
        _ keys: [BilledKey], _ counts: [PriceClass: UInt64] = [:], now: Timestamp? = nil
    ) -> Bill {
        Bill(november, now: now ?? later, keys: keys, counts: counts, prices: .builtIn)
    }

    @Test func `a key costs a dollar a month, by the hour`() {
        #expect(bill([key("2026-01-01")]).total == .cents(100))
        #expect(bill([key("2026-11-16")]).total == .cents(50))
        #expect(bill([key("2026-11-30T23:30:00Z")]).keys.map(\.hours) == [[1]])
        #expect(bill([key("2026-12-01")]).keys == [])
        #expect(bill([key("2026-01-01")], now: time("2026-11-16")).total == .cents(50))
        #expect(bill([key("2026-01-01")]).hoursInMonth == 720)
    }

    @Test func `the first two rotations cost as much again, each from its hour on`() {
        let rotations = ["2026-03-01", "2026-11-16", "2026-11-16", "2026-11-17"]
        #expect(bill([key("2026-01-01", rotations: [rotations[0]])]).total == .cents(200))
        #expect(
            bill([key("2026-01-01", rotations: Array(rotations.prefix(2)))]).total == .cents(250))
        #expect(bill([key("2026-01-01", rotations: rotations)]).total == .cents(250))
        #expect(bill([key("2026-01-01", rotations: ["2026-12-05"])]).total == .cents(100))
        // Those of its primary key cost a replica nothing before it is there.
        #expect(bill([key("2026-11-16", rotations: rotations)]).total == .cents(150))
        #expect(bill([key("2026-12-01", rotations: rotations)]).keys == [])
    }

    @Test func `a replica's rotations cost nothing before it was there itself`() {
        let replica = key("2026-11-16", rotations: ["2026-03-01", "2026-04-01", "2026-05-01"])
        #expect(bill([replica]).keys.map(\.hours) == [[360, 360, 360]])
        #expect(bill([replica]).total == .cents(150))
        #expect(bill([key("2026-12-01", rotations: ["2026-03-01"])]).keys == [])
    }

    @Test func `keys of the service and keys that are to be deleted cost nothing`() {
        #expect(bill([key("2026-01-01", manager: .aws)]).keys == [])
        #expect(bill([key("2026-01-01", freeSince: "2026-10-31")]).keys == [])
        #expect(bill([key("2026-01-01", freeSince: "2026-11-16")]).total == .cents(50))
        #expect(bill([key("2026-01-01", freeSince: "2026-12-05")]).total == .cents(100))
    }

    /// AWS's example: 10,000 encrypts and 2,000,000 decrypts of a month.
    @Test func `twenty thousand symmetric requests are free, and no others`() {
        #expect(bill([], [.symmetric: 20_000]).total == .zero)
        #expect(bill([], [.symmetric: 2_010_000]).total.description == "5.97")
        #expect(bill([], [.symmetric: 30_000]).requests.map(\.freeCount) == [20_000])
        let mixed = bill([], [.rsa2048: 10_000, .asymmetric: 10_000, .symmetric: 1])
        #expect(mixed.requests.map(\.priceClass) == [.symmetric, .rsa2048, .asymmetric])
        #expect(mixed.total == .cents(18))
        #expect(bill([], [.eccKeyPair: 10_000, .rsaKeyPair: 10_000]).total == .cents(1210))
        #expect(bill([], [.asymmetric: 1]).total.billionths == 15_000)
        #expect(bill([], [.symmetric: 0]).requests == [])
    }

    @Test func `a price class follows from what an event says`() {
        func price(
            _ operation: String, _ algorithm: String? = nil, _ keySpec: String? = nil,
            pair: String? = nil
        ) -> PriceClass {
            PriceClass(
                PricedRequest(
                    operation: operation, algorithm: algorithm, keySpec: keySpec, keyPairSpec: pair)
            )
        }
        #expect(price("Encrypt") == .symmetric)
        #expect(price("Decrypt", "SYMMETRIC_DEFAULT", "SYMMETRIC_DEFAULT") == .symmetric)
        #expect(price("GenerateMac", nil, "HMAC_256") == .symmetric)
        #expect(price("DescribeKey", nil, "RSA_4096") == .symmetric)
        #expect(price("Encrypt", "RSAES_OAEP_SHA_1", "RSA_2048") == .rsa2048)
        #expect(price("Sign", nil, "RSA_2048") == .rsa2048)
        #expect(price("Sign", nil, "ML_DSA_65") == .asymmetric)
        #expect(price("GetPublicKey") == .asymmetric)
        #expect(price("GenerateDataKeyPair", nil, nil, pair: "RSA_2048") == .rsaKeyPair)
        #expect(price("GenerateDataKeyPair", nil, nil, pair: "ECC_NIST_P256") == .eccKeyPair)
    }

    @Test(
        arguments: [
            ("SYMMETRIC_DEFAULT", "SYMMETRIC_DEFAULT", PriceClass.symmetric),
            ("SYMMETRIC_DEFAULT", "RSA_2048", .rsa2048),
            ("RSA_2048", "SYMMETRIC_DEFAULT", .rsa2048),
            ("RSA_2048", "RSA_2048", .rsa2048), ("RSA_2048", "RSA_4096", .asymmetric),
            ("SM2", "RSA_2048", .asymmetric), ("RSA_3072", "SYMMETRIC_DEFAULT", .asymmetric),
            // Refused before the key was found that encrypts, or for what the keys are for.
            ("RSA_2048", nil, .rsa2048), ("SYMMETRIC_DEFAULT", nil, .symmetric),
            ("HMAC_256", nil, .symmetric),
        ] as [(String, String?, PriceClass)])
    func `ReEncrypt costs what the dearer of its two keys does`(
        _ source: String, _ destination: String?, _ expected: PriceClass
    ) {
        let request = PricedRequest(
            operation: "ReEncrypt", keySpec: destination, sourceKeySpec: source)
        #expect(PriceClass(request) == expected)
    }

    @Test(arguments: ["SYMMETRIC_DEFAULT", "RSA_2048", "RSA_4096", nil] as [String?])
    func `ReEncrypt whose event tells of one key alone is symmetric, as older totals have it`(
        _ keySpec: String?
    ) {
        let request = PricedRequest(operation: "ReEncrypt", keySpec: keySpec)
        #expect(PriceClass(request) == .symmetric)
    }

    @Test func `months are read, written and counted`() throws {
        let month = try #require(CalendarMonth("2026-11"))
        #expect(month == november)
        #expect(month.description == "2026-11")
        #expect(month.next.next.description == "2027-01")
        #expect(month.start == time("2026-11-01"))
        #expect(CalendarMonth(containing: time("2026-11-30T23:59:59.999Z")) == month)
        for text in ["", "2026", "2026-13", "2026-00", "26-11", "2026-11-01", "2026-1"] {
            #expect(CalendarMonth(text) == nil)
        }
        #expect(Dollars.cents(123).description == "1.23")
        #expect(Dollars(billionths: 5_000_000).description == "0.01")
        #expect(Dollars(billionths: 4_999_999).description == "0.00")
    }
}
