package import Cryptography

/// AWS KMS's operations, in process or over a network.
///
/// Every call is synchronous and may be made from any thread. Each leaves one event in the usage
/// log before its answer is given out.
///
/// Source: AWS KMS API reference, version 2014-11-01.
package protocol KeyService: Sendable {
    /// Any operation, its request and answer as the service model describes them.
    ///
    /// - Throws: what AWS KMS answers, in its words where they are known. A request whose form is
    ///   wrong is refused before anything else.
    func answer(
        _ operation: KMSOperation, _ input: Structure, as caller: Caller
    ) throws(KMSError) -> Structure

    // What a mount asks for. The same operations without a document in between.

    func describeKey(_ key: String, as caller: Caller) throws(KMSError) -> KeyMetadata
    /// Of a symmetric key. `key`: nil, or the only key that may have made the blob.
    func decrypt(
        _ blob: [UInt8], under key: String?, context: EncryptionContext, as caller: Caller
    ) throws(KMSError) -> UnwrappedData
    /// Between symmetric keys.
    func reEncrypt(_ request: ReEncryptRequest, as caller: Caller) throws(KMSError) -> WrappedData
    /// `byteCount`: 1…1024 (AES_256 is 32).
    func generateDataKey(
        under key: String, byteCount: Int, context: EncryptionContext, as caller: Caller
    ) throws(KMSError) -> GeneratedDataKey
}

package struct CreateKeyRequest: Sendable, Hashable {
    /// At most 8192 characters.
    package var description: String
    /// At most 50, with distinct keys.
    package var tags: [Tag]
    package var spec = KeySpec.symmetricDefault
    /// nil where the spec leaves no choice.
    package var usage: KeyUsage?
    package var origin = KeyOrigin.awsKms
    package var isMultiRegion = false
    package var customKeyStoreID: String?

    package init(description: String = "", tags: [Tag] = []) {
        self.description = description
        self.tags = tags
    }
}

package struct ReEncryptRequest: Sendable, Hashable {
    package var blob: [UInt8]
    package var sourceKey: String?
    package var sourceContext: EncryptionContext
    package var destinationKey: String
    package var destinationContext: EncryptionContext

    package init(
        blob: [UInt8], sourceKey: String?, sourceContext: EncryptionContext,
        destinationKey: String, destinationContext: EncryptionContext
    ) {
        self.blob = blob
        self.sourceKey = sourceKey
        self.sourceContext = sourceContext
        self.destinationKey = destinationKey
        self.destinationContext = destinationContext
    }
}

/// A ciphertext and the key version that made it.
package struct WrappedData: Sendable, Hashable {
    /// At most 6144 bytes, opaque to whoever holds it.
    package let blob: [UInt8]
    package let keyARN: KeyARN
    /// nil from services that do not tell.
    package let materialID: KeyMaterialID?

    package init(blob: [UInt8], keyARN: KeyARN, materialID: KeyMaterialID?) {
        self.blob = blob
        self.keyARN = keyARN
        self.materialID = materialID
    }
}

package struct UnwrappedData: Sendable {
    package let plaintext: SecretBytes
    package let keyARN: KeyARN
    /// nil from services that do not tell.
    package let materialID: KeyMaterialID?

    package init(plaintext: SecretBytes, keyARN: KeyARN, materialID: KeyMaterialID?) {
        self.plaintext = plaintext
        self.keyARN = keyARN
        self.materialID = materialID
    }
}

package struct GeneratedDataKey: Sendable {
    package let plaintext: SecretBytes
    package let wrapped: WrappedData

    package init(plaintext: SecretBytes, wrapped: WrappedData) {
        self.plaintext = plaintext
        self.wrapped = wrapped
    }
}

/// Which part of a list is asked for.
package struct PageRequest: Sendable, Hashable {
    /// nil takes the operation's default; the operation's maximum is in KMS limits.
    package var limit: Int?
    /// What the page before gave as `nextMarker`.
    package var marker: String?

    package init(limit: Int? = nil, marker: String? = nil) {
        self.limit = limit
        self.marker = marker
    }
}

package struct Page<Element: Sendable>: Sendable {
    package let elements: [Element]
    /// nil on the last page.
    package let nextMarker: String?

    package init(elements: [Element], nextMarker: String?) {
        self.elements = elements
        self.nextMarker = nextMarker
    }
}
