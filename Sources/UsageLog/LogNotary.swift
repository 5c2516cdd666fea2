package import KMSModel

/// What the keystore knows of the log as a whole, without reading any event.
package struct LogNotary: Sendable {
    private let keys: UsageLogKeys
    private let ledger: LogLedger

    package init(keys: UsageLogKeys, anchors: any LogAnchorStore, clock: any WallClock) {
        self.keys = keys
        ledger = LogLedger(store: anchors, clock: clock)
    }

    /// Signs a checkpoint of how far all segments are anchored.
    package func seal() throws(UsageLogError) {
        try ledger.seal()
    }

    /// Public key of the first checkpoint, 32 bytes; nil before there is one.
    package func verificationKey() throws(UsageLogError) -> [UInt8]? {
        try ledger.store.reading { try LogLedger.state($0)?.verificationKey }
    }

    /// The last checkpoint, as it is to be kept elsewhere; nil before there is one.
    package func head() throws(UsageLogError) -> LogHead? {
        let milliseconds = ledger.clock.now().millisecondsSinceEpoch
        return try ledger.store.reading { view in
            guard let state = try LogLedger.state(view), state.checkpointCount > 0 else {
                return nil
            }
            return LogHead(
                verificationKey: state.verificationKey, checkpoint: state.checkpointCount,
                hash: state.lastHash, milliseconds: milliseconds)
        }
    }

    /// When the last checkpoint was made, by the clock of then; nil before there is one.
    package func lastSeal() throws(UsageLogError) -> Timestamp? {
        try ledger.store.reading { view in
            guard let state = try LogLedger.state(view) else { return nil }
            return try view.checkpoint(state.checkpointCount).flatMap(Checkpoint.milliseconds)
                .map(Timestamp.init(millisecondsSinceEpoch:))
        }
    }

    /// What an anchored head says against this log, at the price of one row: nil when the log goes
    /// on from there. Whether the log itself is whole, ``UsageLogVerifier`` tells.
    package func problem(with head: LogHead) throws(UsageLogError) -> LogProblem.Kind? {
        try ledger.store.reading { view in
            guard let state = try LogLedger.state(view) else { return .rolledBack }
            return head.problem(
                state.verificationKey, checkpoint: try view.checkpoint(head.checkpoint))
        }
    }

    /// The bytes that are to lie where `stored` lies now (nil: nothing does): the newest head, or
    /// nil when nothing must be written, since what lies there is newer than this log, or none of
    /// its heads. Who keeps heads replaces one by a later one of the same log and by nothing else,
    /// so that a log that was rolled back can't hide it.
    package func replacement(for stored: [UInt8]?) throws(UsageLogError) -> [UInt8]? {
        if let stored {
            guard let head = LogHead(decoding: stored, keys), try problem(with: head) == nil else {
                return nil
            }
        }
        return try head()?.encoded(keys)
    }

    /// What the bytes of an anchor say; without a head when this keystore did not write them.
    package func anchor(_ bytes: [UInt8], from name: String) -> AnchoredHead {
        AnchoredHead(name: name, head: LogHead(decoding: bytes, keys))
    }

    /// What all events add up to: those of closed segments, and of open ones as far as they are
    /// anchored. Nothing is read again for it. Segments of version 1 are not metered.
    package func usage() throws(UsageLogError) -> UsageTally {
        try ledger.store.reading { view in
            var total = try UsageTally.totals(view)
            guard let state = try LogLedger.state(view) else { return total }
            for id in state.unsealed {
                guard let segment = try view.segment(id), !segment.isClosed,
                    let tally = UsageTally(decoding: segment.tally)
                else { continue }
                total.add(tally)
            }
            return total
        }
    }

    /// The same of one key, at the price of its own rows.
    package func usage(ofKey arn: String) throws(UsageLogError) -> UsageTally.Key? {
        try ledger.store.reading { view in
            var total = try UsageTally.total(of: arn, view)
            guard let state = try LogLedger.state(view) else { return total[arn] }
            for id in state.unsealed {
                guard let segment = try view.segment(id), !segment.isClosed,
                    let tally = UsageTally(decoding: segment.tally)
                else { continue }
                total.add(tally)
            }
            return total[arn]
        }
    }
}
