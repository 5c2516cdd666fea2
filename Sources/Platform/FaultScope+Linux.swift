#if DEBUG
    internal import Glibc
    internal import Synchronization

    /// Everything that is opened below one path: its calls are counted, and fail as a script says.
    ///
    /// Scopes of different paths know nothing of each other, so tests with faults run side by side.
    package final class FaultScope: Sendable {
        private struct State {
            var script: FaultScript?
            var met = 0
            var made: [StoreCall: Int] = [:]
        }

        private static let all = Mutex<[FaultScope]>([])

        private let path: String
        private let state = Mutex(State())

        /// Begins a scope, without a script; descriptors that are open already stay outside.
        package init(below path: String) {
            self.path = path
            Self.all.withLock { $0.append(self) }
        }

        /// Nothing that is opened from here on belongs to it, and no call fails any more.
        package func end() {
            disarm()
            Self.all.withLock { scopes in scopes.removeAll { $0 === self } }
        }

        static func covering(_ path: String) -> FaultScope? {
            all.withLock { scopes in
                scopes.last { path == $0.path || path.hasPrefix($0.path + "/") }
            }
        }

        /// From here on calls are counted, and one of them fails.
        package func arm(_ script: FaultScript) {
            state.withLock { $0 = State(script: script) }
        }

        /// - Returns: how many calls came that the fault could meet.
        @discardableResult
        package func disarm() -> Int {
            state.withLock { state in
                state.script = nil
                return state.met
            }
        }

        package var hasFired: Bool {
            state.withLock { state in state.script.map { state.met >= $0.number } ?? false }
        }

        /// Calls of one kind since the scope was armed.
        package func count(of call: StoreCall) -> Int { state.withLock { $0.made[call] ?? 0 } }

        private func next(_ call: StoreCall) -> FaultScript.Fault? {
            state.withLock { state in
                guard let script = state.script else { return nil }
                state.made[call, default: 0] += 1
                guard script.canMeet(call) else { return nil }
                state.met += 1
                let isMet = script.stays ? state.met >= script.number : state.met == script.number
                return isMet ? script.fault : nil
            }
        }

        // MARK: Calls

        func meet<Value: FixedWidthInteger & SignedInteger>(
            _ call: StoreCall, _ body: () -> Value
        ) throws(Errno) -> Value {
            switch next(call) {
            case .error(let errno): throw errno
            case .interruption: return try interrupted(body)
            case .kill: Self.die()
            case .shortTransfer, nil: return try systemCall(body)
            }
        }

        func meet(
            _ call: StoreCall, _ byteCount: Int, _ body: (Int) -> Int
        ) throws(Errno) -> Int {
            switch next(call) {
            case .error(let errno): throw errno
            case .interruption: return try interrupted { body(byteCount) }
            case .kill:
                if call == .write { _ = body(byteCount / 2) }
                Self.die()
            case .shortTransfer: return try systemCall { body(max(1, byteCount / 2)) }
            case nil: return try systemCall { body(byteCount) }
            }
        }

        private func interrupted<Value: FixedWidthInteger & SignedInteger>(
            _ body: () -> Value
        ) throws(Errno) -> Value {
            var isFirst = true
            return try systemCall {
                guard isFirst else { return body() }
                isFirst = false
                // SAFETY: the location is this thread's own (errno(3)).
                unsafe __errno_location().pointee = EINTR
                return -1
            }
        }

        private static func die() -> Never {
            kill(getpid(), SIGKILL)
            while true { pause() }
        }
    }
#endif
