internal import Glibc
internal import Platform

/// The terminal that the program was started from, for secrets: never standard input or output.
package final class Terminal {
    private let descriptor: Descriptor

    /// nil when the program has no terminal.
    package init?() {
        guard let descriptor = try? Descriptor.open(path: "/dev/tty", O_RDWR) else { return nil }
        self.descriptor = descriptor
    }

    /// Asks for a line without echo.
    ///
    /// Keys work as on every terminal: erase, kill, end of input. Control-C is read as a key, so
    /// that the echo is back before the program ends. A signal that ends the program does so, too,
    /// when the echo is back.
    ///
    /// - Returns: the line's bytes, which the caller wipes.
    /// - Throws: a ``Failure`` when the person breaks off or the line is too long.
    package func readSecret(_ prompt: String) throws(Failure) -> [UInt8] {
        try EndingSignals.held { () throws(Failure) in try readUnseen(prompt) }
    }

    private func readUnseen(_ prompt: String) throws(Failure) -> [UInt8] {
        guard let modes = try? descriptor.readKeysUnseen() else { throw Self.noAnswer }
        defer {
            // When this fails the terminal itself is gone.
            try? descriptor.setTerminalModes(modes)
            show("\n")
        }
        // Only now: what is typed after the prompt is neither echoed nor flushed away.
        show(prompt)
        return try readKeys()
    }

    private func readKeys() throws(Failure) -> [UInt8] {
        // The room is reserved at once: a growing array would leave copies behind.
        var line: [UInt8] = []
        line.reserveCapacity(SecretFile.lineLimitBytes)
        while true {
            guard let key = readKey() else {
                SecretFile.erase(&line)
                throw Self.noAnswer
            }
            switch key {
            case 0x0A, 0x0D: return line
            case 0x03, 0x04, 0x1C:  // ^C, ^D, ^\
                SecretFile.erase(&line)
                throw Self.noAnswer
            case 0x15: SecretFile.erase(&line)  // ^U
            case 0x08, 0x7F: Self.eraseCharacter(&line)
            // Keys without a character, such as ^Z and Escape. A tab has one.
            case 0x00...0x1F where key != 0x09: break
            default:
                guard line.count < SecretFile.lineLimitBytes else {
                    SecretFile.erase(&line)
                    throw Failure(.usage, nil, "the passphrase is too long")
                }
                line.append(key)
            }
        }
    }

    /// Takes one UTF-8 character off the end.
    private static func eraseCharacter(_ line: inout [UInt8]) {
        while let last = line.popLast(), last & 0xC0 == 0x80 {}
    }

    /// nil at the end of the input, and when a signal is to end the program.
    private func readKey() -> UInt8? {
        // A signal may go to another thread, so that nothing here is interrupted.
        while !EndingSignals.haveCome, !descriptor.isReadable(waitingMilliseconds: 100) {}
        if EndingSignals.haveCome { return nil }
        var key: [UInt8] = [0]
        defer { SecretFile.erase(&key) }
        return (try? descriptor.readNext(into: &key)) == 1 ? key[0] : nil
    }

    private func show(_ text: String) {
        _ = try? descriptor.append(Array(text.utf8))
    }

    private static let noAnswer = Failure(.noPermission, nil, "no passphrase was given")
}
