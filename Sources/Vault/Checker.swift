import Dispatch
package import KMSModel
import Platform
import SealedFormat
import Synchronization

/// Checks a vault, mounted or not, and mends what can be mended without a guess.
///
/// A finding counts only when a second look, some time later, sees the same: a mounted vault
/// changes meanwhile. Without `--repair` nothing is locked and nothing is written.
package final class Checker: Sendable {
    /// A mount brings what it has begun to its end in less time than this.
    private static let settlingSecondsInUse = 2.5
    /// `keyfold rewrap` may be writing a header, also in a vault that is not mounted.
    private static let settlingSecondsAtRest = 0.05
    /// Repairs wait until the walk has ended; more than these wait for another run.
    private static let maximumRepairs = 1 << 16
    /// Looks after the first one, before an entry is said to be changing.
    private static let maximumLooks = 3

    private let request: CheckRequest
    private let service: any KeyService
    private let caller: Caller
    private let onProgress: @Sendable (CheckProgress) -> Void
    private let onFinding: @Sendable (CheckFinding) -> Void
    private let progress = Mutex(CheckProgress())

    /// - Parameters:
    ///   - onProgress: called from any thread.
    ///   - onFinding: called from the thread that runs the check.
    package init(
        _ request: CheckRequest, service: any KeyService, caller: Caller,
        onProgress: @escaping @Sendable (CheckProgress) -> Void,
        onFinding: @escaping @Sendable (CheckFinding) -> Void
    ) {
        self.request = request
        self.service = service
        self.caller = caller
        self.onProgress = onProgress
        self.onFinding = onFinding
    }

    /// - Throws: what keeps the check from being made at all: there is no vault, no such path, or
    ///   for a repair the vault is in use.
    package func run() throws(VaultError) -> CheckSummary {
        var run = Run()
        let root = try system { () throws(Errno) in
            try Descriptor.open(path: request.vaultDirectory, OpenFlag.directory)
        }
        if let finding = try Self.configFinding(vaultDirectory: request.vaultDirectory) {
            report(finding, &run)
            return run.summary
        }
        let config = try VaultInspection.config(at: request.vaultDirectory)
        let lock = request.repairs ? try lockVault(root) : nil
        defer { lock?.release() }
        try check(root, config, &run)
        return summary(run)
    }

    /// What is wrong with a `keyfold.json` that can't be read at all, which needs no key to be seen.
    package static func configFinding(
        vaultDirectory: String
    ) throws(VaultError) -> CheckFinding? {
        do throws(VaultError) {
            _ = try VaultInspection.config(at: vaultDirectory)
            return nil
        } catch {
            guard case .format(let error) = error else { throw error }
            return CheckFinding(
                .configMalformed, storedPath: ReservedName.config, plainPath: nil,
                detail: "\(error)")
        }
    }

    private func lockVault(_ root: Descriptor) throws(VaultError) -> VaultLock? {
        try VaultLock.acquire(
            in: root, path: request.vaultDirectory, isShared: false, isReadOnly: false,
            mountPoint: nil)
    }

    /// Asks again and again, since a mount may begin at any time; a repair itself keeps it out.
    private func noteUse(_ inspector: CheckInspector) {
        if !request.repairs { inspector.noteUse() }
    }

    private func summary(_ run: Run) -> CheckSummary {
        let progress = progress.withLock { $0 }
        var summary = run.summary
        summary.files = progress.files
        summary.directories = progress.directories
        summary.bytes = progress.bytes
        return summary
    }

    // MARK: The course of a check

    private struct Run {
        var summary = CheckSummary()
        var suspects = CheckSuspects()
        var duplicates = CheckDuplicates()
        var repairs: [CheckRepair.Action] = []
        var limits = CheckRepairLimits()
        /// Why nothing may be repaired. What `keyfold.json` says decides what is moved and removed,
        /// so a repair needs a genuine one.
        var repairRefusal: String?
    }

    private func check(
        _ root: Descriptor, _ config: VaultConfig, _ run: inout Run
    ) throws(VaultError) {
        let opened = try CheckRoot(root, config, service, caller)
        for problem in opened.configProblems {
            report(problem, storedPath: ReservedName.config, plainPath: nil, &run)
        }
        for problem in opened.recordProblems {
            report(problem, storedPath: ReservedName.directoryRecord, plainPath: "", &run)
        }
        if opened.keys == nil { run.summary.isPartial = true }
        if opened.keys == nil { run.repairRefusal = "no key tells whether keyfold.json is genuine" }
        let isConfigChanged = !opened.configProblems.isEmpty
        if isConfigChanged { run.repairRefusal = "keyfold.json was changed" }
        // A recovery needs what a repair does, and tells itself of the journals.
        let recovers = request.repairs && opened.keys != nil && !isConfigChanged
        let inspector = CheckInspector(
            config: config, isConfigChanged: isConfigChanged, root: root, service: service,
            caller: caller, looksAtJournals: !recovers,
            onBytes: { bytes in self.count { $0.bytes += bytes } })
        let domain = CheckDomain(id: config.rootDomainID, keys: opened.keys)
        noteUse(inspector)
        if let problems = try? inspector.attributeProblems(of: root, domain) {
            for problem in problems { report(problem, storedPath: "", plainPath: "", &run) }
        }
        if recovers, let keys = opened.keys,
            let finding = CheckRecovery(
                root: root, config: config, keys: keys, service: service, caller: caller
            ).run()
        {
            report(finding, &run)
        }
        // Also what could not be recovered, or not for now; a walk below a path never meets it.
        run.limits.hasJournals = request.repairs && Recovery.isNeeded(in: root)
        guard let start = try start(inspector, .root(opened.directoryID, of: domain), &run) else {
            return
        }
        if request.countsFirst { countFirst(inspector, start) }
        walk(inspector, start, &run)
        settle(inspector, &run)
        findDuplicates(inspector, start, &run)
        run.limits.isWhole = run.limits.isWhole && start.isRoot
        if request.repairs { repair(inspector, &run) }
    }

    /// The directory where the walk begins; nil when the path leads to a single file, which is
    /// looked at here.
    private func start(
        _ inspector: CheckInspector, _ root: CheckPlace, _ run: inout Run
    ) throws(VaultError) -> CheckPlace? {
        var place = root
        let names = (request.plainPath ?? "").split(separator: "/").filter { $0 != "." }
        // With plaintext names ".." would lead up, and out of the vault.
        guard !names.contains(where: { FileName(String($0)).isDots }) else {
            throw .system(.invalidArgument)
        }
        for (index, name) in names.enumerated() {
            let directory = try system { () throws(Errno) in try inspector.open(place) }
            guard let stored = inspector.storedName(of: String(name), in: place) else {
                if inspector.names == nil { throw .format(.authenticationFailed(.vaultConfig)) }
                if place.domain.keys == nil { throw .system(.noKey) }
                throw .format(.authenticationFailed(.directoryRecord))
            }
            _ = try system { () throws(Errno) in try directory.status(of: stored) }
            let item = CheckItem(place: place, directory: directory, name: stored)
            let children = look(inspector, [item], &run)
            guard let child = children.first else {
                guard index == names.count - 1 else { throw .system(.notDirectory) }
                settle(inspector, &run)
                if request.repairs { repair(inspector, &run) }
                return nil
            }
            place = child
        }
        return place
    }

    private func countFirst(_ inspector: CheckInspector, _ start: CheckPlace) {
        var walk = CheckWalk(inspector, start: start)
        while true {
            let batch = walk.nextBatch()
            if batch.isEmpty { break }
            var files: UInt64 = 0
            var bytes: UInt64 = 0
            var children: [CheckPlace] = []
            for item in batch {
                guard let status = try? item.directory.status(of: item.name) else { continue }
                let kind = inspector.kind(of: item)
                guard kind == .long || kind == .direct else { continue }
                if status.kind == .directory {
                    children.append(
                        item.place.child(item.name, plainName: nil, directoryID: nil))
                } else {
                    files += 1
                    bytes += status.sizeBytes
                }
            }
            walk.add(children)
            count {
                $0.totalFiles = ($0.totalFiles ?? 0) + files
                $0.totalBytes = ($0.totalBytes ?? 0) + bytes
            }
        }
    }

    private func walk(_ inspector: CheckInspector, _ start: CheckPlace, _ run: inout Run) {
        var walk = CheckWalk(inspector, start: start)
        if start.isRoot { count { $0.directories += 1 } }
        if let identity = inspector.rootIdentity(start) { run.duplicates.add(identity) }
        while true {
            let batch = walk.nextBatch()
            if batch.isEmpty { break }
            walk.add(look(inspector, batch, &run))
        }
        for failure in walk.failures {
            run.limits.isWhole = false
            report(
                CheckProblem(CheckCode(failure.errno), "\(failure.errno)"),
                storedPath: failure.place.storedPath(), plainPath: nil, &run)
        }
    }

    /// Looks at a batch of entries.
    ///
    /// - Returns: the directories among them.
    private func look(
        _ inspector: CheckInspector, _ batch: [CheckItem], _ run: inout Run
    ) -> [CheckPlace] {
        let everyBlock = request.readsData
        let results = concurrently(batch) { item in
            let seen = inspector.inspect(item, .content(everyBlock: everyBlock))
            self.count(seen, everyBlock: everyBlock)
            return seen
        }
        var children: [CheckPlace] = []
        for (item, seen) in zip(batch, results) {
            if let child = seen.child { children.append(child) }
            if let identity = seen.identity { run.duplicates.add(identity) }
            if seen.problems.contains(where: \.code.hidesEntries) { run.limits.isWhole = false }
            if seen.lacksSidecar { run.limits.noteEntryWithoutSidecar(item.name) }
            if !seen.problems.isEmpty {
                run.suspects.add(CheckSuspect(place: item.place, name: item.name, seen: seen))
            }
        }
        if run.suspects.isFull { settle(inspector, &run) }
        return children
    }

    private func concurrently<Element: Sendable, Result: Sendable>(
        _ elements: [Element], _ body: @Sendable (Element) -> Result
    ) -> [Result] {
        let next = Atomic<Int>(0)
        let results = Mutex([Result?](repeating: nil, count: elements.count))
        let jobs = max(1, min(request.jobs, 64, elements.count))
        DispatchQueue.concurrentPerform(iterations: jobs) { _ in
            while true {
                let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard index < elements.count else { return }
                let result = body(elements[index])
                results.withLock { $0[index] = result }
            }
        }
        return results.withLock { $0 }.compactMap(\.self)
    }

    private func count(_ seen: CheckInspection, everyBlock: Bool) {
        guard let kind = seen.kind, !seen.isGone else { return }
        count { progress in
            if kind == .directory {
                progress.directories += 1
            } else {
                progress.files += 1
            }
            if !everyBlock { progress.bytes += seen.sealedBytes }
        }
    }

    private func count(_ change: (inout CheckProgress) -> Void) {
        let now = progress.withLock { progress in
            change(&progress)
            return progress
        }
        onProgress(now)
    }

    // MARK: The second look

    /// Looks again at everything that was found, until two looks agree; what they agree about is
    /// reported.
    private func settle(_ inspector: CheckInspector, _ run: inout Run) {
        var suspects = run.suspects.takeAll()
        for attempt in 1...Self.maximumLooks where !suspects.isEmpty {
            noteUse(inspector)
            pause(inspector.isInUse ? Self.settlingSecondsInUse : Self.settlingSecondsAtRest)
            let again = concurrently(suspects) { suspect in
                Self.lookAgain(inspector, suspect)
            }
            var unsettled: [CheckSuspect] = []
            for (suspect, second) in zip(suspects, again) {
                let rest = settle(suspect, second, &run)
                guard let rest else { continue }
                if attempt < Self.maximumLooks {
                    unsettled.append(rest)
                } else {
                    report(
                        CheckProblem(.changing), storedPath: rest.place.storedPath(rest.name),
                        plainPath: rest.place.plainPath(rest.seen.plainName), &run)
                }
            }
            suspects = unsettled
        }
    }

    /// - Returns: what the second look saw differently, to be looked at once more.
    private func settle(
        _ suspect: CheckSuspect, _ second: CheckInspection, _ run: inout Run
    ) -> CheckSuspect? {
        var rest: [CheckProblem] = []
        for problem in second.problems {
            let confirmed = suspect.seen.problems.lazy.compactMap { $0.confirmed(by: problem) }
            if let confirmed = confirmed.first, confirmed.code != .changing {
                report(confirmed, of: suspect, &run)
            } else {
                rest.append(problem)
            }
        }
        guard !rest.isEmpty else { return nil }
        var seen = second
        seen.problems = rest
        return CheckSuspect(place: suspect.place, name: suspect.name, seen: seen)
    }

    private static func lookAgain(
        _ inspector: CheckInspector, _ suspect: CheckSuspect
    ) -> CheckInspection {
        guard let directory = try? inspector.open(suspect.place) else { return .gone }
        return inspector.inspect(
            CheckItem(place: suspect.place, directory: directory, name: suspect.name),
            .blocks(suspect.seen.problems.flatMap { $0.blocks.map(\.index) }))
    }

    private func pause(_ seconds: Double) {
        _ = DispatchSemaphore(value: 0).wait(timeout: .now() + seconds)
    }

    // MARK: Copies

    private func findDuplicates(
        _ inspector: CheckInspector, _ start: CheckPlace, _ run: inout Run
    ) {
        let candidates = run.duplicates.candidates
        guard !candidates.isEmpty else { return }
        var bearers = CheckBearers()
        if let identity = inspector.rootIdentity(start) {
            bearers.add(identity, CheckBearers.Bearer(storedPath: "", plainPath: ""))
        }
        var walk = CheckWalk(inspector, start: start)
        while true {
            let batch = walk.nextBatch()
            if batch.isEmpty { break }
            let results = concurrently(batch) { inspector.inspect($0, .identities) }
            for (item, seen) in zip(batch, results) {
                if let child = seen.child { walk.add([child]) }
                guard let identity = seen.identity, candidates.contains(identity.id) else {
                    continue
                }
                bearers.add(
                    identity,
                    CheckBearers.Bearer(
                        storedPath: item.place.storedPath(item.name),
                        plainPath: item.place.plainPath(seen.plainName)))
            }
        }
        run.limits.sharedDirectories = bearers.sharedDirectories
        for finding in bearers.findings { report(finding, &run) }
    }

    // MARK: Reports and repairs

    private func report(
        _ problem: CheckProblem, storedPath: String, plainPath: String?, _ run: inout Run
    ) {
        report(
            CheckFinding(
                problem.code, storedPath: storedPath, plainPath: plainPath, detail: problem.words),
            &run)
    }

    private func report(_ problem: CheckProblem, of suspect: CheckSuspect, _ run: inout Run) {
        let finding = CheckFinding(
            problem.code, storedPath: suspect.place.storedPath(suspect.name),
            plainPath: suspect.place.plainPath(suspect.seen.plainName), detail: problem.words)
        guard request.repairs, problem.code.severity == .repairable else {
            return report(finding, &run)
        }
        let isFull = run.repairs.count >= Self.maximumRepairs
        if let refusal = run.repairRefusal ?? (isFull ? "too many at once: repair again" : nil) {
            var finding = finding
            finding.outcome = .notRepaired(refusal)
            return report(finding, &run)
        }
        run.repairs.append(
            CheckRepair.Action(
                place: suspect.place, name: suspect.name, problem: problem, finding: finding))
    }

    private func report(_ finding: CheckFinding, _ run: inout Run) {
        run.summary.add(finding)
        count { $0.findings += 1 }
        onFinding(finding)
    }

    /// Removals first, and what lies deep before what lies above it, so that no path changes under
    /// a repair that is still to come.
    private func repair(_ inspector: CheckInspector, _ run: inout Run) {
        let actions = run.repairs.sorted { a, b in
            (a.moves ? 1 : 0, b.place.depth) < (b.moves ? 1 : 0, a.place.depth)
        }
        run.repairs = []
        run.limits.noteOrphans(actions)
        var repair = CheckRepair(inspector: inspector, limits: run.limits)
        for action in actions {
            var finding = action.finding
            finding.outcome = repair.carryOut(action)
            report(finding, &run)
        }
    }
}
