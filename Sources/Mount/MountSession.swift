package import Logging
import Platform
import Synchronization
package import Vault

/// One mount from its beginning to its end.
///
/// The end comes when somebody unmounts, or by SIGTERM, SIGINT, SIGHUP or ``requestUnmount()``;
/// either way the kernel's dirty pages reach the vault, and the vault is closed, before ``run(_:)``
/// returns.
package final class MountSession: Sendable {
    /// How long processes that use the mount may hold up its end.
    package static let endingLimitMilliseconds = 10_000
    /// How often it is looked whether somebody still uses the mount.
    private static let endingPauseMilliseconds = 100
    /// How long the kernel may take to write back what such processes wrote, when they lose the mount.
    private static let writeBackLimitMilliseconds = 30_000
    /// How long one that is held up in the vault may hold up the process's end after that.
    private static let abandonLimitMilliseconds = 5_000
    private static let readAheadKilobytes = 4_096

    private enum Phase: Equatable { case mounted, ending, ended }

    private let vault: VaultFileSystem
    private let connection: Connection
    private let mountPoint: MountPoint
    private let pool: WorkerPool
    private let workersEnded = Semaphore()
    private let signalsEnded = Semaphore()
    private let phase = Mutex(Phase.mounted)
    /// As stat(2) shows it; 0 until the mount answered once.
    private let mountDevice = Atomic<UInt64>(0)
    private let logger: Logger

    /// Checks the mount point and FUSE, as ``init(vault:mountPoint:options:logger:)`` does again.
    ///
    /// A program calls it before it opens the vault and goes into the background. The mount of a
    /// `keyfoldfs` that died is cleared away here.
    package static func check(
        mountPoint: String, options: MountOptions
    ) throws(MountError) {
        _ = try MountPoint(preparing: mountPoint, options)
    }

    /// Keeps the signals that end a mount for ``run(_:)``. Call first thing in the program, before
    /// any thread is made: a signal that one thread does not block ends the process.
    package static func blockSignals() {
        Signals.block()
    }

    /// Mounts; requests wait until ``run(_:)``.
    package init(
        vault: VaultFileSystem, mountPoint: String, options: MountOptions, logger: Logger
    ) throws(MountError) {
        Signals.block()
        self.mountPoint = try MountPoint(preparing: mountPoint, options)
        self.vault = vault
        self.logger = logger
        let connection = Connection(vault: vault, options: options)
        self.connection = connection
        pool = WorkerPool { pool, id in Worker.run(in: pool, id: id, connection: connection) }
        try connection.mount(at: self.mountPoint.path)
    }

    /// Serves the mount until it is unmounted. Call once.
    ///
    /// - Parameter whenReady: called once, on another thread, when the mount answers.
    /// - Throws: ``MountError/systemRefused(what:_:)`` when threads cannot be made; nothing is
    ///   mounted then.
    package func run(whenReady: @escaping @Sendable () -> Void = {}) throws(MountError) {
        do throws(Errno) {
            try pool.start()
            try DetachedThread.start { [self] in runSignals(whenReady) }
        } catch {
            pool.end()
            _ = mountPoint.unmount(.detached)
            vault.close()
            throw .systemRefused(what: "starting the mount's threads", error)
        }
        pool.waitUntilEnded()
        workersEnded.post()
        // The signals' thread may be at work for this end, or may still be waiting.
        if begin(.ended) { Signals.sendEnding() }
        signalsEnded.wait()
        clearName()
        vault.close()
        logger.info("unmounted \(mountPoint.path)")
    }

    /// Asks for the end, as SIGTERM does; returns at once.
    package func requestUnmount() {
        Signals.sendEnding()
    }

    // MARK: The end

    /// - Returns: whether the mount was in its ordinary phase until now.
    private func begin(_ next: Phase) -> Bool {
        phase.withLock { phase in
            defer { phase = next }
            return phase == .mounted
        }
    }

    private func runSignals(_ whenReady: @Sendable () -> Void) {
        defer { signalsEnded.post() }
        do throws(Errno) {
            // The workers answer this: from here on the mount works.
            let device = try mountPoint.status().device
            mountDevice.store(device, ordering: .relaxed)
            mountPoint.raiseReadAhead(of: device, toKilobytes: Self.readAheadKilobytes)
            whenReady()
        } catch {
            logger.error("the mount does not answer: \(error)")
        }
        let signal = Signals.waitForEnding()
        guard begin(.ending) else { return }
        logger.info("unmounting \(mountPoint.path) (signal \(signal))")
        unmount()
    }

    /// Takes the mount away while the workers still serve it, so that the kernel can write back.
    private func unmount() {
        var root: Descriptor?
        if case .failure(let errno) = mountPoint.unmount(.whole) {
            logger.warning("\(mountPoint.path) is in use (\(errno)): it goes with its last user")
            root = detach()
        }
        if waitForUsers(letGo: &root) { return }
        logger.warning("\(mountPoint.path) is still in use: its users lose it now")
        if let root { writeBack(below: root) }
        try? vault.synchronizeAll()
        pool.abandon(afterMilliseconds: Self.abandonLimitMilliseconds)
    }

    /// - Returns: the mount's root, which nobody can open by name any more; nil when it does not open.
    private func detach() -> Descriptor? {
        let root = try? mountPoint.directory()
        if let root { try? root.synchronizeFileSystem() }
        try? vault.synchronizeAll()
        if case .failure(let errno) = mountPoint.unmount(.detached) {
            logger.error("\(mountPoint.path) cannot be unmounted: \(errno)")
        }
        return root
    }

    /// Waits for the last user. `root` is one itself, so it goes as soon as no file is open: the
    /// kernel has nothing then that the vault has not.
    ///
    /// - Returns: whether they all went in time.
    private func waitForUsers(letGo root: inout Descriptor?) -> Bool {
        for _ in 0..<Self.endingLimitMilliseconds / Self.endingPauseMilliseconds {
            if root != nil, !vault.hasOpenFiles { root = nil }
            if workersEnded.wait(milliseconds: Self.endingPauseMilliseconds) { return true }
        }
        return false
    }

    /// Has the kernel write back what the mount's users wrote. In a thread of its own: a worker that
    /// is held up in the vault would hold up us, too.
    private func writeBack(below root: Descriptor) {
        let done = Semaphore()
        do throws(Errno) {
            try DetachedThread.start {
                try? root.synchronizeFileSystem()
                done.post()
            }
        } catch {
            logger.error("what the users of \(mountPoint.path) wrote last is lost: \(error)")
            return
        }
        if !done.wait(milliseconds: Self.writeBackLimitMilliseconds) || !waitUntilQuiet() {
            logger.error("what the users of \(mountPoint.path) wrote last may be lost")
        }
    }

    /// Waits until no request waits or is carried out: syncfs(2) sends us everything, but need not
    /// wait until a FUSE mount has taken it.
    private func waitUntilQuiet() -> Bool {
        var quietLooks = 0
        for _ in 0..<Self.writeBackLimitMilliseconds / Self.endingPauseMilliseconds {
            quietLooks = pool.isIdle && !connection.hasWaitingRequest ? quietLooks + 1 : 0
            // A request that was just read is not seen the first time.
            if quietLooks == 2 { return true }
            sleep(milliseconds: Self.endingPauseMilliseconds)
        }
        return false
    }

    /// After the connection broke (an abort in /sys/fs/fuse), the name of the mount is still there.
    private func clearName() {
        let device = mountDevice.load(ordering: .relaxed)
        guard device != 0, mountPoint.shows(device: device) else { return }
        _ = mountPoint.unmount(.detached)
    }
}
