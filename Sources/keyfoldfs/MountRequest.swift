import Console
import KMSClient
import Mount
import Platform
import Vault

/// What is to be mounted, where and how: the command line, understood and checked.
struct MountRequest: Sendable {
    /// Absolute, without symbolic links.
    let vault: String
    /// Absolute.
    let mountPoint: String
    let isForeground: Bool
    let keystore: String?
    /// `kms=URL`
    let keyService: String?
    /// `key_cache=AGE,ENTRIES`
    let keyCache: DataKeyCache.Limits?
    let sources: UnlockSources
    let logFile: String?
    let logsPaths: Bool
    let overwritesInPlace: Bool
    /// `test-break=NAME`, in debug builds only: what the power-cut suite must find.
    let broken: BrokenOrdering?
    /// `test-journal=BYTES`, in debug builds only.
    let journalBytes: Int?
    #if DEBUG
        /// `test-fault=SCRIPT`: what goes wrong once the mount is up (``FaultScript``).
        let faults: FaultScript?
    #endif
    /// For the kernel and libfuse.
    let mountOptions: MountOptions

    /// Options of this program that the mount itself has no use for.
    private static let ownOptions =
        Set(["recovery_key_file", "key_file", "log_file", "kms", "key_cache"] + testOptions)
    #if DEBUG
        private static let testOptions = ["test-break", "test-fault", "test-journal"]
    #else
        private static let testOptions: [String] = []
    #endif

    /// - Throws: a ``Failure`` for an unknown option and for a vault that does not exist.
    init(
        vault: String, mountPoint: String, options: [String], isForeground: Bool
    ) throws(Failure) {
        guard let vaultPath = FilePaths.resolved(vault) else {
            throw Failure(
                .notFound, vault, "there is no such directory",
                wayOut: "'keyfold init \(vault)' makes a vault")
        }
        self.vault = vaultPath
        // The mount point is not resolved when it is the dead mount of an earlier daemon.
        self.mountPoint = FilePaths.resolved(mountPoint) ?? FilePaths.absolute(mountPoint)
        self.isForeground = isForeground
        guard !(self.mountPoint + "/").hasPrefix(vaultPath + "/") else {
            throw Failure(
                .usage, mountPoint, "the mount point is inside the vault's directory",
                wayOut: "choose an empty directory outside of \(vaultPath)")
        }
        do throws(MountError) {
            let parsed = try MountOptions.parse(options, knownOthers: Self.ownOptions)
            broken = try Self.broken(parsed.keyfold.others["test-break"])
            journalBytes = parsed.keyfold.others["test-journal"].flatMap { Int($0) }
                .map { max(65_536, $0) }
            #if DEBUG
                faults = try Self.faults(parsed.keyfold.others["test-fault"])
            #endif
            keyService = try Self.keyService(parsed.keyfold.others["kms"])
            keyCache = try Self.keyCache(parsed.keyfold.others["key_cache"])
            let others = parsed.keyfold.others.mapValues(FilePaths.absolute)
            keystore = parsed.keyfold.keystore.map(FilePaths.absolute)
            sources = UnlockSources(
                passphraseFile: parsed.keyfold.passphraseFile.map(FilePaths.absolute),
                recoveryKeyFile: others["recovery_key_file"], keyFile: others["key_file"])
            logFile = others["log_file"]
            logsPaths = parsed.keyfold.logsPaths
            overwritesInPlace = parsed.keyfold.overwritesInPlace
            mountOptions = parsed.mount
        } catch {
            throw Failure(error)
        }
    }

    private static func keyService(_ text: String?) throws(MountError) -> String? {
        if text == "" { throw .invalidOption("kms", expected: "kms=URL") }
        return text
    }

    private static func keyCache(_ text: String?) throws(MountError) -> DataKeyCache.Limits? {
        guard let text else { return nil }
        guard let limits = DataKeyCache.Limits(text) else {
            throw .invalidOption(
                "key_cache", expected: "key_cache=AGE[\\,KEYS]: 1s to 24h, 1 to 100000 keys")
        }
        return limits
    }

    private static func broken(_ name: String?) throws(MountError) -> BrokenOrdering? {
        guard let name else { return nil }
        guard let broken = BrokenOrdering(rawValue: name) else {
            let names = BrokenOrdering.allCases.map(\.rawValue).joined(separator: "|")
            throw .invalidOption("test-break", expected: "test-break=\(names)")
        }
        return broken
    }

    #if DEBUG
        private static func faults(_ text: String?) throws(MountError) -> FaultScript? {
            guard let text else { return nil }
            guard let script = FaultScript(text) else {
                let kinds = FaultScript.faults.keys.sorted().joined(separator: "|")
                throw .invalidOption("test-fault", expected: "test-fault=(\(kinds))[@CALL]:N[+]")
            }
            return script
        }
    #endif
}
