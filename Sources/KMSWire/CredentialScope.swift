package import KMSModel

/// What a signing key is good for: one day, one Region, one service.
package struct CredentialScope: Hashable, Sendable {
    static let terminator = "aws4_request"

    /// `20150830`, UTC.
    package let date: String
    package let region: String
    package let service: String

    package init(at time: Timestamp, region: String, service: String) {
        self.init(date: String(BasicDate.text(time).prefix(8)), region: region, service: service)
    }

    init(date: String, region: String, service: String) {
        self.date = date
        self.region = region
        self.service = service
    }

    /// `20150830/us-east-1/kms/aws4_request`.
    package var text: String { "\(date)/\(region)/\(service)/\(Self.terminator)" }

    func appendText(to bytes: inout [UInt8]) {
        for part in [date, region, service] {
            bytes.append(contentsOf: part.utf8)
            bytes.append(UInt8(ascii: "/"))
        }
        bytes.append(contentsOf: Self.terminator.utf8)
    }
}

/// `20150830T123600Z`: ISO 8601, basic format, in UTC.
enum BasicDate {
    static func text(_ time: Timestamp) -> String {
        String(
            decoding: time.iso8601.utf8.filter {
                $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: ":")
            }, as: UTF8.self)
    }

    /// nil for any other form, and for days and seconds that no calendar has.
    static func time(_ text: String) -> Timestamp? {
        let bytes = Array(text.utf8)
        guard bytes.count == 16 else { return nil }
        var extended: [UInt8] = []
        extended.reserveCapacity(20)
        for (index, byte) in bytes.enumerated() {
            if index == 4 || index == 6 { extended.append(UInt8(ascii: "-")) }
            if index == 11 || index == 13 { extended.append(UInt8(ascii: ":")) }
            extended.append(byte)
        }
        // Timestamp lets the 31st of any month pass, and a second 60.
        guard let time = Timestamp(iso8601: String(decoding: extended, as: UTF8.self)),
            bytes[13] < UInt8(ascii: "6")
        else { return nil }
        let (year, month) = (number(bytes[0...3]), number(bytes[4...5]))
        return number(bytes[6...7]) <= dayCount(month: month, year: year) ? time : nil
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int {
        digits.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
    }

    private static func dayCount(month: Int, year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
}
