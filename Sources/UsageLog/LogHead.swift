internal import Cryptography
internal import KMSModel

/// How far the whole log surely went: what is kept outside of the keystore, so that a keystore that
/// was put back to an older state as a whole is noticed.
///
/// As a file: six lines of text, each ended by a line feed.
///
/// ```
/// keyfold-log-head 1
/// log VERIFICATION-KEY
/// checkpoint NUMBER
/// hash HASH-OF-THAT-CHECKPOINT
/// milliseconds SINCE-1970
/// code HMAC-SHA256
/// ```
///
/// The code, over the five lines before, is made with a key that only the open keystore has: where a
/// vault is kept, somebody else may be able to write. A head that was changed is told apart from one
/// that the log does not reach; a head that was put back to an older one only sees less.
package struct LogHead: Hashable, Sendable {
    /// Names the log: the public key of its first checkpoint, 32 bytes.
    package let verificationKey: [UInt8]
    /// Of the last checkpoint, from 1.
    package let checkpoint: UInt64
    /// 32 bytes.
    package let hash: [UInt8]
    /// When the head was taken, by the wall clock.
    package let milliseconds: Int64

    /// The file in a vault's root and what it is called in reports.
    package static let maximumBytes = 512

    package init(verificationKey: [UInt8], checkpoint: UInt64, hash: [UInt8], milliseconds: Int64) {
        self.verificationKey = verificationKey
        self.checkpoint = checkpoint
        self.hash = hash
        self.milliseconds = milliseconds
    }

    private var text: String {
        """
        keyfold-log-head 1
        log \(hex(verificationKey))
        checkpoint \(checkpoint)
        hash \(hex(hash))
        milliseconds \(milliseconds)

        """
    }

    /// The file's bytes.
    package func encoded(_ keys: UsageLogKeys) -> [UInt8] {
        let text = Array(text.utf8)
        let code = HMACSHA256.authenticationCode(for: text, key: keys.headKey)
        return text + Array("code \(hex(code))\n".utf8)
    }

    /// nil when this keystore did not write these bytes.
    package init?(decoding bytes: [UInt8], _ keys: UsageLogKeys) {
        guard let (head, code) = LogHead.parse(bytes),
            HMACSHA256.isValid(code, for: Array(head.text.utf8), key: keys.headKey)
        else { return nil }
        self = head
    }

    /// The head without a look at its code, for who has no keystore.
    package init?(unauthenticated bytes: [UInt8]) {
        guard let (head, _) = LogHead.parse(bytes) else { return nil }
        self = head
    }

    private static func parse(_ bytes: [UInt8]) -> (LogHead, code: [UInt8])? {
        guard bytes.count <= maximumBytes, let text = String(validating: bytes, as: UTF8.self)
        else { return nil }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count == 7, lines[0] == "keyfold-log-head 1", lines[6].isEmpty else {
            return nil
        }
        func value(_ line: Int, _ name: String) -> String? {
            lines[line].hasPrefix(name + " ")
                ? String(lines[line].dropFirst(name.count + 1)) : nil
        }
        guard let key = value(1, "log").flatMap({ bytesOfHex($0) }), key.count == 32,
            let number = value(2, "checkpoint").flatMap({ UInt64($0) }), number > 0,
            let hash = value(3, "hash").flatMap({ bytesOfHex($0) }), hash.count == 32,
            let time = value(4, "milliseconds").flatMap({ Int64($0) }),
            let code = value(5, "code").flatMap({ bytesOfHex($0) }), code.count == 32
        else { return nil }
        let head = LogHead(
            verificationKey: key, checkpoint: number, hash: hash, milliseconds: time)
        // One head has one encoding.
        guard text.hasPrefix(head.text) else { return nil }
        return (head, code)
    }

    /// What is wrong with a log, held against this head.
    ///
    /// - Parameter checkpoint: the log's one of this number, when it has one.
    func problem(_ verificationKey: [UInt8], checkpoint: [UInt8]?) -> LogProblem.Kind? {
        guard verificationKey == self.verificationKey else { return .foreignAnchor }
        guard let checkpoint else { return .rolledBack }
        return Checkpoint.hash(checkpoint) == hash ? nil : .forked
    }
}

/// A head that was found somewhere, and where; without a head, nothing there could be read.
package struct AnchoredHead: Sendable {
    package let name: String
    package let head: LogHead?

    package init(name: String, head: LogHead?) {
        self.name = name
        self.head = head
    }
}

/// Lower-case hex digits.
func hex(_ bytes: [UInt8]) -> String { hexText(bytes) }

/// nil for anything but an even number of lower-case hex digits.
func bytesOfHex(_ text: some StringProtocol) -> [UInt8]? {
    var bytes: [UInt8] = []
    var high: UInt8?
    for digit in text.utf8 {
        let value: UInt8
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): value = digit - UInt8(ascii: "a") + 10
        default: return nil
        }
        if let first = high {
            bytes.append(first << 4 | value)
            high = nil
        } else {
            high = value
        }
    }
    return high == nil ? bytes : nil
}
