import KMSModel
import Testing

/// The data file of prices: the one that is built in, and what is refused of others.
@Suite struct PriceListTests {
    private static let file = """
        {
            "format": 1, "asOf": "2026-11", "currency": "USD", "sources": ["a", "b"],
            "keyMonth": 1.5, "chargedRotations": 2, "freeRequestsPerMonth": 20000,
            "tenThousandRequests": {
                "symmetric": 0.03, "rsa-2048": 0.03001, "asymmetric": 0, "ecc-key-pair": 0.10,
                "rsa-key-pair": 9999.99999
            }
        }
        """

    private func refusal(_ text: String) -> PriceListError? {
        do throws(PriceListError) {
            _ = try PriceList(parsing: Array(text.utf8))
            return nil
        } catch {
            return error
        }
    }

    @Test func `the list that is built in has AWS's prices of November 2026`() {
        let list = PriceList.builtIn
        #expect(list.asOf == CalendarMonth(year: 2026, month: 11))
        #expect(list.sources.first == "https://aws.amazon.com/kms/pricing/")
        #expect(list.perKeyMonth == .cents(100))
        #expect(list.chargedRotations == 2)
        #expect(list.freeRequestsPerMonth == 20_000)
        #expect(
            list.perTenThousand == [
                .symmetric: .cents(3), .rsa2048: .cents(3), .asymmetric: .cents(15),
                .eccKeyPair: .cents(10), .rsaKeyPair: .cents(1200),
            ])
    }

    @Test func `a list is read exactly`() throws {
        let list = try PriceList(parsing: Array(Self.file.utf8))
        #expect(list.sources == ["a", "b"])
        #expect(list.perKeyMonth == .cents(150))
        #expect(list.perTenThousand[.rsa2048]?.billionths == 30_010_000)
        #expect(list.perTenThousand[.rsaKeyPair]?.billionths == 9_999_999_990_000)
        #expect(list.perTenThousand[.asymmetric] == .zero)
    }

    @Test(arguments: [
        ("{", "no JSON: unexpected end"),
        ("[]", "'format' is missing"),
        (#"{"format": 2}"#, "'format' must be 1"),
        (
            file.replacing("\"2026-11\"", with: "\"2026\""),
            "'asOf' must be a month such as \"2026-11\""
        ),
        (file.replacing("USD", with: "EUR"), "'currency' must be \"USD\""),
        (file.replacing("\"b\"", with: "1"), "'sources' must be a list of texts"),
        (
            file.replacing("\"chargedRotations\": 2", with: "\"chargedRotations\": 1001"),
            "'chargedRotations' must be a whole number from 0 to 1000"
        ),
        (file.replacing("\"chargedRotations\": 2, ", with: ""), "'chargedRotations' is missing"),
        (
            file.replacing("\"symmetric\": 0.03, ", with: ""),
            "'tenThousandRequests.symmetric' is missing"
        ),
        (
            file.replacing("\"rsa-2048\"", with: "\"rsa-3072\": 1, \"rsa-2048\""),
            "'tenThousandRequests.rsa-3072' is not known"
        ),
        (file.replacing("\"sources\"", with: "\"note\": 1, \"sources\""), "'note' is not known"),
    ])
    func `a bad list is refused by what is wrong with it`(_ text: String, _ words: String) {
        #expect(refusal(text)?.description == words)
    }

    @Test(arguments: ["-1", "10000", "0.000001", "1e2", "\"1\"", "null", "1.", ".5"])
    func `an amount is a plain decimal with a bound`(_ amount: String) {
        #expect(refusal(Self.file.replacing("1.5", with: amount)) != nil)
    }

    @Test func `no number of requests is too many for a bill`() throws {
        let list = try PriceList(parsing: Array(Self.file.utf8))
        let bill = Bill(
            list.asOf, now: list.asOf.next.start, keys: [],
            counts: [.rsaKeyPair: .max, .rsa2048: .max], prices: list)
        #expect(bill.requests.map(\.amount) == [.most, .most])
        #expect(bill.total > .most)
    }
}
