import Cryptography
import Platform
import SealedFormat
import Synchronization

/// Keeps blocks whole when the mount's process is killed while it overwrites them.
///
/// A killed write(2) may stop between two pages, and half a sealed block is no block. So before
/// old blocks change, a record in `.keyfold.journal` says how to finish or take back the change;
/// it is dropped once the change is done. What a process has written is seen by the next one, so
/// no sync is needed for that; a power cut is another matter, and a record of another boot is
/// never used.
final class OverwriteJournal: Sendable {
    static let slotCount = 4
    /// A record with its path; a longer path goes without protection.
    private static let headBytes = 65_536
    private static let payloadBytes = (Scratch.runBlocks + 1) * BlockLayout.sealedBlockBytes + 4096
    static let slotBytes = (headBytes + payloadBytes + 4095) / 4096 * 4096
    private static let pageBytes = 4096

    private final class Slot: Sendable {
        let offset: UInt64
        let isBusy = Mutex(())

        init(offset: UInt64) {
            self.offset = offset
        }
    }

    private let directory: Descriptor
    private let name: FileName
    private let file: Descriptor
    private let bootID: [UInt8]
    private let slots: [Slot]
    private let nextSlot = Atomic<Int>(0)

    /// A new journal with all its space reserved, so that a full disk does not stop overwrites.
    init(in vault: Descriptor) throws(Errno) {
        bootID = try Self.currentBootID()
        directory = try vault.openOrMakeDirectory(Self.directoryName)
        name = FileName("\(ReservedName.journal).\(hexadecimal(Random.bytes(8)))")
        file = try directory.open(name, OpenFlag.createNew, mode: 0o600)
        slots = (0..<Self.slotCount).map { Slot(offset: UInt64($0 * Self.slotBytes)) }
        do throws(Errno) {
            try file.tryLock(.exclusive)
            try file.allocate(
                mode: 0, at: 0, count: UInt64(Self.slotCount * Self.slotBytes))
        } catch {
            try? directory.unlink(name)
            throw error
        }
    }

    /// Nothing is under way any more.
    func close() {
        try? directory.unlink(name)
        file.unlock()
    }

    static let directoryName = FileName(ReservedName.journal)

    private static func currentBootID() throws(Errno) -> [UInt8] {
        let text = try Descriptor.open(path: "/proc/sys/kernel/random/boot_id", 0)
            .read(count: OverwriteRecord.bootIDBytes, at: 0)
        guard text.count == OverwriteRecord.bootIDBytes else { throw .ioError }
        return text
    }

    // MARK: Writing

    /// Runs `change` under a record. The caller holds the file's content alone, and keeps the
    /// path from changing.
    func protect<Result>(
        _ action: OverwriteRecord.Action, _ target: Target,
        _ payload: PageBuffer?, _ payloadBytes: Int,
        _ change: () throws(VaultError) -> Result
    ) throws(VaultError) -> Result {
        let record = OverwriteRecord(
            bootID: bootID, action: action, fileID: target.fileID,
            inodeNumber: target.inodeNumber, sealedOffset: target.sealedOffset,
            sealedBytes: target.sealedBytes, sealedSizeAfter: target.sealedSizeAfter,
            path: target.path
        ).encoded
        guard record.count <= Self.headBytes, payloadBytes <= Self.payloadBytes else {
            return try change()
        }
        let slot = slots[nextSlot.wrappingAdd(1, ordering: .relaxed).oldValue % Self.slotCount]
        return try slot.isBusy.withLock { _ throws(VaultError) in
            try system { () throws(Errno) in
                try write(record, payload, payloadBytes, in: slot)
            }
            // The first byte of its magic is what makes a record one.
            defer { try? file.write([0], at: slot.offset) }
            return try change()
        }
    }

    /// Where a change happens, and how large the file is afterwards.
    struct Target {
        let fileID: FileID
        let inodeNumber: UInt64
        let sealedOffset: UInt64
        let sealedBytes: UInt64
        var sealedSizeAfter = OverwriteRecord.keepsSize
        let path: [UInt8]
    }

    /// The record's first page comes last and in one piece: without it there is no record.
    private func write(
        _ record: [UInt8], _ payload: PageBuffer?, _ payloadBytes: Int, in slot: Slot
    ) throws(Errno) {
        try payload?.withBytes { bytes throws(Errno) in
            try file.write(bytes, 0..<payloadBytes, at: slot.offset + UInt64(Self.headBytes))
        }
        try record.withRawSpan { bytes throws(Errno) in
            if record.count > Self.pageBytes {
                try file.write(
                    bytes, Self.pageBytes..<record.count,
                    at: slot.offset + UInt64(Self.pageBytes))
            }
            try file.write(bytes, 0..<min(record.count, Self.pageBytes), at: slot.offset)
        }
    }

    // MARK: Recovery

    /// Finishes or takes back what processes that died in this boot had begun. Journals whose
    /// process lives are left alone.
    ///
    /// - Returns: the stored paths of the files that were put right.
    static func recover(
        in vault: Descriptor, layout: BlockLayout
    ) throws(VaultError) -> [String] {
        guard let bootID = try? currentBootID(),
            let directory = try? vault.open(directoryName, OpenFlag.directory)
        else { return [] }
        var mended: [String] = []
        var stream = DirectoryStream(directory)
        while let entry = try system({ () throws(Errno) in try stream.next() }) {
            guard !entry.name.isDots,
                let journal = try? directory.open(entry.name, OpenFlag.readWrite),
                (try? journal.tryLock(.exclusive)) != nil
            else { continue }
            for slot in 0..<slotCount {
                let offset = UInt64(slot * slotBytes)
                guard let head = try? journal.read(count: headBytes, at: offset),
                    let record = OverwriteRecord(decoding: head), record.bootID == bootID
                else { continue }
                if try apply(record, journal, offset + UInt64(headBytes), vault, layout) {
                    mended.append(String(decoding: record.path, as: UTF8.self))
                }
            }
            try system { () throws(Errno) in try directory.unlink(entry.name) }
        }
        return mended
    }

    /// - Returns: false when the file is gone or is another one by now.
    private static func apply(
        _ record: OverwriteRecord, _ journal: Descriptor, _ payloadOffset: UInt64,
        _ vault: Descriptor, _ layout: BlockLayout
    ) throws(VaultError) -> Bool {
        guard record.action == .punch || record.sealedBytes <= UInt64(payloadBytes),
            let file = open(record, in: vault, layout)
        else { return false }
        try system { () throws(Errno) in
            switch record.action {
            case .finish, .takeBack:
                let payload = try journal.read(
                    count: Int(record.sealedBytes), at: payloadOffset)
                try file.write(payload, at: record.sealedOffset)
            case .punch:
                try file.allocate(
                    mode: AllocateFlag.punchHole | AllocateFlag.keepSize,
                    at: record.sealedOffset, count: record.sealedBytes)
            }
            if record.sealedSizeAfter != OverwriteRecord.keepsSize {
                try file.truncate(to: record.sealedSizeAfter)
            }
            try file.synchronize(dataOnly: false)
        }
        return true
    }

    /// The file of a record: found by its path without following links, and proved by its number
    /// in the store and the file id in its header.
    private static func open(
        _ record: OverwriteRecord, in vault: Descriptor, _ layout: BlockLayout
    ) -> Descriptor? {
        let names = record.path.split(separator: UInt8(ascii: "/")).map { FileName($0) }
        guard let last = names.last, !names.contains(where: \.isDots) else { return nil }
        var directory = vault
        for name in names.dropLast() {
            guard let next = try? directory.open(name, OpenFlag.path | OpenFlag.directory) else {
                return nil
            }
            directory = next
        }
        guard let file = try? directory.open(last, OpenFlag.readWrite),
            let status = try? file.status(), status.kind == .regular,
            status.inodeNumber == record.inodeNumber,
            let bytes = try? file.read(count: layout.headerBytes, at: 0),
            let header = try? FileHeader(decoding: bytes, layout: layout),
            header.fileID == record.fileID
        else { return nil }
        return file
    }
}

/// FALLOC_FL_ flags (linux/falloc.h).
enum AllocateFlag {
    static let keepSize: Int32 = 0x01
    static let punchHole: Int32 = 0x02
    static let zeroRange: Int32 = 0x10
}
