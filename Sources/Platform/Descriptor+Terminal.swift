internal import Glibc
internal import Synchronization

/// How a terminal treats what is typed (termios(3)).
package struct TerminalModes: Sendable {
    fileprivate var modes: termios
}

extension Descriptor {
    package var isTerminal: Bool { isatty(rawValue) == 1 }

    /// From now on each key is given to read(2) as it comes, is not shown, and sends no signal.
    ///
    /// What was typed before is thrown away.
    ///
    /// - Returns: the modes until now, for ``setTerminalModes(_:)``.
    package func readKeysUnseen() throws(Errno) -> TerminalModes {
        var before = termios()
        // SAFETY: `before` outlives the call.
        _ = try systemCall { unsafe tcgetattr(rawValue, &before) }
        var unseen = before
        unseen.c_lflag &= ~tcflag_t(ECHO | ICANON | ISIG)
        try setTerminalModes(TerminalModes(modes: unseen))
        return TerminalModes(modes: before)
    }

    package func setTerminalModes(_ modes: TerminalModes) throws(Errno) {
        var modes = modes.modes
        // SAFETY: `modes` outlives the call.
        _ = try systemCall { unsafe tcsetattr(rawValue, TCSAFLUSH, &modes) }
    }

    /// Waits a moment for something to read.
    ///
    /// - Returns: whether there is something, or the input has ended.
    package func isReadable(waitingMilliseconds: Int32) -> Bool {
        var entry = pollfd(fd: rawValue, events: Int16(POLLIN), revents: 0)
        // SAFETY: `entry` outlives the call.
        return unsafe poll(&entry, 1, waitingMilliseconds) == 1
    }

    /// Reads from the descriptor's own position until `bytes` is full or the input ends; for
    /// terminals and pipes as well as files.
    ///
    /// - Returns: how many bytes were read.
    package func readNext(into bytes: inout [UInt8]) throws(Errno) -> Int {
        var done = 0
        let capacity = bytes.count
        while done < capacity {
            var span = bytes.mutableSpan
            let count = try unsafe span.withUnsafeMutableBytes { buffer throws(Errno) in
                // SAFETY: `done` is below the array's count, and what is left of it is the size.
                let start = unsafe buffer.baseAddress?.advanced(by: done)
                return try systemCall { unsafe Glibc.read(rawValue, start, capacity - done) }
            }
            if count == 0 { break }
            done += count
        }
        return done
    }
}

/// The signals that end a program from outside, held up while something is to be put back first.
///
/// Handlers, and no mask: each thread has a mask of its own, and any of them may be given a signal.
package enum EndingSignals {
    private static let numbers = [SIGHUP, SIGINT, SIGQUIT, SIGTERM]
    /// The last one that came; 0 for none.
    private static let caught = Atomic<Int32>(0)

    /// Whether one waits for the end of ``held(_:)``.
    package static var haveCome: Bool { caught.load(ordering: .relaxed) != 0 }

    /// Runs `body`; a signal that comes meanwhile acts behind it, and what was ignored stays so.
    /// One thread at a time.
    package static func held<Result, Failure: Error>(
        _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        // This makes it, too, which must not be a handler's work.
        caught.store(0, ordering: .relaxed)
        let before = numbers.compactMap(hold)
        defer {
            for (number, action) in before {
                var action = action
                // SAFETY: `action` outlives the call, and came from the same.
                unsafe sigaction(number, &action, nil)
            }
            let number = caught.load(ordering: .relaxed)
            if number != 0 {
                raise(number)
                // Swift's own handler of SIGQUIT tells where the program is, and returns.
                signal(number, SIG_DFL)
                raise(number)
            }
        }
        return try body()
    }

    /// - Returns: the action until now; nil for a signal that is ignored.
    private static func hold(_ number: Int32) -> (number: Int32, action: sigaction)? {
        var before = sigaction()
        // SAFETY: `before` outlives the call, which fills it; a handler is compared as an address
        // only, and SIG_IGN is 1 (bits/signum-generic.h).
        unsafe sigaction(number, nil, &before)
        let handler = unsafe before.__sigaction_handler.sa_handler
        if unsafe unsafeBitCast(handler, to: Int.self) == 1 { return nil }
        var action = sigaction()
        // SAFETY: storing into an atomic is all that the handler does; `action` outlives the call.
        unsafe action.__sigaction_handler.sa_handler = { number in
            EndingSignals.caught.store(number, ordering: .relaxed)
        }
        unsafe sigaction(number, &action, nil)
        return (number, before)
    }
}
