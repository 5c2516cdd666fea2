internal import Dispatch

/// Kills a daemon that is still there after its time: calls that hang on its mount fail then.
final class Watchdog: @unchecked Sendable {
    // SAFETY: a dispatch source may be cancelled from any thread.
    static let limitSeconds = 240

    private let timer: any DispatchSourceTimer

    init(pid: Int32) {
        let source = DispatchSource.makeTimerSource(queue: .global())
        source.schedule(deadline: .now() + .seconds(Self.limitSeconds))
        source.setEventHandler {
            print("the mount of process \(pid) did not end in \(Self.limitSeconds) s: killed")
            Signal.send(Signal.kill, to: pid)
        }
        source.resume()
        timer = source
    }

    deinit {
        timer.cancel()
    }
}
