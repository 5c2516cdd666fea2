package import Cryptography

/// What a domain key gives: the keys for names, records, the config and values; HKDF-SHA256,
/// salt = domain id. See docs/format.md §2.
///
/// Thread-safe.
package final class DomainKeys: Sendable {
    package static let domainKeyBytes = 32
    static let commitmentBytes = 32

    package let domainID: DomainID
    let names: AESSIV256
    let values: AESSIV256
    let records: SecretBytes
    let config: SecretBytes
    let journals: SecretBytes
    /// Stands in the record of a nested domain's root for all to see and fits this domain key only.
    let commitment: [UInt8]

    /// - Parameter domainKey: 32 bytes.
    package init(domainKey: SecretBytes, domainID: DomainID) {
        precondition(
            domainKey.count == Self.domainKeyBytes, "BUG: a domain key of \(domainKey.count) bytes")
        func derive(_ label: [UInt8], _ count: Int) -> SecretBytes {
            HKDFSHA256.derive(from: domainKey, salt: domainID.bytes, info: label, count: count)
        }
        self.domainID = domainID
        names = AESSIV256(key: derive(Label.names, AESSIV256.keyBytes))
        values = AESSIV256(key: derive(Label.values, AESSIV256.keyBytes))
        records = derive(Label.records, 32)
        config = derive(Label.config, 32)
        journals = derive(Label.journal, 32)
        commitment = derive(Label.commitment, Self.commitmentBytes).published
    }
}
