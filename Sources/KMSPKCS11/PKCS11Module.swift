internal import Platform
internal import Synchronization

/// A PKCS#11 library in this process.
///
/// Any thread may use it; calls block for as long as the library takes. It is started with
/// CKF_OS_LOCKING_OK, so it locks for itself.
///
/// **Fork**: the standard lets no child use what its parent started (PKCS#11 2.40 usage guide,
/// §2.5.2). A program that goes to the background loads its modules afterwards.
package final class PKCS11Module: Sendable {
    /// How long a call waits for another thread that needs the module alone, and such a thread for
    /// calls that have begun. A library that never returns thus costs others an error.
    static let patienceMilliseconds = 5_000

    package let path: String
    private let cryptoki: Cryptoki
    /// Otherwise somebody else in this process started it, and we must not end it.
    private let isOurs: Bool
    private let gate = Monitor(CallGate())
    private let claims = Mutex(TokenClaims())

    // Modules stay for as long as the process: ending one takes sessions and logins from all who
    // use it.
    private static let modules = Monitor(
        ModuleTable<PKCS11Module>(patience: .milliseconds(patienceMilliseconds)))

    private init(path: String, cryptoki: Cryptoki, isOurs: Bool) {
        self.path = path
        self.cryptoki = cryptoki
        self.isOurs = isOurs
    }

    /// The module in this file, started the first time that anybody asks for it.
    ///
    /// - Parameter path: absolute. Different names of one file give the same module.
    /// - Throws: ``PKCS11Error/cannotLoad(path:reason:)``, ``PKCS11Error/notAModule(path:reason:)``;
    ///   ``PKCS11Error/unavailable(_:)`` when the library doesn't start for want of its token,
    ///   ``PKCS11Error/failed(_:)`` when it doesn't start for another reason, and
    ///   ``PKCS11Error/busy`` when it hangs in another thread that is starting it.
    package static func load(path: String) throws(PKCS11Error) -> PKCS11Module {
        try once(.path(path)) { () throws(PKCS11Error) in
            let (cryptoki, address) = try FunctionList.load(path)
            return try once(.address(address)) { () throws(PKCS11Error) in
                let isOurs = try settlingStart { () throws(PKCS11Error) in
                    try cryptoki.initialize()
                }
                return PKCS11Module(path: path, cryptoki: cryptoki, isOurs: isOurs)
            }
        }
    }

    /// What `start` gave when somebody did it first. No lock is held meanwhile, since a library may
    /// never return: that costs the thread which called it.
    private static func once(
        _ name: ModuleTable<PKCS11Module>.Name,
        _ start: () throws(PKCS11Error) -> PKCS11Module
    ) throws(PKCS11Error) -> PKCS11Module {
        let step = modules.wait(milliseconds: patienceMilliseconds) { $0.next(name, at: .now) }
        switch step {
        case .use(let module)?: return module
        case .giveUp?, nil: throw .busy
        case .begin?: break
        }
        do throws(PKCS11Error) {
            let module = try start()
            modules.withLock { $0.ended(name, module) }
            return module
        } catch {
            modules.withLock { $0.ended(name, nil) }
            throw error
        }
    }

    /// All slots, with the tokens in them.
    package func slots() throws(PKCS11Error) -> [PKCS11Slot] {
        try call { cryptoki throws(PKCS11Error) in
            let occupied = Set(try cryptoki.occupiedSlots())
            return try cryptoki.allSlots().map { slot throws(PKCS11Error) in
                PKCS11Slot(
                    number: slot, description: try cryptoki.slotDescription(slot),
                    token: occupied.contains(slot) ? try? cryptoki.token(in: slot) : nil)
            }
        }
    }

    /// Calls into the library, together with other threads. Must not be nested.
    ///
    /// - Parameter generation: which start of the library the caller's handles are of; nil when it
    ///   has none.
    func call<Value>(
        generation: Int? = nil, _ body: (Cryptoki) throws(PKCS11Error) -> Value
    ) throws(PKCS11Error) -> Value {
        guard let entry = gate.wait(milliseconds: Self.patienceMilliseconds, until: { $0.enter() })
        else { throw .busy }
        defer { gate.withLock { $0.leave() } }
        if let failure = entry.startFailure { throw failure }
        if let generation, generation != entry.generation {
            throw .failed(PKCS11Failure(.initialize, .cryptokiNotInitialized))
        }
        return try body(cryptoki)
    }

    /// Counts the library's starts.
    var generation: Int { gate.withLock { $0.generation } }

    private func callAlone<Value>(
        _ body: () throws(PKCS11Error) -> Value
    ) throws(PKCS11Error) -> Value {
        let patience = Self.patienceMilliseconds
        guard gate.wait(milliseconds: patience, until: { $0.take() ? () : nil }) != nil else {
            throw .busy
        }
        defer { gate.withLock { $0.giveBack() } }
        guard gate.wait(milliseconds: patience, until: { $0.isEmpty ? () : nil }) != nil else {
            throw .busy
        }
        return try body()
    }
}

// MARK: - Tokens

extension PKCS11Module {
    func newOwner() -> TokenClaims.Owner { claims.withLock { $0.newOwner() } }

    /// Where the one token is that the selector names.
    ///
    /// - Throws: ``PKCS11Error/tokenAbsent(_:)``, ``PKCS11Error/ambiguousToken(_:)``, and what a slot
    ///   answered that could not tell about its token, if the token is in none of the others.
    func find(
        _ selector: PKCS11TokenSelector
    ) throws(PKCS11Error) -> (slot: UInt, token: PKCS11TokenDescription) {
        try call { cryptoki throws(PKCS11Error) in
            var found: [(UInt, PKCS11TokenDescription)] = []
            var silence: PKCS11Error?
            for slot in try cryptoki.occupiedSlots() {
                do throws(PKCS11Error) {
                    let token = try cryptoki.token(in: slot)
                    if token.flags.contains(.isInitialized), selector.selects(token) {
                        found.append((slot, token))
                    }
                } catch {
                    silence = error
                }
            }
            guard found.count <= 1 else { throw .ambiguousToken(selector) }
            guard let first = found.first else { throw silence ?? .tokenAbsent(selector) }
            return first
        }
    }

    /// - Returns: false when another owner has the token.
    func claim(
        _ token: PKCS11TokenDescription, in slot: UInt, by owner: TokenClaims.Owner
    ) -> Bool {
        claims.withLock { $0.claim(token, in: slot, by: owner) }
    }

    /// The owner's token is lost; it may be looked for again.
    func disconnect(_ owner: TokenClaims.Owner) {
        claims.withLock { $0.disconnect(owner) }
    }

    func endClaim(_ owner: TokenClaims.Owner) {
        claims.withLock { $0.end(owner) }
    }

    /// Ends the sessions of an owner's connection that was lost.
    func end(_ lost: Connection, for owner: TokenClaims.Owner) throws(PKCS11Error) {
        lost.abandon()
        try endSessions(in: lost.slot, generation: lost.generation, for: owner)
    }

    /// Ends every session with the owner's token in that slot, once no call is under way that uses
    /// one: a module may give the number of a dead session to the next one.
    ///
    /// - Parameter generation: what the slot's number is of. After a restart nothing is left to end.
    func endSessions(
        in slot: UInt, generation: Int, for owner: TokenClaims.Owner
    ) throws(PKCS11Error) {
        try callAlone { () throws(PKCS11Error) in
            let isAnothers = claims.withLock { $0.others(than: owner).contains { $0.slot == slot } }
            guard isOurs, !isAnothers, generation == self.generation else { return }
            // It fails where the token is gone, and then its sessions are gone, too.
            try? cryptoki.closeAllSessions(slot)
        }
    }

    /// Ends the library and starts it again: many modules look for tokens only then (SoftHSM), or
    /// keep a dead connection until then.
    ///
    /// - Parameter seen: the generation that the caller found no token in.
    /// - Returns: false when that would disturb others: another part of the process that started
    ///   the library, or another owner whose token is well.
    /// - Throws: what the library answered, ``PKCS11Error/unavailable(_:)`` mostly.
    func restart(for owner: TokenClaims.Owner, seen: Int) throws(PKCS11Error) -> Bool {
        guard isOurs else { return false }
        for other in claims.withLock({ $0.others(than: owner) }) where isWell(other) {
            return false
        }
        try callAlone { () throws(PKCS11Error) in
            // Somebody else was faster, and had more luck.
            guard gate.withLock({ $0.generation == seen || $0.startFailure != nil }) else { return }
            try? cryptoki.finalize()
            do throws(PKCS11Error) {
                _ = try Self.settlingStart { () throws(PKCS11Error) in try cryptoki.initialize() }
                gate.withLock { $0.restarted(nil) }
            } catch {
                gate.withLock { $0.restarted(error) }
                throw error
            }
        }
        return true
    }

    private func isWell(_ claimed: (token: PKCS11TokenDescription, slot: UInt)) -> Bool {
        let found = try? call { cryptoki throws(PKCS11Error) in
            try cryptoki.token(in: claimed.slot)
        }
        return found.map(claimed.token.isSameToken) ?? false
    }

    /// A library that doesn't start because of its token may start later.
    private static func settlingStart<Value>(
        _ start: () throws(PKCS11Error) -> Value
    ) throws(PKCS11Error) -> Value {
        do throws(PKCS11Error) {
            return try start()
        } catch {
            guard case .failed(let failure) = error else { throw error }
            switch failure.value.verdict {
            case .lost, .unclear: throw .unavailable(failure)
            case .staleKey, .login, .request: throw error
            }
        }
    }
}
