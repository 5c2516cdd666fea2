internal import Glibc

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
