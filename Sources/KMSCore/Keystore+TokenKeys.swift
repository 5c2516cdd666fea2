internal import Dispatch
internal import KMSModel
internal import KMSStore
internal import Platform

/// Keys in tokens that no keystore knows. CreateKey makes the token's object first, and it stays
/// where the process ends before the keystore has its record; so does one whose token is away when
/// the key is deleted. They are told, and left for people: the key of another keystore on the same
/// token looks the same.
extension Keystore {
    private enum Look: Sendable {
        case orphans([KeyID])
        case failed(String)
    }

    /// What there is to say of the tokens of all stores that are connected; others may not be logged
    /// in to.
    func tokenFindings(
        in snapshot: KeystoreSnapshot, patience: Duration, settlingTime: Duration
    ) -> [KeystoreFinding] {
        var findings: [KeystoreFinding] = []
        for (name, region) in snapshot.regions.sorted(by: { $0.key < $1.key }) {
            let connected = region.keyStores.values.filter { $0.state == .connected }
            for store in connected.sorted(by: { $0.id < $1.id }) {
                let place = "custom key store \(store.id) in \(name)"
                switch inTime(patience, { [self] in look(store, region, settlingTime) }) {
                case .orphans(let ids)?:
                    let token = snapshot.tokens[store.clusterID]
                    findings += ids.sorted().map {
                        KeystoreFinding(orphan: $0, in: token, place)
                    }
                case .failed(let reason)?:
                    findings.append(KeystoreFinding(unchecked: place, reason))
                case nil:
                    findings.append(
                        KeystoreFinding(unchecked: place, "its token does not answer"))
                }
            }
        }
        return findings
    }

    /// In a thread of its own, which a token that hangs keeps.
    ///
    /// - Returns: nil when it took too long.
    private func inTime(
        _ patience: Duration, _ look: @escaping @Sendable () -> Look
    ) -> Look? {
        let outcome = Monitor<Look?>(nil)
        let run = { @Sendable in
            let look = look()
            outcome.withLock { $0 = look }
        }
        do throws(Errno) {
            try DetachedThread.start(run)
        } catch {
            return .failed("no thread can be made: \(error)")
        }
        return outcome.wait(milliseconds: Int(patience / .milliseconds(1))) { $0 }
    }

    private func look(
        _ store: CustomKeyStoreRecord, _ region: RegionSnapshot, _ settlingTime: Duration
    ) -> Look {
        do throws(KMSError) {
            let first = try orphans(in: store, region)
            guard !first.isEmpty else { return .orphans([]) }
            _ = DispatchSemaphore(value: 0).wait(timeout: .now() + settlingTime / .seconds(1))
            let second = Set(try orphans(in: store, region))
            return .orphans(first.filter(second.contains))
        } catch {
            return .failed(error.message)
        }
    }

    private func orphans(
        in store: CustomKeyStoreRecord, _ region: RegionSnapshot
    ) throws(KMSError) -> [KeyID] {
        let before = try newest()
        let made = try shared.keyStores.madeKeys(in: store, before.region(region.scope), before)
        // Only now: a key is in its token before it is in the keystore.
        let after = try newest()
        return made.filter { after.siblings(of: $0).isEmpty }
    }

    private func newest() throws(KMSError) -> KeystoreSnapshot {
        do throws(KeystoreError) {
            return try store.snapshot()
        } catch {
            throw KMSError(error)
        }
    }
}

extension KeystoreFinding {
    fileprivate init(orphan id: KeyID, in token: TokenRecord?, _ place: String) {
        let digits = hexText(id.bytes)
        self.init(
            .tokenKeyUnknown, storedPath: KeystorePaths.databaseName,
            detail: "key \(id) (ID \(digits)) in the token '\(token?.tokenLabel ?? "")' of "
                + "\(token?.modulePath ?? ""), \(place)")
    }

    fileprivate init(unchecked place: String, _ reason: String) {
        self.init(
            .tokenNotChecked, storedPath: KeystorePaths.databaseName,
            detail: "\(place): \(reason)")
    }
}
