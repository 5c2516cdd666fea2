import Platform
import SealedFormat

// The header of an open file. It is changed in place, under the lock that a rewrap takes to write
// one, and always keeps the wrapped keys that stand there now.
extension SealedFile {
    func encodedHeader(_ state: borrowing State) throws(VaultError) -> [UInt8] {
        let seal = seal(of: state)
        return try format { () throws(FormatError) in
            try FileHeader(
                fileID: seal.fileID, isSparse: state.isSparse,
                sealedBlocks: seal.count.reservedBlocks, wrappedKeys: seal.wrappedKeys,
                keys: seal.keys
            ).encoded(layout: layout)
        }
    }

    func seal(of state: borrowing State) -> Seal {
        guard let seal = state.seal else { preconditionFailure("BUG: a writable file has keys") }
        return seal
    }

    /// The seal with the wrapped keys that stand in the header now: a rewrap may have changed them
    /// since the file was opened, and the next header must not bring back a key that is to go.
    func currentSeal(_ seal: Seal, in descriptor: Descriptor) -> Seal {
        guard let bytes = try? descriptor.read(count: layout.headerBytes, at: 0),
            let header = try? FileHeader(decoding: bytes, layout: layout),
            header.fileID == seal.fileID, (try? header.authenticate(with: seal.keys)) != nil
        else { return seal }
        return Seal(
            fileID: seal.fileID, keys: seal.keys, wrappedKeys: header.wrappedKeys,
            count: seal.count)
    }

    /// Before `blocks` more are sealed: raises the header's count where they pass it.
    func reserveSeals(_ state: inout State, _ blocks: UInt64) throws(VaultError) {
        var count = seal(of: state).count
        let passesHeader: Bool
        do throws(DataKeyUsedUp) {
            passesHeader = try count.take(blocks)
        } catch {
            throw .dataKeyUsedUp
        }
        if passesHeader, state.hasHeader {
            try rewriteHeader(state) { header, keys in
                header.withSealedBlocks(count.reservedBlocks, keys: keys)
            }
        }
        state.seal?.count = count
    }

    // MARK: Holes

    /// Gaps that remain are holes from here on: the header says so. Called at fsync and the last
    /// close, before anything reports the file as safe.
    func settleGaps() throws(VaultError) {
        guard withOpenState({ !$0.gaps.isEmpty }) else { return }
        try change { state throws(VaultError) in
            if !state.gaps.isEmpty { try markSparse(&state) }
        }
    }

    /// Sets the header's sparse flag.
    func markSparse(_ state: inout State) throws(VaultError) {
        defer { if state.isSparse { state.gaps.removeAll() } }
        guard !state.isSparse else { return }
        if state.hasHeader {
            try rewriteHeader(state) { header, keys in header.withSparse(true, keys: keys) }
            state.storeChange += 1
            state.sparseChange = state.storeChange
            state.firstUnsynced = 0
        }
        state.isSparse = true
    }

    /// The same bytes, so that the store has them to write.
    func writeHeaderAgain(_ state: borrowing State) throws(VaultError) {
        try rewriteHeader(state) { header, _ in header }
    }

    private func rewriteHeader(
        _ state: borrowing State, _ change: (FileHeader, FileKeys) -> FileHeader
    ) throws(VaultError) {
        let descriptor = state.descriptor
        let keys = seal(of: state).keys
        try withHeaderLocked(descriptor) { () throws(VaultError) in
            let bytes = try system { () throws(Errno) in
                try descriptor.read(count: layout.headerBytes, at: 0)
            }
            let sealed = try format { () throws(FormatError) in
                let header = try FileHeader(decoding: bytes, layout: layout)
                try header.authenticate(with: keys)
                return try change(header, keys).encoded(layout: layout)
            }
            try system { () throws(Errno) in
                try withTimesHeld { () throws(Errno) in try replaceHeader(sealed, in: descriptor) }
            }
        }
    }

    private func replaceHeader(
        _ sealed: [UInt8], in descriptor: Descriptor
    ) throws(Errno) {
        let before = try descriptor.status()
        if isBroken(.headerWrite) {
            try descriptor.write(Array(sealed.prefix(64)), at: 0)
            try descriptor.synchronize(dataOnly: true)
        }
        try descriptor.write(sealed, at: 0)
        // The flag may come at close, behind a utimensat(2) of the program that wrote.
        try descriptor.setTimes(access: .keep, modification: .set(before.modificationTime))
    }

    func withHeaderLocked<Result>(
        _ descriptor: Descriptor, _ body: () throws(VaultError) -> Result
    ) throws(VaultError) -> Result {
        try descriptor.withHeadLocked(
            byteCount: layout.headerBytes, orThrow: { VaultError.system($0) }, body)
    }
}
