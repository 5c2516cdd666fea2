package import KMSModel
package import Platform

/// A key service before which plaintext data keys are kept for a while (``DataKeyCache``), so that
/// a file that is opened again asks nobody.
///
/// Only for one set of credentials, and only for what a mount asks: documents go to the service.
/// Thread-safe.
package final class CachingKeyService: KeyService {
    private let service: any KeyService
    private let cache: DataKeyCache
    private let sweeper: DelayedThread

    /// - Throws: `EAGAIN` when the system has no thread left.
    package init(before service: any KeyService, limits: DataKeyCache.Limits) throws(Errno) {
        let cache = DataKeyCache(limits: limits)
        self.service = service
        self.cache = cache
        // An entry that nobody asks for is wiped at most a second after its time.
        sweeper = DelayedThread(intervalMilliseconds: 0, idleMilliseconds: 1000) {
            cache.removeExpired()
            return false
        }
        try sweeper.start()
    }

    deinit { close() }

    /// Wipes what is kept.
    package func close() {
        sweeper.stop()
        cache.removeAll()
    }

    package func answer(
        _ operation: KMSOperation, _ input: Structure, as caller: Caller
    ) throws(KMSError) -> Structure {
        try service.answer(operation, input, as: caller)
    }

    package func describeKey(_ key: String, as caller: Caller) throws(KMSError) -> KeyMetadata {
        try service.describeKey(key, as: caller)
    }

    package func decrypt(
        _ blob: [UInt8], under key: String?, context: EncryptionContext, as caller: Caller
    ) throws(KMSError) -> UnwrappedData {
        let request = DataKeyCache.Request(blob: blob, context: context, key: key)
        return try cache.key(for: request) { () throws(KMSError) in
            try service.decrypt(blob, under: key, context: context, as: caller)
        }
    }

    package func reEncrypt(
        _ request: ReEncryptRequest, as caller: Caller
    ) throws(KMSError) -> WrappedData {
        try service.reEncrypt(request, as: caller)
    }

    /// The new key is kept: whoever makes a file opens it soon.
    package func generateDataKey(
        under key: String, byteCount: Int, context: EncryptionContext, as caller: Caller
    ) throws(KMSError) -> GeneratedDataKey {
        let asked = cache.instant
        let made = try service.generateDataKey(
            under: key, byteCount: byteCount, context: context, as: caller)
        // Headers name the key by its ARN.
        let request = DataKeyCache.Request(
            blob: made.wrapped.blob, context: context, key: made.wrapped.keyARN.description)
        cache.keep(
            UnwrappedData(
                plaintext: made.plaintext, keyARN: made.wrapped.keyARN,
                materialID: made.wrapped.materialID), for: request, since: asked)
        return made
    }
}
