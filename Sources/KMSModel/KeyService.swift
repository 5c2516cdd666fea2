package import Cryptography

/// AWS KMS's operations on symmetric CMKs, in process or over a network.
///
/// Every call is synchronous and may be made from any thread. A `key` is named as AWS KMS allows
/// for that operation: cryptographic operations and DescribeKey take key ids, key ARNs, alias
/// names and alias ARNs; the others take key ids and key ARNs. Each call leaves one event in the
/// usage log before its answer is given out.
///
/// Source: AWS KMS API reference, version 2014-11-01.
package protocol KeyService: Sendable {
    // MARK: Keys
    func createKey(_ request: CreateKeyRequest, as caller: Caller) throws(KMSError) -> KeyMetadata
    func describeKey(_ key: String, as caller: Caller) throws(KMSError) -> KeyMetadata
    /// Sorted by key id.
    func listKeys(_ page: PageRequest, as caller: Caller) throws(KMSError) -> Page<KeyARN>
    func updateKeyDescription(
        _ key: String, to description: String, as caller: Caller) throws(KMSError)
    func enableKey(_ key: String, as caller: Caller) throws(KMSError)
    func disableKey(_ key: String, as caller: Caller) throws(KMSError)
    /// `windowDays`: 7…30, 30 when nil. The new metadata's state holds the date.
    func scheduleKeyDeletion(
        _ key: String, windowDays: Int?, as caller: Caller
    ) throws(KMSError) -> KeyMetadata
    func cancelKeyDeletion(_ key: String, as caller: Caller) throws(KMSError) -> KeyARN
    func tagResource(_ key: String, tags: [Tag], as caller: Caller) throws(KMSError)
    func untagResource(_ key: String, tagKeys: [String], as caller: Caller) throws(KMSError)
    func listResourceTags(
        _ key: String, _ page: PageRequest, as caller: Caller
    ) throws(KMSError) -> Page<Tag>

    // MARK: Aliases
    func createAlias(_ name: String, target: String, as caller: Caller) throws(KMSError)
    func updateAlias(_ name: String, target: String, as caller: Caller) throws(KMSError)
    func deleteAlias(_ name: String, as caller: Caller) throws(KMSError)
    /// Sorted by name; of one key when `key` is given.
    func listAliases(
        of key: String?, _ page: PageRequest, as caller: Caller
    ) throws(KMSError) -> Page<AliasEntry>

    // MARK: Rotation
    /// `periodDays`: 90…2560, 365 when nil.
    func enableKeyRotation(_ key: String, periodDays: Int?, as caller: Caller) throws(KMSError)
    func disableKeyRotation(_ key: String, as caller: Caller) throws(KMSError)
    func keyRotationStatus(_ key: String, as caller: Caller) throws(KMSError) -> KeyRotationStatus
    func rotateKeyOnDemand(_ key: String, as caller: Caller) throws(KMSError) -> KeyARN
    /// Oldest first; the first material, which no rotation made, only when asked for.
    func listKeyRotations(
        _ key: String, includesFirstMaterial: Bool, _ page: PageRequest, as caller: Caller
    ) throws(KMSError) -> Page<KeyRotation>

    // MARK: Cryptography
    /// `plaintext`: 1…4096 bytes.
    func encrypt(
        _ plaintext: SecretBytes, under key: String, context: EncryptionContext, as caller: Caller
    ) throws(KMSError) -> WrappedData
    /// `key`: nil, or the only key that may have made the blob.
    func decrypt(
        _ blob: [UInt8], under key: String?, context: EncryptionContext, as caller: Caller
    ) throws(KMSError) -> UnwrappedData
    func reEncrypt(_ request: ReEncryptRequest, as caller: Caller) throws(KMSError) -> WrappedData
    /// `byteCount`: 1…1024 (AES_256 is 32).
    func generateDataKey(
        under key: String, byteCount: Int, context: EncryptionContext, as caller: Caller
    ) throws(KMSError) -> GeneratedDataKey
    func generateDataKeyWithoutPlaintext(
        under key: String, byteCount: Int, context: EncryptionContext, as caller: Caller
    ) throws(KMSError) -> WrappedData
    /// `byteCount`: 1…1024.
    func generateRandom(byteCount: Int, as caller: Caller) throws(KMSError) -> SecretBytes
}

package struct CreateKeyRequest: Sendable, Hashable {
    /// At most 8192 characters.
    package var description: String
    /// At most 50, with distinct keys.
    package var tags: [Tag]

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
    package let materialID: KeyMaterialID

    package init(blob: [UInt8], keyARN: KeyARN, materialID: KeyMaterialID) {
        self.blob = blob
        self.keyARN = keyARN
        self.materialID = materialID
    }
}

package struct UnwrappedData: Sendable {
    package let plaintext: SecretBytes
    package let keyARN: KeyARN
    package let materialID: KeyMaterialID

    package init(plaintext: SecretBytes, keyARN: KeyARN, materialID: KeyMaterialID) {
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
