import Console
import Cryptography
import Glibc
import KMSClient
import KMSModel
import Logging
import Mount
import Platform
import Vault

/// Puts the parts together: keystore, vault, mount. Returns when the mount has ended.
enum MountDaemon {
    static func run(_ request: MountRequest) throws(Failure) {
        let report = request.isForeground ? nil : try ReadinessReport.splitProcess()
        // Only now: a child does not inherit locked memory (fork(2)).
        SecretBytes.prepareSecureHeap()
        MountSession.blockSignals()
        OpenFileLimit.raise()
        _ = FileSizeLimit.raised
        IncidentLog.start(try target(of: request))
        try refuseBeforeAsking(request)

        let place = try KeyPlace.find(
            keystore: request.keystore, service: request.keyService, vault: request.vault)
        let holder = try place.open(request.sources, program: "keyfoldfs")
        defer { holder.close() }
        let cache = try cache(request, before: holder)
        defer { cache?.close() }
        #if DEBUG
            let faults = request.faults.map { _ in FaultScope(below: request.vault) }
            defer { tell(faults) }
        #endif
        let vault = try openVault(request, holder, cache ?? holder.service)
        defer { vault.close() }
        let onMounted: @Sendable () -> Void = {
            #if DEBUG
                if let script = request.faults { faults?.arm(script) }
            #endif
        }
        guard let keystore = holder.keystore, !request.mountOptions.isReadOnly else {
            return try serve(vault, request, report, onMounted: onMounted)
        }
        let keeper = LogHeadKeeper(
            vault: request.vault, keystore: keystore, logger: Logger(label: "keyfoldfs"))
        try keeper.keeping { () throws(Failure) in
            try serve(vault, request, report, onMounted: onMounted)
        }
    }

    #if DEBUG
        /// How many faults a test may ask for.
        private static func tell(_ faults: FaultScope?) {
            guard let faults else { return }
            Logger(label: "keyfoldfs").notice("test-fault: \(faults.disarm()) calls")
        }
    #endif

    private static func serve(
        _ vault: VaultFileSystem, _ request: MountRequest, _ report: ReadinessReport?,
        onMounted: @escaping @Sendable () -> Void
    ) throws(Failure) {
        var options = request.mountOptions
        if options.sourceName.isEmpty { options.sourceName = request.vault }
        umask(0)  // The vault applies the caller's umask itself, unless an ACL takes its place.
        do throws(MountError) {
            let session = try MountSession(
                vault: vault, mountPoint: request.mountPoint, options: options,
                logger: Logger(label: "keyfoldfs"))
            try session.run {
                onMounted()
                if report?.mountAnswers() == false { session.requestUnmount() }
            }
        } catch {
            throw Failure(error)
        }
    }

    private static func target(of request: MountRequest) throws(Failure) -> IncidentTarget {
        if let path = request.logFile { return .file(try LogFile(path: path)) }
        return request.isForeground ? .standardError : .systemLog
    }

    /// What needs no key is checked before the person types a passphrase in vain.
    private static func refuseBeforeAsking(_ request: MountRequest) throws(Failure) {
        do throws(MountError) {
            try MountSession.check(
                mountPoint: request.mountPoint, options: request.mountOptions)
        } catch {
            throw Failure(error)
        }
        do throws(VaultError) {
            _ = try VaultInspection.config(at: request.vault)
            if !request.mountOptions.isReadOnly, request.mountOptions.sharing == .exclusive,
                let holder = try VaultLock.holder(ofVaultAt: request.vault)
            {
                throw .locked(path: request.vault, holder: holder)
            }
        } catch {
            throw Failure(error, object: request.vault)
        }
    }

    /// What `key_cache` asks for; in process it would only hide uses from the log.
    private static func cache(
        _ request: MountRequest, before holder: KeyHolder
    ) throws(Failure) -> CachingKeyService? {
        guard let limits = request.keyCache else { return nil }
        guard holder.keystore == nil else {
            throw Failure(
                .usage, "key_cache",
                "the keys are in a keystore on this machine, which is asked "
                    + "in no time",
                wayOut: "leave the option out; it is for mounts whose keys are with a service")
        }
        do throws(Errno) {
            return try CachingKeyService(before: holder.service, limits: limits)
        } catch {
            throw Failure(.system(error), object: request.vault)
        }
    }

    private static func openVault(
        _ request: MountRequest, _ holder: KeyHolder, _ service: any KeyService
    ) throws(Failure) -> VaultFileSystem {
        let logger = Logger(label: "keyfoldfs")
        var options = VaultOptions()
        options.isReadOnly = request.mountOptions.isReadOnly
        options.isShared = request.mountOptions.sharing == .shared
        options.logsPaths = request.logsPaths
        options.overwritesInPlace = request.overwritesInPlace
        options.broken = request.broken
        options.journalBytes = request.journalBytes
        options.mountPoint = request.mountPoint
        options.principals = MountPrincipals(
            mountARN: holder.principalARN, mounter: geteuid(), others: holder.principalARN(uid:))
        options.userAgent = "keyfoldfs/\(Product.version)"
        options.onIncident = { logger.error("\($0)") }
        do throws(VaultError) {
            return try VaultFileSystem(
                vaultDirectory: request.vault, service: service, options: options)
        } catch {
            throw Failure(error, object: request.vault)
        }
    }
}
