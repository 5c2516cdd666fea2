/// The counter-mode KDF of SP 800-108r1 §4.1 with HMAC and a 32-bit counter before the fixed input.
///
/// The mode is written here over libcrypto's HMAC: libcrypto's own KBKDF reads each input anew from
/// a list of parameters and copies its contexts, which takes ten times as long as the one HMAC that
/// a derived key of 32 bytes needs.
package enum CounterKDF {
    /// Derives `count` bytes (at least 1) with HMAC-SHA256 from the fixed input
    /// `label ‖ 0x00 ‖ context ‖ L`, where L is the length in bits as 32 bits.
    package static func derive(
        from secret: SecretBytes, label: [UInt8], context: [UInt8], count: Int
    ) -> SecretBytes {
        precondition(secret.count > 0, "BUG: a counter KDF without a key")
        return derive(
            from: HMACKey(secret, .sha256), label: label, context: context, count: count)
    }

    /// The same for a secret that many keys are derived from, with the HMAC it was made for.
    package static func derive(
        from secret: HMACKey, label: [UInt8], context: [UInt8], count: Int
    ) -> SecretBytes {
        SecretBytes(count: count) { output in
            derive(from: secret, label: label, context: context, into: &output)
        }
    }

    /// The same into memory of the caller, which fills it and wipes it.
    package static func derive(
        from secret: HMACKey, label: [UInt8], context: [UInt8], into output: inout MutableRawSpan
    ) {
        let bitCount = checkedBitCount(output.byteCount)
        fill(&output, secret) { code in
            code.update(label)
            code.update(UInt8(0))
            code.update(context)
            code.update(bitCount)
        }
    }

    /// Derives from a fixed input that the caller composed, as the published vectors give it.
    static func derive(
        from secret: SecretBytes, fixedInput: [UInt8], count: Int
    ) -> SecretBytes {
        SecretBytes(count: count) { output in
            fill(&output, HMACKey(secret, .sha256)) { code in code.update(fixedInput) }
        }
    }

    /// L, which 32 bits hold; at that length the counter is far from its end.
    private static func checkedBitCount(_ byteCount: Int) -> UInt32 {
        precondition(
            byteCount > 0 && byteCount <= Int(UInt32.max / 8),
            "BUG: a counter KDF of \(byteCount) bytes")
        return UInt32(byteCount) * 8
    }

    /// K(1) ‖ K(2) ‖ …, where K(i) is the code of i and the fixed input; the last is cut.
    private static func fill(
        _ output: inout MutableRawSpan, _ secret: HMACKey, _ fixedInput: (HMACContext) -> Void
    ) {
        let blockBytes = secret.hash.byteCount
        _ = checkedBitCount(output.byteCount)
        secret.withContext { context in
            var counter: UInt32 = 1
            var start = 0
            while start < output.byteCount {
                context.update(counter)
                fixedInput(context)
                let end = min(start + blockBytes, output.byteCount)
                context.finish(into: &output, start..<end)
                (counter, start) = (counter + 1, end)
            }
        }
    }
}
