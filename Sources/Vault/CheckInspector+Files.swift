import Cryptography
import KMSModel
import Platform
import SealedFormat

// Sealed files: size, header, keys and blocks.
extension CheckInspector {
    func lookAtFile(
        _ item: CheckItem, _ depth: Depth, _ inspection: inout CheckInspection
    ) throws(Errno) {
        let file = try item.directory.open(item.name, OpenFlag.nonBlocking)
        let status = try file.status()
        inspection.sealedBytes = status.sizeBytes
        guard status.kind == .regular, status.sizeBytes > 0 else { return }
        let layout = config.layout
        let bytes = try file.read(count: layout.headerBytes, at: 0)
        var size: UInt64?
        do throws(FormatError) {
            size = try layout.plainSize(sealedSize: status.sizeBytes)
        } catch {
            inspection.problems.append(CheckProblem(.sizeImpossible, "\(error)"))
        }
        guard bytes.count == layout.headerBytes else { return }
        let header: FileHeader
        do throws(FormatError) {
            header = try FileHeader(decoding: bytes, layout: layout)
        } catch {
            inspection.problems.append(
                CheckProblem(.headerMalformed, "\(error)", evidence: SHA256.hash(bytes)))
            return
        }
        inspection.identity = CheckInspection.Identity(
            id: .file(header.fileID), backing: BackingID(status),
            hasSeveralNames: status.linkCount > 1)
        if case .identities = depth { return }
        if case .content(everyBlock: true) = depth { count(UInt64(bytes.count)) }
        guard item.place.domain.keys != nil,
            let keys = fileKeys(
                of: header, in: item.place.domain, seen: bytes, &inspection.problems), let size
        else { return }
        inspection.problems += try blockProblems(
            CheckedFile(
                descriptor: file, header: header, keys: keys, plainSize: size,
                changeTime: status.changeTime), depth)
    }

    /// The keys behind a header that is authentic.
    private func fileKeys(
        of header: FileHeader, in domain: CheckDomain, seen bytes: [UInt8],
        _ problems: inout [CheckProblem]
    ) -> FileKeys? {
        let (dataKey, failures) = unwrap(
            header.wrappedKeys,
            EncryptionContext(
                vault: config.vaultID, domain: domain.id, file: header.fileID),
            as: caller, service: service)
        problems += failures.filter { domain.isCertain || $0.code != .wrappedKeyDamaged }
        guard let dataKey else { return nil }
        let keys = FileKeys(dataKey: dataKey, fileID: header.fileID)
        do throws(FormatError) {
            try header.authenticate(with: keys)
            return keys
        } catch {
            problems.append(
                CheckProblem(.headerChanged, "\(error)", evidence: SHA256.hash(bytes)))
            return nil
        }
    }

    /// What a check needs of a file whose header is authentic.
    private struct CheckedFile {
        let descriptor: Descriptor
        let header: FileHeader
        let keys: FileKeys
        let plainSize: UInt64
        /// Before its blocks were read.
        let changeTime: Timespec

        var lastBlock: UInt64 { BlockLayout.block(containing: plainSize - 1) }
    }

    // MARK: Blocks

    private func blockProblems(
        _ file: CheckedFile, _ depth: Depth
    ) throws(Errno) -> [CheckProblem] {
        var found = BlockFindings(mayHaveGaps: mayHaveGaps(changedAt: file.changeTime))
        switch depth {
        case .identities: break
        case .content(everyBlock: false):
            try look(file, file.lastBlock...file.lastBlock, &found)
        case .content(everyBlock: true):
            var first: UInt64 = 0
            while first <= file.lastBlock {
                let last = min(file.lastBlock, first + UInt64(Scratch.runBlocks) - 1)
                try look(file, first...last, &found)
                count(
                    config.layout.sealedOffset(ofBlock: last)
                        - config.layout.sealedOffset(ofBlock: first)
                        + UInt64(
                            config.layout.sealedBytes(ofBlock: last, plainSize: file.plainSize)))
                first = last + 1
            }
        case .blocks(let blocks):
            for block in Set(blocks).union([file.lastBlock]).sorted() where block <= file.lastBlock
            {
                try look(file, block...block, &found)
            }
        }
        return found.problems
    }

    private func look(
        _ file: CheckedFile, _ blocks: ClosedRange<UInt64>, _ found: inout BlockFindings
    ) throws(Errno) {
        let layout = config.layout
        let start = layout.sealedOffset(ofBlock: blocks.lowerBound)
        let lastBytes = layout.sealedBytes(ofBlock: blocks.upperBound, plainSize: file.plainSize)
        let count = Int(layout.sealedOffset(ofBlock: blocks.upperBound) - start) + lastBytes
        do throws(VaultError) {
            try scratches.withScratch { scratch throws(VaultError) in
                let done = try scratch.sealed.withMutableBytes { bytes throws(VaultError) in
                    try system { () throws(Errno) in
                        try file.descriptor.read(into: &bytes, 0..<count, at: start)
                    }
                }
                // It has become shorter since its size was asked.
                guard done == count else {
                    found.isChanging = true
                    return
                }
                scratch.cipher.use(file.keys)
                for block in blocks {
                    let offset = Int(block - blocks.lowerBound) * BlockLayout.sealedBlockBytes
                    let bytes = layout.sealedBytes(ofBlock: block, plainSize: file.plainSize)
                    Self.look(
                        scratch, offset..<offset + bytes, block, isFinal: block == file.lastBlock,
                        isSparse: file.header.isSparse, &found)
                }
            }
        } catch {
            throw Errno(error)
        }
    }

    private static func look(
        _ scratch: Scratch, _ range: Range<Int>, _ block: UInt64, isFinal: Bool, isSparse: Bool,
        _ found: inout BlockFindings
    ) {
        scratch.sealed.withBytes { sealed in
            let isZero = BlockCipher.isHole(sealed, range)
            if !isFinal, isZero {
                if !isSparse { found.add(\.holes, block, sealed, range) }
                return
            }
            if opens(scratch, sealed, range, block, expectFinal: isFinal) { return }
            if isFinal, opens(scratch, sealed, range, block, expectFinal: false) {
                found.add(\.ends, block, sealed, range)
            } else {
                found.add(\.damaged, block, sealed, range)
            }
        }
    }

    private static func opens(
        _ scratch: Scratch, _ sealed: RawSpan, _ range: Range<Int>, _ block: UInt64,
        expectFinal: Bool
    ) -> Bool {
        scratch.block.withMutableBytes { plain in
            do throws(FormatError) {
                try scratch.cipher.open(
                    sealed, range, block: block, expectFinal: expectFinal, into: &plain, at: 0)
                return true
            } catch {
                return false
            }
        }
    }
}

/// What is wrong with the blocks of one file.
private struct BlockFindings: Sendable {
    var damaged = CheckProblem(.blockDamaged)
    var ends = CheckProblem(.finalBlockMissing)
    var holes: CheckProblem
    var isChanging = false

    init(mayHaveGaps: Bool) {
        holes = CheckProblem(mayHaveGaps ? .holeUnsettled : .holeUnexpected)
    }

    mutating func add(
        _ kind: WritableKeyPath<BlockFindings, CheckProblem>, _ block: UInt64,
        _ sealed: RawSpan, _ range: Range<Int>
    ) {
        let digest = SHA256.hash(sealed.extracting(range)).prefix(8)
            .reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        self[keyPath: kind].add(CheckProblem.Block(index: block, digest: digest))
    }

    var problems: [CheckProblem] {
        [damaged, ends, holes].filter { !$0.blocks.isEmpty }
            + (isChanging ? [CheckProblem(.changing)] : [])
    }
}

/// Has a key unwrapped by whichever CMK does it.
///
/// - Returns: the key, and what is wrong with those of its wrappings that were tried.
func unwrap(
    _ wrapped: [WrappedKey], _ context: EncryptionContext, as caller: Caller,
    service: any KeyService
) -> (key: SecretBytes?, problems: [CheckProblem]) {
    var problems: [CheckProblem] = []
    for key in wrapped {
        do throws(KMSError) {
            let plaintext = try service.decrypt(
                key.blob, under: key.keyARN, context: context, as: caller
            ).plaintext
            if plaintext.count == FileKeys.dataKeyBytes { return (plaintext, problems) }
            throw .invalidCiphertext
        } catch {
            problems.append(problem(of: key, error, as: caller, service: service))
        }
    }
    return (nil, problems)
}

/// What the refusal of a wrapped key says. A key service has one answer for all that it can't open:
/// whether it has come to the version that the blob names, its description of the key tells.
private func problem(
    of key: WrappedKey, _ error: KMSError, as caller: Caller, service: any KeyService
) -> CheckProblem {
    let (code, evidence) = (CheckCode(error), SHA256.hash(key.blob))
    guard code == .wrappedKeyDamaged, let blob = SymmetricBlob(decoding: key.blob),
        let metadata = try? service.describeKey(key.keyARN, as: caller),
        metadata.arn.keyID == blob.keyID, let newest = metadata.currentVersion,
        blob.keyVersion > newest
    else { return CheckProblem(code, "\(key.keyARN): \(error)", evidence: evidence) }
    return CheckProblem(
        .keyVersionMissing,
        "\(key.keyARN): version \(blob.keyVersion) is needed, this keystore has \(newest)",
        evidence: evidence)
}
