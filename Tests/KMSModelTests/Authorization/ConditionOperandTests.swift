import TestSupport
import Testing

@testable import KMSModel

@Suite struct ConditionOperandTests {
    @Test(arguments: [
        ("2026", "2026-01-01T00:00:00Z"), ("2026-11", "2026-11-01T00:00:00Z"),
        ("2026-11-24", "2026-11-24T00:00:00Z"), ("2026-11-24T12:15Z", "2026-11-24T12:15:00Z"),
        ("2026-11-24T12:15:16Z", "2026-11-24T12:15:16Z"),
        ("2026-11-24T12:15:16.25Z", "2026-11-24T12:15:16.250Z"),
        ("2026-11-24T12:15:16.123456Z", "2026-11-24T12:15:16.123Z"),
        ("2026-11-24T12:15+01:00", "2026-11-24T11:15:00Z"),
        ("2026-11-24T23:15:00-05:30", "2026-11-25T04:45:00Z"),
        ("1795522500", "2026-11-24T12:15:00Z"), ("0", "1970-01-01T00:00:00Z"),
        ("-1", "1969-12-31T23:59:59Z"),
    ])
    func `dates are read in W3C's forms and as seconds`(_ text: String, _ iso: String) {
        #expect(Timestamp(condition: text) == Timestamp(iso8601: iso))
    }

    @Test(arguments: [
        "", "now", "2026-13", "2026-11-24T", "2026-11-24T12Z", "2026-11-24T12:15",
        "2026-11-24 12:15Z", "2026-11-24T12:15:16.Z", "2026-11-24T12:15:16.xZ",
        "2026-11-24T12:15:1Z", "2026-11-24T12:15+1:00", "2026-11-24T12:15++1:+1",
        "2026-11-24T12:15+24:00", "2026-11-24T25:15Z", "20261", "1e300", "nan", "2026-1",
        "é026-11-24T12:15Z", "2026-11-24T12:15Zx",
    ])
    func `what is no date is refused`(_ text: String) {
        // Five digits are seconds.
        if text == "20261" {
            #expect(Timestamp(condition: text) == Timestamp(secondsSinceEpoch: 20_261))
        } else {
            #expect(Timestamp(condition: text) == nil)
        }
    }

    @Test(arguments: ["", "nan", "inf", "0x10", "1_000", " 1", "1 ", "1e999", "--1", "e", "."])
    func `what is no number is refused`(_ text: String) {
        #expect(decimalNumber(text) == nil)
    }

    @Test(arguments: [
        "", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.-4", "1.2.3.4/33", "1.2.3.4/",
        "1.2.3.4/x", "1.2.3.4/+1", "::1/129", "1::2::3", ":::", ":1", "1:", "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8", "g::", "12345::", "1.2.3.4::", "::1.2.3",
        "::ffff:1.2.3.4/95", "*", "10.0.0.*", "localhost",
    ])
    func `what is no block of addresses is refused`(_ text: String) {
        #expect(AddressRange(text) == nil)
    }

    @Test func `every form of an address is the same address`() {
        let forms = ["2001:db8::1", "2001:DB8:0:0:0:0:0:1", "2001:db8:0::0:1", "2001:db8::0.0.0.1"]
        #expect(Set(forms.map { IPAddress($0) }).count == 1)
        #expect(IPAddress("2001:db8::1") != IPAddress("2001:db8::2"))
        #expect(IPAddress("::") != nil)
    }

    @Test(
        arguments: [
            ([], ""), ([0x66], "Zg=="), ([0x66, 0x6F], "Zm8="), ([0x66, 0x6F, 0x6F], "Zm9v"),
            ([0xFB, 0xEF, 0xFF, 0xFE], "++///g=="),
        ] as [([UInt8], String)])
    func `base 64 is as RFC 4648 has it`(_ bytes: [UInt8], _ text: String) {
        #expect(Base64.encode(bytes) == text)
        #expect(Base64.decode(text) == bytes)
    }

    @Test(arguments: [
        "Z", "Zg", "Zg=", "Zh==", "Zm9=", "Zm8==", "====", "Z===", "Zg==Zg==", "Zm9v\n", "Zm-v",
        "Zm9é", "=Zg=",
    ])
    func `every byte string has one base 64`(_ text: String) {
        #expect(Base64.decode(text) == nil)
    }

    @Test func `base 64 comes back`() {
        var source = RandomSource(seed: 3)
        for count in 0..<100 {
            let bytes = source.bytes(count)
            #expect(Base64.decode(Base64.encode(bytes)) == bytes)
        }
    }
}
