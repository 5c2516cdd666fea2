import Platform
import TestSupport
import Testing

extension EndToEnd.Files {
    /// A store that runs out of space: the error comes through, what was there stays, and room can
    /// be made again.
    @Suite(needsRoot)
    struct FullDiskTests {
        enum Store: String, CaseIterable, Sendable {
            case tmpfs
            case ext4

            /// Mounts a small file system at `path`, with its image in `base` where it has one.
            func mount(at path: String, base: String) throws {
                switch self {
                case .tmpfs: try Command("mount", "-t", "tmpfs", "-o", "size=8m", "x", path).run()
                case .ext4:
                    let image = base + "/image"
                    try Disk.make(image).truncate(to: 16 << 20)
                    try Command("mkfs.ext4", "-q", "-O", "^has_journal", image).run()
                    try Command("mount", "-o", "loop", image, path).run()
                }
            }
        }

        static func withSmallStore(
            _ store: Store, _ body: (VaultFixture) throws -> Void
        ) throws {
            let outer = try TemporaryDirectory(label: VaultFixture.label)
            defer { outer.cleanUp() }
            let place = outer.path + "/store"
            try Disk.makeDirectory(place)
            try store.mount(at: place, base: outer.path)
            let fixture = try VaultFixture(VaultShape(), vaultParent: place)
            defer { fixture.cleanUp() }
            try fixture.mount()
            try body(fixture)
            if fixture.isMounted { try fixture.unmount() }
        }

        /// Fills the store to its last byte.
        static func fill(_ fixture: VaultFixture, name: String = "filler") throws {
            let file = try Disk.make(fixture.path(name))
            var offset: UInt64 = try file.status().sizeBytes
            var count = 1 << 20
            while count >= 1024 {
                do throws(Errno) {
                    try file.write([UInt8](repeating: 7, count: count), at: offset)
                    try file.synchronize(dataOnly: false)
                    offset += UInt64(count)
                } catch {
                    #expect(error == .noSpace)
                    count /= 4
                }
            }
        }

        @Test(arguments: Store.allCases)
        func `a write into a full disk fails, and what was there is whole`(_ store: Store) throws {
            try Self.withSmallStore(store) { fixture in
                try Disk.write(fixture.path("old"), pattern(100_000))
                try Disk.open(fixture.path("old")).synchronize(dataOnly: false)
                try Self.fill(fixture)
                // Appending to the old file and a new file both fail at write, fsync or close.
                #expect(throws: Errno.noSpace) {
                    let file = try Disk.open(fixture.path("old"), OpenFlag.readWrite)
                    try file.write(pattern(2_000_000, seed: 2), at: 100_000)
                    try file.synchronize(dataOnly: false)
                }
                let cp = try Command(
                    "dd", "if=/dev/zero", "of=" + fixture.path("new"), "bs=1M", "count=3",
                    "conv=fsync"
                ).result()
                #expect(!cp.succeeded)
                #expect(cp.error.contains("No space left on device"), "\(cp)")
                try fixture.dropCachesAfterFailure()
                func oldContent() throws -> [UInt8] {
                    try Disk.open(fixture.path("old")).read(count: 100_000, at: 0)
                }
                #expect(try oldContent() == pattern(100_000))
                try Disk.unlink(fixture.path("filler"))
                try? Disk.unlink(fixture.path("new"))
                try Disk.write(fixture.path("next"), pattern(50_000, seed: 3))
                try fixture.remount()
                #expect(try Disk.read(fixture.path("next")) == pattern(50_000, seed: 3))
                #expect(try oldContent() == pattern(100_000))
            }
        }

        @Test(arguments: Store.allCases, [true, false])
        func `a write into a hole of a full disk leaves the hole whole`(
            _ store: Store, _ isSynced: Bool
        ) throws {
            try Self.withSmallStore(store) { fixture in
                let file = try Disk.make(fixture.path("sparse"))
                try file.write(pattern(5000), at: 0)
                try file.truncate(to: 4 << 20)
                try file.write(pattern(5000, seed: 2), at: (4 << 20) - 5000)
                // At a close the kernel hands over what it has.
                if isSynced {
                    try file.synchronize(dataOnly: false)
                } else {
                    _ = try Disk.open(fixture.path("sparse"), OpenFlag.readWrite)
                }
                try Self.fill(fixture)
                #expect(throws: Errno.noSpace) {
                    try file.write([UInt8](repeating: 9, count: 2 << 20), at: 1 << 20)
                    try file.synchronize(dataOnly: false)
                }
                try fixture.dropCachesAfterFailure()
                let again = try Disk.open(fixture.path("sparse"))
                #expect(try again.read(count: 5000, at: 0) == pattern(5000))
                #expect(
                    try again.read(count: 5000, at: (4 << 20) - 5000) == pattern(5000, seed: 2))
                // What was not written is either there or still zeros: never an error.
                let middle = try again.read(count: 2 << 20, at: 1 << 20)
                #expect(middle.allSatisfy { $0 == 0 || $0 == 9 })
                #expect(middle.count == 2 << 20)
            }
        }

        @Test(arguments: Store.allCases)
        func `an overwrite on a full disk works or fails whole`(_ store: Store) throws {
            try Self.withSmallStore(store) { fixture in
                let size = 500_000
                try Disk.write(fixture.path("file"), pattern(size))
                try Disk.open(fixture.path("file")).synchronize(dataOnly: false)
                try Self.fill(fixture)
                let file = try Disk.open(fixture.path("file"), OpenFlag.readWrite)
                try file.write(pattern(size, seed: 2), at: 0)
                try file.synchronize(dataOnly: false)
                try fixture.dropCachesAfterFailure()
                #expect(try Disk.read(fixture.path("file")) == pattern(size, seed: 2))
            }
        }

        private static func writeSynced(_ path: String, _ bytes: [UInt8]) throws {
            let file = try Disk.make(path)
            try file.write(bytes, at: 0)
            try file.synchronize(dataOnly: false)
        }

        /// ext4 with its own journal, and room for one of ours.
        @Test func `the journal works on a full disk, and deleting makes room`() throws {
            let outer = try TemporaryDirectory(label: VaultFixture.label)
            defer { outer.cleanUp() }
            let place = outer.path + "/store"
            try Disk.makeDirectory(place)
            try Disk.make(outer.path + "/image").truncate(to: 64 << 20)
            try Command("mkfs.ext4", "-q", outer.path + "/image").run()
            try Command("mount", "-o", "loop", outer.path + "/image", place).run()
            let fixture = try VaultFixture(VaultShape(), vaultParent: place)
            defer { fixture.cleanUp() }
            try fixture.mount()
            var expected = pattern(600_000)
            try Disk.write(fixture.path("old"), expected)
            try Disk.write(fixture.path("victim"), pattern(3_000_000, seed: 2))
            let old = try Disk.open(fixture.path("old"), OpenFlag.readWrite)
            try old.synchronize(dataOnly: false)
            try Disk.open(fixture.path("victim")).synchronize(dataOnly: false)
            try Self.fill(fixture)
            // More than the journal holds: it begins anew again and again.
            for round in 0..<20 {
                let bytes = pattern(500_000, seed: UInt64(round))
                try old.write(bytes, at: 1000)
                try old.synchronize(dataOnly: round.isMultiple(of: 2))
                expected.replaceSubrange(1000..<501_000, with: bytes)
            }
            #expect(throws: Errno.noSpace) {
                let file = try Disk.make(fixture.path("more"))
                try file.write(pattern(2_000_000), at: 0)
                try file.synchronize(dataOnly: false)
            }
            // The daemon dies, and a new one finds a full disk.
            try fixture.killDaemon()
            try fixture.clearDeadMount()
            try fixture.mount()
            #expect(try Disk.read(fixture.path("old")) == expected)
            #expect(try Disk.read(fixture.path("victim")) == pattern(3_000_000, seed: 2))
            let before = try Disk.open(fixture.vault, OpenFlag.directory).fileSystemStatistics()
            try Disk.unlink(fixture.path("victim"))
            let hasRoom = try Deadline.wait(seconds: 10) {
                try Disk.open(fixture.vault, OpenFlag.directory).fileSystemStatistics()
                    .availableBlocks > before.availableBlocks
            }
            #expect(hasRoom)
            // Without a new mount.
            try Self.writeSynced(fixture.path("next"), pattern(1_000_000, seed: 3))
            try fixture.remount()
            #expect(try Disk.read(fixture.path("next")) == pattern(1_000_000, seed: 3))
            #expect(try Disk.read(fixture.path("old")) == expected)
            try fixture.unmount()
            let check = try fixture.command(["check", fixture.vault, "--read-data"]).result()
            #expect(check.status == 0, "\(check)")
        }

        @Test func `directories and names fail cleanly on a full disk`() throws {
            try Self.withSmallStore(.tmpfs) { fixture in
                try Self.fill(fixture)
                var failed = 0
                for number in 0..<3000 {
                    let long = String(repeating: "x", count: 250 - "\(number)".count) + "\(number)"
                    do throws(Errno) {
                        try Disk.makeDirectory(fixture.path(long))
                    } catch {
                        #expect(error == .noSpace)
                        failed += 1
                        if failed > 20 { break }
                    }
                }
                let names = try Disk.names(in: fixture.mountPoint)
                for name in names where name.string != "filler" {
                    try Disk.removeDirectory(fixture.path(name.string))
                }
                try Disk.unlink(fixture.path("filler"))
                let left = try Command("find", fixture.vault, "-mindepth", "1").run().lines
                    .filter { !$0.hasSuffix("keyfold.json") && !$0.hasSuffix(".keyfold.dir") }
                    .filter { !$0.hasSuffix(".keyfold.lock") && !$0.contains("/.keyfold.journal") }
                    .filter { !$0.hasSuffix("/.keyfold.loghead") }
                #expect(left == [], "nothing but Keyfold's own files is left")
            }
        }

        @Test func `a full keystore disk stops opens and harms nothing`() throws {
            try VaultFixture.withMount { fixture in
                try Disk.write(fixture.path("file"), "content")
                try fixture.unmount()
                let small = fixture.base.path + "/small"
                try Disk.makeDirectory(small)
                try Command("mount", "-t", "tmpfs", "-o", "size=3m", "x", small).run()
                try Command("cp", "-a", fixture.keystore, small + "/keystore").run()
                let mount = fixture.mountCommand().with(["KEYFOLD_KEYSTORE": small + "/keystore"])
                try mount.run()
                _ = try Command("dd", "if=/dev/zero", "of=\(small)/filler", "bs=4k").result()
                // Without an event there is no key: an open fails once the log is full.
                var failure: Errno?
                for number in 0..<20_000 where failure == nil {
                    do throws(Errno) {
                        try Disk.write(fixture.path("f\(number % 50)"), "x")
                    } catch {
                        failure = error
                    }
                }
                #expect(failure != nil)
                try Disk.unlink(small + "/filler")
                #expect(
                    Deadline.wait(seconds: 20) {
                        (try? Disk.readText(fixture.path("file"))) == "content"
                    })
                try fixture.keyfold("unmount", fixture.mountPoint)
                let verify = fixture.command(["log", "verify"])
                    .with(["KEYFOLD_KEYSTORE": small + "/keystore"])
                try verify.run()
                try Command("umount", small).run()
            }
        }
    }
}
