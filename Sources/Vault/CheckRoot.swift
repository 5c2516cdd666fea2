import Cryptography
import KMSModel
import Platform
import SealedFormat

/// A vault's root as a check opens it: as far as it goes, with everything that is wrong on the way.
struct CheckRoot {
    /// nil when no key opens the domain, or what it opens is not the vault's.
    private(set) var keys: DomainKeys?
    private(set) var directoryID: DirectoryID?
    private(set) var configProblems: [CheckProblem] = []
    private(set) var recordProblems: [CheckProblem] = []

    init(
        _ root: Descriptor, _ config: VaultConfig, _ service: any KeyService, _ caller: Caller
    ) throws(VaultError) {
        let bytes: [UInt8]
        do throws(VaultError) {
            bytes = try DirectoryRecord.read(in: root)
        } catch {
            guard case .system(.noSuchFileOrDirectory) = error else { throw error }
            recordProblems = [CheckProblem(.recordMissing)]
            return
        }
        do throws(FormatError) {
            try open(DirectoryRecord(decoding: bytes), bytes, config, service, caller)
        } catch {
            recordProblems.append(CheckProblem(.recordMalformed, "\(error)"))
        }
    }

    private mutating func open(
        _ record: DirectoryRecord, _ bytes: [UInt8], _ config: VaultConfig,
        _ service: any KeyService, _ caller: Caller
    ) {
        guard record.domainID == config.rootDomainID, record.link == nil else {
            recordProblems.append(CheckProblem(.recordForeign, "domain \(record.domainID)"))
            return
        }
        guard !record.domainKey.isEmpty else {
            recordProblems.append(CheckProblem(.recordChanged, "it holds no domain key"))
            return
        }
        let (domainKey, problems) = unwrap(
            record.domainKey,
            EncryptionContext(vault: config.vaultID, domain: record.domainID), as: caller,
            service: service)
        recordProblems += problems
        guard let domainKey else { return }
        let domain = DomainKeys(domainKey: domainKey, domainID: record.domainID)
        do throws(FormatError) {
            try record.authenticate(bytes, with: domain)
        } catch {
            recordProblems.append(CheckProblem(.recordChanged, "\(error)"))
            return
        }
        keys = domain
        directoryID = record.directoryID
        do throws(FormatError) {
            try config.authenticate(with: domain)
        } catch {
            configProblems.append(CheckProblem(.configChanged, "\(error)"))
        }
    }
}
