import Cryptography

@testable import SealedFormat

/// The keys and objects of one vault that never was.
private enum Sample {
    static let dataKey = secret(1)
    static let domainKey = secret(2)
    static let fileID = id(FileID.init(bytes:), 3)
    static let domainID = id(DomainID.init(bytes:), 4)
    static let directoryID = id(DirectoryID.init(bytes:), 5)
    static let vaultID = id(VaultID.init(bytes:), 6)
    static let fileKeys = FileKeys(dataKey: dataKey, fileID: fileID)
    static let keys = DomainKeys(domainKey: domainKey, domainID: domainID)
    static let arn = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    static let wrapped = [WrappedKey(keyARN: arn, blob: sampleBytes(90, 7))]
    static let layout = {
        guard let layout = try? BlockLayout(headerBytes: 512) else {
            preconditionFailure("512 is a header's size")
        }
        return layout
    }()

    private static func secret(_ seed: UInt8) -> SecretBytes {
        var bytes = sampleBytes(32, seed)
        return SecretBytes(consuming: &bytes)
    }

    private static func id<ID>(_ make: ([UInt8]) -> ID?, _ seed: UInt8) -> ID {
        guard let id = make(sampleBytes(16, seed)) else {
            preconditionFailure("16 bytes are an id")
        }
        return id
    }

    static let headers: [[UInt8]] = [nil, 0, 160].flatMap { count in
        [false, true].compactMap { isSparse in
            try? FileHeader(
                fileID: fileID, isSparse: isSparse, sealedBlocks: count, wrappedKeys: wrapped,
                keys: fileKeys
            ).encoded(layout: layout)
        }
    }
    static let records = [[], wrapped].map {
        DirectoryRecord(directoryID: directoryID, domainID: domainID, domainKey: $0)
            .encoded(with: keys)
    }
    static let outerKeys = DomainKeys(
        domainKey: secret(10), domainID: id(DomainID.init(bytes:), 11))
    static let domainRoots = [wrapped, wrapped + wrapped].map {
        DirectoryRecord(
            directoryID: directoryID, rootOf: keys, below: outerKeys, domainKey: $0
        ).encoded(with: keys)
    }
    static let configs = [nil, "keys"].map { hint in
        VaultConfig(
            vaultID: vaultID, layout: layout, names: .sealed, keystore: hint, defaultKeyARN: arn,
            rootDomainID: domainID, createdAt: "2026-11-24T00:00:00Z"
        ).encoded(with: keys)
    }
    static let journal = JournalHead(
        journalID: sampleBytes(16, 8), bootID: [UInt8](repeating: 0x61, count: 36))
    static let olderJournal = JournalHead(
        version: .sealed, journalID: journal.journalID, bootID: journal.bootID)
    static let journalKey = keys.journalKey(of: journal)
    static let frames = [body, []].map { JournalFrame(epoch: 1, sequence: 0, body: $0) }
    static let entries: [JournalEntry] = {
        let file = JournaledFile(fileID: fileID, path: Array("abc/def".utf8))
        let time = JournalTime(seconds: -5, nanoseconds: 999_999_999)
        return [
            JournalEntry(.clean, of: file), JournalEntry(.intent(firstBlock: 3), of: file),
            JournalEntry(.write(sealedOffset: 512, bytes: sampleBytes(60, 9)), of: file),
            JournalEntry(.truncate(sealedSize: 5000), of: file),
            JournalEntry(.punch(sealedOffset: 4636, byteCount: 4124), of: file),
            JournalEntry(.times(access: time, modification: time), of: file),
            JournalEntry(.metadata(records[0]), of: JournaledFile(metadata: file.path)),
        ]
    }()
    static let body = entries.reduce(into: [UInt8]()) { $1.append(to: &$0) }
    static let names = ["a", "a name with a blank", String(repeating: "n", count: 250)]
}

let formatTargets = [
    FuzzTarget(name: "header", samples: { Sample.headers }) { bytes in
        guard let header = try? FileHeader(decoding: bytes, layout: Sample.layout),
            let again = try? header.encoded(layout: Sample.layout)
        else { return }
        sameBytes(again, bytes, "a header")
        guard (try? header.authenticate(with: Sample.fileKeys)) != nil else { return }
        precondition(
            Sample.headers.contains { $0[..<96] == bytes[..<96] }, "FOUND: a forged header")
    },
    FuzzTarget(name: "record", samples: { Sample.records }) { bytes in
        guard let record = try? DirectoryRecord(decoding: bytes),
            (try? record.authenticate(bytes, with: Sample.keys)) != nil
        else { return }
        sameBytes(record.encoded(with: Sample.keys), bytes, "a directory record")
        precondition(record.directoryID == Sample.directoryID, "FOUND: a forged record")
    },
    FuzzTarget(name: "record-of-domain", samples: { Sample.domainRoots }) { bytes in
        guard let record = try? DirectoryRecord(decoding: bytes),
            (try? record.authenticateLink(below: Sample.outerKeys)) != nil
        else { return }
        precondition(record.directoryID == Sample.directoryID, "FOUND: a forged link")
        guard (try? record.authenticate(bytes, with: Sample.keys)) != nil else { return }
        sameBytes(record.encoded(with: Sample.keys), bytes, "a domain root's record")
        precondition(
            Sample.domainRoots.contains { $0[..<154] == bytes[..<154] }, "FOUND: a forged record")
    },
    FuzzTarget(name: "config", samples: { Sample.configs }) { bytes in
        guard let config = try? VaultConfig(decoding: bytes),
            (try? config.authenticate(with: Sample.keys)) != nil
        else { return }
        // White space and the order of members are free (docs/format.md §8).
        precondition(
            Sample.configs.contains(config.encoded(with: Sample.keys)), "FOUND: a forged config")
    },
    FuzzTarget(
        name: "name",
        samples: {
            Sample.names.map { name in
                let sealed = Sample.keys.sealName(Array(name.utf8), in: Sample.directoryID)
                if case .long(_, _, let sidecar) = sealed { return sidecar }
                return Array(sealed.stored.utf8)
            }
        }
    ) { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        let stored = LongName.stored(for: bytes)
        let name =
            (try? Sample.keys.openName(text, in: Sample.directoryID))
            ?? (try? Sample.keys.openLongName(
                sidecar: bytes, stored: stored, in: Sample.directoryID))
        guard let name else { return }
        precondition(Sample.names.contains { Array($0.utf8) == name }, "FOUND: a forged name")
    },
    FuzzTarget(name: "name-plaintext", samples: { Sample.names.map { Array($0.utf8) } }) { bytes in
        // Whoever has the key may have sealed anything.
        var padded = Array(bytes.prefix(400))
        padded.padWithZeros(to: max(16, (padded.count + 15) / 16 * 16))
        let sealed = Sample.keys.names.seal(padded, authenticating: [Sample.directoryID.bytes])
        let text = String(decoding: Base64URL.encode(sealed), as: UTF8.self)
        let opened =
            (try? Sample.keys.openName(text, in: Sample.directoryID))
            ?? (try? Sample.keys.openLongName(
                sidecar: sealed, stored: LongName.stored(for: sealed), in: Sample.directoryID))
        guard let opened else { return }
        precondition(
            !opened.isEmpty && !opened.contains(0) && !opened.contains(0x2f), "FOUND: a name")
        let again = Sample.keys.sealName(opened, in: Sample.directoryID)
        let isSame: Bool
        if case .long(_, _, let sidecar) = again {
            isSame = sidecar == sealed
        } else {
            isSame = again.stored == text
        }
        precondition(isSame, "FOUND: a name has two encodings")
    },
    FuzzTarget(
        name: "journal-head",
        samples: { [Sample.journal, Sample.olderJournal].map { $0.encoded(with: Sample.keys) } }
    ) { bytes in
        guard let head = try? JournalHead(decoding: bytes),
            (try? head.authenticate(bytes, with: Sample.keys)) != nil
        else { return }
        precondition(
            head == Sample.journal || head == Sample.olderJournal, "FOUND: a forged journal")
    },
    FuzzTarget(
        name: "journal-frame",
        samples: {
            Sample.frames.map { frame in
                let (front, padding) = frame.enclosure(
                    with: AESGCM256(), key: Sample.journalKey)
                return front + frame.body + padding
            }
        }
    ) { readFrame($0, .authenticated) },
    FuzzTarget(
        name: "journal-frame-1",
        samples: { Sample.frames.map { $0.sealed(with: Sample.journalKey) } }
    ) { readFrame($0, .sealed) },
    FuzzTarget(name: "journal-body", samples: { [Sample.body] }) { bytes in
        guard let entries = JournalEntry.decode(bytes) else { return }
        sameBytes(entries.reduce(into: []) { $1.append(to: &$0) }, bytes, "a journal's body")
    },
]

private func readFrame(_ bytes: [UInt8], _ version: JournalVersion) {
    _ = JournalFrame.place(head: bytes)
    let frame = JournalFrame(
        decoding: bytes, version, with: AESGCM256(), key: Sample.journalKey)
    guard let frame else { return }
    precondition(Sample.frames.contains(frame), "FOUND: a forged frame")
}

extension JournalFrame {
    /// As journals of version 1 have it.
    fileprivate func sealed(with key: SecretBytes) -> [UInt8] {
        let cipher = AESGCM256()
        cipher.use(key)
        var bytes = Array(enclosure(with: cipher, key: key).front[..<Self.headBytes])
        bytes += cipher.seal(body, authenticating: bytes)
        bytes.padWithZeros(to: Self.byteCount(bodyBytes: body.count))
        return bytes
    }
}
