import TestSupport
import Testing

extension EndToEnd.Commands {
    /// What is asked at a terminal: the echo is off while a secret is typed, and never longer.
    @Suite(needs("python3"))
    struct TerminalTests {
        /// Starts a program with a new terminal, waits for its question, types, sends a signal if
        /// there is one, and tells whether there was an echo at the question and at the end, and
        /// how the program ended.
        private static let atATerminal = """
            import fcntl, os, pty, select, signal as signals, sys, termios
            keys, signal, words = bytes.fromhex(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
            def echo(): return bool(termios.tcgetattr(slave)[3] & termios.ECHO)
            master, slave = pty.openpty()
            pid = os.fork()
            if pid == 0:
                os.setsid()
                # What runs in the background is often made deaf to some.
                for number in 1, 2, 3, 15: signals.signal(number, signals.SIG_DFL)
                fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
                os.execvp(words[0], words)
            shown = b""
            while not shown.endswith(b": "):
                if not select.select([master], [], [], 60)[0]: sys.exit("no question")
                shown += os.read(master, 4096)
            before = echo()
            os.write(master, keys)
            if signal: os.kill(pid, signal)
            status = os.waitpid(pid, 0)[1]
            print(before, echo(), os.waitstatus_to_exitcode(status))
            """

        private func end(
            _ fixture: VaultFixture, typing keys: [UInt8], signal: Int = 0
        ) throws -> String? {
            let digits = keys.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }
            let words = [Program.keyfold, "key", "list", "--quiet", "--json"]
            return try Command(
                ["python3", "-c", Self.atATerminal, digits.joined(), "\(signal)"] + words
            ).with(["KEYFOLD_KEYSTORE": fixture.keystore]).run().lines.last
        }

        /// SIGHUP, SIGINT, SIGQUIT, SIGTERM.
        @Test(arguments: [1, 2, 3, 15])
        func `a signal at the question ends the program, with the echo as it was`(
            _ signal: Int
        ) throws {
            try VaultFixture.withVault(.locked) { fixture in
                let end = try end(fixture, typing: Array("half a pass".utf8), signal: signal)
                #expect(end == "False True -\(signal)")
            }
        }

        @Test func `keys without a character are no part of the passphrase`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                // ^Z, Escape, ^W, ^R, ^V.
                let noise: [UInt8] = [0x1A, 0x1B, 0x17, 0x12, 0x16]
                let keys = noise + VaultFixture.passphrase.utf8.flatMap { [$0] + noise } + [0x0D]
                let end = try end(fixture, typing: keys)
                #expect(end == "False True 0")
            }
        }

        @Test func `keys that erase do, and Control-C breaks off`() throws {
            try VaultFixture.withVault(.locked) { fixture in
                let passphrase = Array(VaultFixture.passphrase.utf8)
                let mended =
                    Array("no".utf8) + [0x15] + passphrase + Array("é".utf8) + [0x7F, 0x0D]
                let whole = try end(fixture, typing: mended)
                #expect(whole == "False True 0")
                let broken = try end(fixture, typing: passphrase + [0x03])
                #expect(broken == "False True 77")
            }
        }
    }
}
