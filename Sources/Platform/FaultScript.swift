#if DEBUG
    /// One fault, and when it comes.
    package struct FaultScript: Sendable, Hashable {
        package enum Fault: Sendable, Hashable {
            case error(Errno)
            /// Each call that it meets is interrupted once (EINTR).
            case interruption
            /// Half of the bytes are read or written.
            case shortTransfer
            /// The process dies; a write is torn in the middle.
            case kill
        }

        package let fault: Fault
        /// Which of the calls that it can meet: 1 is the first.
        package let number: Int
        /// All later ones fail, too.
        package let stays: Bool
        /// Only such calls; nil for all that the fault can meet.
        package let only: StoreCall?

        package init(_ fault: Fault, at number: Int, stays: Bool = false, only: StoreCall? = nil) {
            self.fault = fault
            self.number = number
            self.stays = stays
            self.only = only
        }

        /// Meets nothing: for counting.
        package static func counting(_ fault: Fault) -> FaultScript {
            FaultScript(fault, at: .max)
        }

        /// `KIND[@CALL]:NUMBER[+]`, for example `eio:57`, `enospc@write:3+`.
        package init?(_ text: String) {
            let halves = text.split(separator: ":", omittingEmptySubsequences: false)
            guard halves.count == 2, let kind = halves[0].split(separator: "@").first,
                let fault = Self.faults[String(kind)]
            else { return nil }
            stays = halves[1].hasSuffix("+")
            guard let number = Int(stays ? halves[1].dropLast() : halves[1]), number > 0 else {
                return nil
            }
            self.number = number
            self.fault = fault
            let name = halves[0].dropFirst(kind.count + 1)
            only = StoreCall(rawValue: String(name))
            if only == nil, kind.count != halves[0].count { return nil }
        }

        package static let faults: [String: Fault] = [
            "eio": .error(.ioError), "enospc": .error(.noSpace),
            "edquot": .error(.quotaExceeded), "estale": .error(.staleFileHandle),
            "eintr": .interruption, "short": .shortTransfer, "kill": .kill,
        ]

        func canMeet(_ call: StoreCall) -> Bool {
            if let only, only != call { return false }
            return fault.canMeet(call)
        }
    }

    extension FaultScript.Fault {
        /// Whether a store may answer a call so.
        fileprivate func canMeet(_ call: StoreCall) -> Bool {
            switch self {
            case .error(.noSpace), .error(.quotaExceeded):
                switch call {
                case .create, .write, .allocate, .synchronize, .make, .rename, .renameWithFlags,
                    .writeExtended:
                    true
                default: false
                }
            case .error, .kill: true
            case .interruption:
                switch call {
                case .open, .create, .read, .write, .synchronize, .allocate, .truncate: true
                default: false
                }
            case .shortTransfer: call == .read || call == .write
            }
        }
    }
#endif
