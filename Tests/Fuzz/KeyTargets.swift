import Cryptography
import Foundation
import KMSModel

@testable import KMSStore
@testable import UsageLog

private let keyID = KeyID(high: 1, low: 2, isMultiRegion: false)
private let time = Timestamp(secondsSinceEpoch: 1_795_000_000)

/// A kind of record of the keystore, as it lies below its seal.
private func record<Record>(
    _ name: String, _ samples: @escaping @Sendable () -> [[UInt8]],
    _ decode: @escaping @Sendable ([UInt8]) throws -> Record,
    _ encode: @escaping @Sendable (Record) -> [UInt8]
) -> FuzzTarget {
    FuzzTarget(name: name, samples: samples) { bytes in
        guard let record = try? decode(bytes) else { return }
        sameBytes(encode(record), bytes, "a record")
    }
}

private func keyRecords() -> [[UInt8]] {
    var records = [KeyState.enabled, .disabled, .pendingDeletion(at: time)].map { state in
        KeyRecord(
            id: keyID, creationDate: time, state: state, description: "of the samples",
            manager: .customer, tags: [Tag(key: "team", value: "one")],
            rotation: state == .enabled ? RotationSchedule(periodDays: 365, base: time) : nil)
    }
    var waiting = records[2]
    waiting.deletionWait.firstSeen = ClockReading(
        wall: time, bootID: sampleBytes(ClockReading.bootIDBytes, 9), bootMilliseconds: 86_400_000)
    records.append(waiting)
    return records.map { $0.encoded() }
}

private func materialRecords() -> [[UInt8]] {
    var secret = sampleBytes(32, 3)
    guard let id = KeyMaterialID(bytes: sampleBytes(32, 4)) else {
        preconditionFailure("32 bytes are an id")
    }
    return [
        MaterialRecord(
            keyID: keyID, version: 1, materialID: id, material: SecretBytes(consuming: &secret),
            creationDate: time, rotationType: nil
        ).encoded()
    ]
}

private func aliasEntries() -> [[UInt8]] {
    guard let name = AliasName("alias/of/samples") else { preconditionFailure("an alias") }
    return [
        AliasEntry(name: name, target: keyID, creationDate: time, lastUpdatedDate: time).encoded()
    ]
}

private func slotRecords() -> [[UInt8]] {
    ["passphrase", "recovery-key"].map { kind in
        var writer = RecordWriter()
        writer.append(UInt8(1))
        writer.append("0123456789abcdef")
        writer.append(kind)
        writer.append("a label")
        writer.append(time)
        writer.append(sampleBytes(32, 5))
        writer.append(kind == "passphrase")
        if kind == "passphrase" {
            writer.append(UInt8(17))
            writer.append(UInt32(8))
            writer.append(UInt32(1))
        }
        writer.append(sampleBytes(60, 6))
        return writer.finish()
    }
}

// MARK: The log

private let segment: SegmentRecord = {
    guard let id = SegmentID(bytes: sampleBytes(16, 7)) else { preconditionFailure("an id") }
    var record = SegmentRecord(
        id: id, version: 2, ordinal: 1, createdAt: time,
        previousDigest: [UInt8](repeating: 0, count: 32),
        bootID: sampleBytes(16, 1),
        head: SegmentHead(eventCount: 0, chainHash: [UInt8](repeating: 0, count: 32)),
        isClosed: false)
    record.head = record.emptyHead
    return record
}()

private let logKeys: UsageLogKeys = {
    var secret = sampleBytes(32, 8)
    return UsageLogKeys(
        logKey: SecretBytes(consuming: &secret), signingKey: Ed25519PrivateKey())
}()

/// A directory for one segment's file, of this process.
private let logDirectory: String = {
    let base = FileManager.default.fileExists(atPath: "/dev/shm") ? "/dev/shm" : "/tmp"
    let path = "\(base)/keyfold-fuzz.\(ProcessInfo.processInfo.processIdentifier)"
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    atexit { try? FileManager.default.removeItem(atPath: logDirectory) }
    return path
}()

private func scan(_ bytes: [UInt8]) {
    let path = logDirectory + "/" + segment.id.fileName
    let contents = Data(SegmentFormat.header(of: segment) + bytes)
    precondition(FileManager.default.createFile(atPath: path, contents: contents), "FOUND: no file")
    guard let directory = try? LogDirectory.open(logDirectory) else {
        preconditionFailure("FOUND: no \(logDirectory)")
    }
    let scanner = try? SegmentScanner(segment, in: directory, keys: logKeys, isWriterGone: true)
    guard let scanner else { preconditionFailure("FOUND: the header is not taken") }
    // Nothing that comes from outside is sealed: there are no events.
    while case .event = scanner.next() { preconditionFailure("FOUND: a forged event") }
}

private func logRecords() -> [[UInt8]] {
    [40, 200].map { count in
        var bytes: [UInt8] = []
        bytes.appendBigEndian(UInt32(count))
        bytes.appendBigEndian(UInt64(1))
        return bytes + sampleBytes(count - 8, 9)
    }
}

let keyTargets = [
    record("keystore-key", keyRecords, KeyRecord.init(decoding:)) { $0.encoded() },
    record("keystore-material", materialRecords, MaterialRecord.init(decoding:)) { $0.encoded() },
    record("keystore-alias", aliasEntries, AliasEntry.init(decoding:)) { $0.encoded() },
    record("keystore-slot", slotRecords, SlotRecord.init(decoding:)) { $0.encoded() },
    FuzzTarget(
        name: "blob",
        samples: {
            [1, 32, 4096].map { count in
                SymmetricBlob(
                    keyID: keyID, keyVersion: 1, salt: sampleBytes(16, 1),
                    box: sampleBytes(count + SymmetricBlob.boxOverheadBytes, 2)
                ).bytes
            }
        }
    ) { bytes in
        guard let blob = SymmetricBlob(decoding: bytes) else { return }
        sameBytes(blob.bytes, bytes, "a ciphertext blob")
    },
    FuzzTarget(name: "log-segment", samples: logRecords, run: scan),
    FuzzTarget(
        name: "log-event",
        samples: { [Array(#"{"eventName":"Decrypt","n":[1,-2.5e3,null,true,"\u00e9"]}"#.utf8)] }
    ) { bytes in
        // What a log's own writer puts below the seal, and whoever has the key could change.
        _ = JSON(ofLog: bytes)
        _ = ClosingRecord(
            plaintext: bytes[...], of: ClosingRecord.Place(segment), publicKey: logKeys.publicKey)
        _ = UsageTally(decoding: bytes)
        _ = Checkpoint(decoding: bytes, publicKey: logKeys.publicKey)
        _ = LedgerState(decoding: bytes)
        _ = LogHead(decoding: bytes, logKeys)
    },
]
