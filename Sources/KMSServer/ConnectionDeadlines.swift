internal import NIOCore

/// When a connection has had its time; on its event loop.
///
/// Deadlines are set with each request and hardly ever reached. So none has a timer of its own:
/// one looks at them, at intervals as long as the shortest term. A deadline lies behind the next
/// look when it is set, and so is never seen late.
final class ConnectionDeadlines {
    enum What {
        case present, write
    }

    /// Of what the connection is waiting for.
    var present: NIODeadline?
    /// Of the answer that is being written.
    var write: NIODeadline?

    private let interval: TimeAmount
    private var timer: Scheduled<Void>?
    private var hasEnded = false

    init(_ limits: ServerLimits) {
        interval = .seconds(
            Int64(min(limits.idleSeconds, limits.transferSeconds, limits.answerSeconds)))
    }

    /// - Parameter whenOver: called once for each deadline that has come.
    func begin(on loop: any EventLoop, whenOver: @escaping (What) -> Void) {
        guard !hasEnded else { return }
        let next = [present, write].compactMap(\.self).min()
        let latest = NIODeadline.now() + interval
        let time = min(next ?? latest, latest)
        timer = loop.assumeIsolated().scheduleTask(deadline: time) { [self] in
            timer = nil
            if let what = takeOver() { whenOver(what) }
            begin(on: loop, whenOver: whenOver)
        }
    }

    private func takeOver() -> What? {
        let now = NIODeadline.now()
        if let deadline = write, deadline <= now {
            write = nil
            return .write
        }
        guard let deadline = present, deadline <= now else { return nil }
        present = nil
        return .present
    }

    /// Looks no more.
    func end() {
        hasEnded = true
        timer?.cancel()
        timer = nil
    }
}

extension NIODeadline {
    static func after(_ seconds: Int) -> NIODeadline { .now() + .seconds(Int64(seconds)) }
}
