import SealedFormat

/// One change of a file's old blocks that a mount has begun: enough to finish it or to take it
/// back when the mount's process dies in the middle (docs/crash-safety.md).
///
/// ```
/// offset  size  field
///      0     8  magic, "KEYFOLD" and 3
///      8    36  boot id: a record counts only in the boot that wrote it
///     44     4  action
///     48    16  file id
///     64     8  inode number of the file in the store
///     72     8  sealed offset of the change
///     80     8  sealed bytes of the payload, or of the hole
///     88     8  sealed size of the file afterwards; all ones leaves it
///     96     4  bytes of the path
///    100     n  stored names from the vault's root down, "/" between them
/// ```
///
/// Numbers are big-endian.
struct OverwriteRecord: Equatable {
    enum Action: UInt32 {
        /// The payload is the new content: write it (again).
        case finish = 1
        /// The payload is the old content: put it back and cut what was added.
        case takeBack = 2
        /// The range becomes a hole (again).
        case punch = 3
    }

    static let bootIDBytes = 36
    static let fixedBytes = 100
    static let keepsSize = UInt64.max

    var bootID: [UInt8]
    var action: Action
    var fileID: FileID
    var inodeNumber: UInt64
    var sealedOffset: UInt64
    var sealedBytes: UInt64
    var sealedSizeAfter: UInt64
    var path: [UInt8]

    private static let magic = Array("KEYFOLD".utf8) + [3]

    var encoded: [UInt8] {
        precondition(bootID.count == Self.bootIDBytes, "BUG: a boot id is a UUID's text")
        return Self.magic + bootID + bigEndian(UInt64(action.rawValue), 4) + fileID.bytes
            + bigEndian(inodeNumber, 8) + bigEndian(sealedOffset, 8) + bigEndian(sealedBytes, 8)
            + bigEndian(sealedSizeAfter, 8) + bigEndian(UInt64(path.count), 4) + path
    }

    /// nil for anything that is no whole record.
    init?(decoding bytes: [UInt8]) {
        func number(_ range: Range<Int>) -> UInt64 {
            bytes[range].reduce(0) { $0 << 8 | UInt64($1) }
        }
        guard bytes.count >= Self.fixedBytes, Array(bytes[0..<8]) == Self.magic,
            let action = Action(rawValue: UInt32(number(44..<48))),
            let fileID = FileID(bytes: Array(bytes[48..<64])),
            number(96..<100) <= UInt64(bytes.count - Self.fixedBytes)
        else { return nil }
        bootID = Array(bytes[8..<44])
        self.action = action
        self.fileID = fileID
        inodeNumber = number(64..<72)
        sealedOffset = number(72..<80)
        sealedBytes = number(80..<88)
        sealedSizeAfter = number(88..<96)
        path = Array(bytes[Self.fixedBytes..<Self.fixedBytes + Int(number(96..<100))])
        // What a writer of records could not have written does not reach a file.
        guard sealedOffset <= UInt64(Int64.max), sealedBytes <= UInt64(Int64.max) - sealedOffset,
            sealedSizeAfter == Self.keepsSize || sealedSizeAfter <= UInt64(Int64.max)
        else { return nil }
    }

    init(
        bootID: [UInt8], action: Action, fileID: FileID, inodeNumber: UInt64,
        sealedOffset: UInt64, sealedBytes: UInt64, sealedSizeAfter: UInt64, path: [UInt8]
    ) {
        self.bootID = bootID
        self.action = action
        self.fileID = fileID
        self.inodeNumber = inodeNumber
        self.sealedOffset = sealedOffset
        self.sealedBytes = sealedBytes
        self.sealedSizeAfter = sealedSizeAfter
        self.path = path
    }
}

private func bigEndian(_ value: UInt64, _ count: Int) -> [UInt8] {
    (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
}
