/// Numbers from AWS KMS's quotas and developer guide that its service model does not have.
enum KMSLimit {
    static let pendingWindowDays = 7...30
    static let defaultPendingWindowDays = 30
    static let defaultRotationPeriodDays = 365
    static let onDemandRotations = 25
    static let aliasesPerKey = 50
    static let tagsPerKey = 50
    static let grantsPerKey = 50_000
    static let customKeyStores = 10
    static let keys = 100_000
    /// Keyfold's own: an encryption context's names and values together.
    static let encryptionContextBytes = 8192
    /// An on-demand rotation keeps this distance from an automatic one.
    static let rotationDistanceMilliseconds: Int64 = 20 * 60 * 1000
    /// Keyfold's own: so far processes may be apart in what time it is, and a clock may be set back.
    static let clockToleranceMilliseconds: Int64 = 60 * 60 * 1000
    static let importTokenHours = 24
    static let importedValidityDays = 365
    static let importedHMACBytes = 128
}
