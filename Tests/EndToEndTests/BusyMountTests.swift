import Platform
import TestSupport
import Testing

extension EndToEnd.Files {
    /// A signal to the daemon of a mount that somebody uses.
    @Suite struct BusyMountTests {
        private static func wait(seconds: Double, until condition: () -> Bool) throws {
            let holds = Deadline.wait(seconds: seconds, until: condition)
            try #require(holds)
        }

        @Test func `what users wrote is in the vault when they lose the mount`() throws {
            try VaultFixture.withMount { fixture in
                let pid = try fixture.daemonPID()
                let file = try Disk.make(fixture.path("file"))
                try file.write(pattern(300_000), at: 0)
                Signal.send(Signal.terminate, to: pid)
                try Self.wait(seconds: 20) { !fixture.isMounted }
                // Into the kernel's memory alone: it writes back what is half a minute old.
                try file.write(pattern(300_000, seed: 2), at: 300_000)
                try Self.wait(seconds: 60) { !isRunning(pid) }
                #expect(throws: Errno.self) { try file.synchronize(dataOnly: false) }
                try fixture.mount()
                let found = try Disk.read(fixture.path("file"))
                #expect(found == pattern(300_000) + pattern(300_000, seed: 2))
            }
        }

        @Test func `the mount ends soon after the last file is closed`() throws {
            try VaultFixture.withMount { fixture in
                let pid = try fixture.daemonPID()
                do {
                    let file = try Disk.make(fixture.path("file"))
                    try file.write(pattern(5000), at: 0)
                    Signal.send(Signal.terminate, to: pid)
                    try Self.wait(seconds: 20) { !fixture.isMounted }
                    try file.write(pattern(5000, seed: 2), at: 5000)
                }
                // Sooner than users lose a mount.
                try Self.wait(seconds: 8) { !isRunning(pid) }
                try fixture.mount()
                let found = try Disk.read(fixture.path("file"))
                #expect(found == pattern(5000) + pattern(5000, seed: 2))
            }
        }
    }
}
