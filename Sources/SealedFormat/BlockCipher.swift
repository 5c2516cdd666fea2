import Cryptography

/// Seals and opens the blocks of sealed files: `nonce 12 | ciphertext 1…4,096 | tag 16`, AES-256-GCM
/// under the file's content key, docs/format.md §4.2.
///
/// One reused context, and nothing is allocated per block. One thread at a time.
package final class BlockCipher {
    private let cipher = AESGCM256()
    /// Block index and final flag, written anew for each block.
    private var associatedData = [UInt8](repeating: 0, count: 9)

    /// A cipher without a key; call ``use(_:)`` before the first block.
    package init() {}

    /// Chooses the file whose blocks follow; free when it is the one in use.
    package func use(_ keys: FileKeys) {
        cipher.use(keys.content)
    }

    /// Seals `plain[range]` (4,096 bytes, or 1…4,096 for the final block) under a fresh nonce.
    ///
    /// Writes 28 bytes more to `sealed`, from `offset` on; the two are different memory.
    package func seal(
        _ plain: RawSpan, _ range: Range<Int>, block: UInt64, isFinal: Bool,
        into sealed: inout MutableRawSpan, at offset: Int
    ) {
        precondition(
            range.count == BlockLayout.plainBlockBytes
                || isFinal && (1..<BlockLayout.plainBlockBytes).contains(range.count),
            "BUG: a block of \(range.count) bytes")
        describe(block, isFinal: isFinal)
        associatedData.withRawSpan { data in
            cipher.seal(plain, range, authenticating: data, into: &sealed, at: offset)
        }
    }

    /// Opens `sealed[range]`, one block, into `plain`, from `offset` on: 28 bytes fewer.
    ///
    /// Where a non-final block is expected, a final one is taken too: a crash between re-sealing a
    /// file's old last block and making it longer leaves one. Never the other way round.
    ///
    /// - Throws: ``FormatError/malformed(_:_:)`` for a length that no block has,
    ///   ``FormatError/authenticationFailed(_:)`` when the block was changed or belongs elsewhere;
    ///   its part of `plain` is zero then.
    package func open(
        _ sealed: RawSpan, _ range: Range<Int>, block: UInt64, expectFinal: Bool,
        into plain: inout MutableRawSpan, at offset: Int
    ) throws(FormatError) {
        guard range.count > BlockLayout.overheadBytes, range.count <= BlockLayout.sealedBlockBytes
        else { throw .malformed(.block, "\(range.count) bytes") }
        if attempt(sealed, range, block, isFinal: expectFinal, into: &plain, at: offset) { return }
        if !expectFinal, attempt(sealed, range, block, isFinal: true, into: &plain, at: offset) {
            return
        }
        throw .authenticationFailed(.block)
    }

    private func attempt(
        _ sealed: RawSpan, _ range: Range<Int>, _ block: UInt64, isFinal: Bool,
        into plain: inout MutableRawSpan, at offset: Int
    ) -> Bool {
        describe(block, isFinal: isFinal)
        do throws(CryptographyError) {
            try associatedData.withRawSpan { data throws(CryptographyError) in
                try cipher.open(sealed, range, authenticating: data, into: &plain, at: offset)
            }
            return true
        } catch {
            return false
        }
    }

    /// Sets the associated data: block index u64, final flag u8.
    private func describe(_ block: UInt64, isFinal: Bool) {
        for index in 0..<8 {
            associatedData[index] = UInt8(truncatingIfNeeded: block >> UInt64(56 - 8 * index))
        }
        associatedData[8] = isFinal ? 1 : 0
    }
}

extension BlockCipher {
    /// Whether all bytes of `sealed[range]` are zero, which no sealed block's are.
    ///
    /// Only a header with the sparse flag makes such a block a hole.
    package static func isHole(_ sealed: RawSpan, _ range: Range<Int>) -> Bool {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= sealed.byteCount, "BUG: out of range")
        var position = range.lowerBound
        while range.upperBound - position >= 8 {
            guard sealed.word(at: position) == 0 else { return false }
            position += 8
        }
        while position < range.upperBound {
            guard sealed.byte(at: position) == 0 else { return false }
            position += 1
        }
        return true
    }
}

// MARK: - Single blocks in arrays

extension BlockCipher {
    /// As ``seal(_:_:block:isFinal:into:at:)``, for one block of its own.
    package func seal(_ plain: [UInt8], block: UInt64, isFinal: Bool) -> [UInt8] {
        var sealed = [UInt8](repeating: 0, count: plain.count + BlockLayout.overheadBytes)
        plain.withRawSpan { plain in
            sealed.withMutableRawSpan { sealed in
                seal(
                    plain, 0..<plain.byteCount, block: block, isFinal: isFinal, into: &sealed,
                    at: 0)
            }
        }
        return sealed
    }

    /// As ``open(_:_:block:expectFinal:into:at:)``, for one block of its own.
    package func open(
        _ sealed: [UInt8], block: UInt64, expectFinal: Bool
    ) throws(FormatError) -> [UInt8] {
        var plain = [UInt8](repeating: 0, count: max(0, sealed.count - BlockLayout.overheadBytes))
        try sealed.withRawSpan { (sealed) throws(FormatError) in
            try plain.withMutableRawSpan { (plain) throws(FormatError) in
                try open(
                    sealed, 0..<sealed.byteCount, block: block, expectFinal: expectFinal,
                    into: &plain, at: 0)
            }
        }
        return plain
    }
}

extension RawSpan {
    /// The byte at an offset, which is checked.
    func byte(at offset: Int) -> UInt8 {
        // SAFETY: a byte has no invalid patterns and no alignment; the call checks the bounds.
        unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }

    /// The eight bytes at an offset, which is checked.
    fileprivate func word(at offset: Int) -> UInt64 {
        // SAFETY: an integer has no invalid patterns; the call checks the bounds, not alignment.
        unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }
}
