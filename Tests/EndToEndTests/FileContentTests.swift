import Platform
import TestSupport
import Testing

extension EndToEnd.Files {
    @Suite(.sharedMounts)
    struct FileContentTests {
        /// Around the borders of one block, two blocks, and a run that the mount reads at once.
        static let sizes: [Int] = [
            0, 1, 2, 100, 4067, 4068, 4069, 4095, 4096, 4097, 8191, 8192, 8193, 12_288,
            131_071, 131_072, 131_073, 1_048_575, 1_048_576, 1_048_577, 1_052_672,
        ]

        @Test(arguments: MountKind.available)
        func `a file of any size reads back as it was written`(_ kind: MountKind) throws {
            let fixture = try SharedMounts.fixture(kind)
            let place = try SharedMounts.directory(kind)
            for size in Self.sizes {
                try Disk.write("\(place)/\(size)", pattern(size, seed: UInt64(size)))
            }
            for round in 0..<2 {
                if round == 1 { try fixture.dropCaches() }
                for size in Self.sizes {
                    #expect(try Disk.size("\(place)/\(size)") == UInt64(size))
                    let content = try Disk.read("\(place)/\(size)")
                    #expect(content == pattern(size, seed: UInt64(size)), "\(size) bytes")
                }
            }
        }

        @Test(arguments: MountKind.available)
        func `truncate to any size keeps the head and fills with zeros`(_ kind: MountKind) throws {
            let fixture = try SharedMounts.fixture(kind)
            let place = try SharedMounts.directory(kind)
            let sizes = Self.sizes.filter { $0 < 20_000 }
            var expected: [String: [UInt8]] = [:]
            for old in sizes {
                for new in sizes {
                    let name = "\(place)/\(old)-\(new)"
                    let content = pattern(old, seed: UInt64(old))
                    try Disk.write(name, content)
                    try Disk.truncate(name, to: UInt64(new))
                    let zeros = [UInt8](repeating: 0, count: max(0, new - old))
                    expected[name] = Array(content.prefix(new)) + zeros
                }
            }
            try fixture.dropCaches()
            for (name, content) in expected {
                #expect(try Disk.read(name) == content, "\(name)")
            }
        }

        @Test(arguments: MountKind.available)
        func `shrinking and growing again shows zeros and never old data`(_ kind: MountKind) throws
        {
            let fixture = try SharedMounts.fixture(kind)
            let path = try SharedMounts.directory(kind) + "/file"
            let content = pattern(20_000)
            try Disk.write(path, content)
            try Disk.truncate(path, to: 5000)
            try fixture.dropCaches()
            try Disk.truncate(path, to: 20_000)
            try fixture.dropCaches()
            let zeros = [UInt8](repeating: 0, count: 15_000)
            #expect(try Disk.read(path) == Array(content.prefix(5000)) + zeros)
        }

        @Test(arguments: MountKind.available)
        func `reads and writes at random offsets equal those of an array`(_ kind: MountKind) throws
        {
            let fixture = try SharedMounts.fixture(kind)
            let path = try SharedMounts.directory(kind) + "/file"
            var source = RandomSource(seed: 20_260)
            var model: [UInt8] = []
            var file = try Disk.make(path)
            for step in 0..<400 {
                let offset = source.number(0..<300_000)
                if source.isOne(in: 2) {
                    let bytes = source.bytes(source.number(1..<20_000))
                    try file.write(bytes, at: UInt64(offset))
                    let missing = offset + bytes.count - model.count
                    if missing > 0 { model += [UInt8](repeating: 0, count: missing) }
                    model.replaceSubrange(offset..<offset + bytes.count, with: bytes)
                } else {
                    let count = source.number(1..<50_000)
                    let expected = model.dropFirst(offset).prefix(count)
                    #expect(
                        try file.read(count: count, at: UInt64(offset)) == Array(expected),
                        "step \(step)")
                }
                if step % 100 == 99 {
                    try file.synchronize(dataOnly: step % 200 == 99)
                    try fixture.dropCaches()
                    file = try Disk.open(path, OpenFlag.readWrite)
                }
            }
            #expect(try Disk.read(path) == model)
        }

        @Test(arguments: MountKind.available)
        func `O_APPEND writes go to the end, wherever that is`(_ kind: MountKind) throws {
            let path = try SharedMounts.directory(kind) + "/log"
            try Disk.write(path, "one\n")
            let first = try Disk.open(path, OpenFlag.writeOnly | OpenFlag.append)
            let second = try Disk.open(path, OpenFlag.writeOnly | OpenFlag.append)
            _ = try first.append(Array("two\n".utf8))
            _ = try second.append(Array("three\n".utf8))
            _ = try first.append(Array("four\n".utf8))
            #expect(try Disk.readText(path) == "one\ntwo\nthree\nfour\n")
            try first.truncate(to: 4)
            _ = try second.append(Array("five\n".utf8))
            #expect(try Disk.readText(path) == "one\nfive\n")
        }

        @Test(arguments: MountKind.available)
        func `appending processes lose no line`(_ kind: MountKind) throws {
            let place = try SharedMounts.directory(kind)
            let script = """
                for writer in 1 2 3 4; do
                  ( i=0; while [ $i -lt 200 ]; do echo "$writer $i" >> log; i=$((i+1)); done ) &
                done; wait
                """
            try Command.shell(script).in(place).run()
            let lines = try Disk.readText(place + "/log").split(separator: "\n")
            #expect(lines.count == 800)
            #expect(Set(lines).count == 800)
        }

        @Test(arguments: MountKind.available)
        func `O_TRUNC, O_CREAT and O_EXCL do what open(2) says`(_ kind: MountKind) throws {
            let path = try SharedMounts.directory(kind) + "/file"
            #expect(throws: Errno.noSuchFileOrDirectory) { try Disk.open(path) }
            _ = try Disk.open(path, OpenFlag.createNew)
            #expect(throws: Errno.fileExists) { try Disk.open(path, OpenFlag.createNew) }
            try Disk.write(path, pattern(10_000))
            let reader = try Disk.open(path)
            _ = try Disk.open(path, OpenFlag.writeOnly | OpenFlag.truncate)
            #expect(try Disk.size(path) == 0)
            #expect(try reader.read(count: 10, at: 0) == [])
            try Disk.write(path, "new")
            #expect(try reader.read(count: 10, at: 0) == Array("new".utf8))
        }

        @Test(arguments: MountKind.available)
        func `an unlinked file lives on while it is open`(_ kind: MountKind) throws {
            let place = try SharedMounts.directory(kind)
            let path = place + "/file"
            let file = try Disk.make(path)
            try file.write(pattern(9000), at: 0)
            try Disk.unlink(path)
            #expect(try Disk.names(in: place).isEmpty)
            try file.write(pattern(9000, seed: 2), at: 9000)
            #expect(try file.read(count: 18_000, at: 0) == pattern(9000) + pattern(9000, seed: 2))
            try file.truncate(to: 100)
            try file.changeMode(to: 0o400)
            let status = try file.status()
            #expect(status.sizeBytes == 100)
            #expect(status.linkCount == 0)
            #expect(status.mode & 0o7777 == 0o400)
            try file.synchronize(dataOnly: false)
            // A new file of the same name is another one.
            try Disk.write(path, "other")
            #expect(try file.read(count: 200, at: 0) == Array(pattern(9000).prefix(100)))
        }

        @Test(arguments: MountKind.available)
        func `a file that was renamed over lives on while it is open`(_ kind: MountKind) throws {
            let place = try SharedMounts.directory(kind)
            try Disk.write(place + "/old", pattern(5000, seed: 1))
            try Disk.write(place + "/new", pattern(6000, seed: 2))
            let old = try Disk.open(place + "/old", OpenFlag.readWrite)
            try Disk.rename(place + "/new", place + "/old")
            #expect(try old.read(count: 9000, at: 0) == pattern(5000, seed: 1))
            try old.write(pattern(4096, seed: 3), at: 5000)
            #expect(try old.status().sizeBytes == 9096)
            #expect(try Disk.read(place + "/old") == pattern(6000, seed: 2))
        }

        @Test(arguments: MountKind.available)
        func `a shared mapping and write(2) see each other`(_ kind: MountKind) throws {
            let fixture = try SharedMounts.fixture(kind)
            let path = try SharedMounts.directory(kind) + "/file"
            var model = pattern(50_000)
            try Disk.write(path, model)
            let file = try Disk.open(path, OpenFlag.readWrite)
            for (offset, seed) in [(0, 5), (4090, 6), (40_000, 7), (49_000, 8)] {
                let bytes = pattern(1000, seed: UInt64(seed))
                try file.writeMapped(bytes, at: offset)
                model.replaceSubrange(offset..<offset + 1000, with: bytes)
                #expect(try file.read(count: 60_000, at: 0) == model)
            }
            try file.write(pattern(300, seed: 9), at: 8000)
            model.replaceSubrange(8000..<8300, with: pattern(300, seed: 9))
            #expect(try file.readMapped() == model)
            try fixture.dropCaches()
            #expect(try Disk.open(path).readMapped() == model)
        }

        @Test(arguments: MountKind.available)
        func `O_DIRECT reads and writes the same bytes`(_ kind: MountKind) throws {
            let place = try SharedMounts.directory(kind)
            let source = pattern(1 << 20)
            try Disk.write(place + "/source", source)
            try Command(
                "dd", "if=\(place)/source", "of=\(place)/copy", "bs=64k", "iflag=direct",
                "oflag=direct", "status=none"
            ).run()
            #expect(try Disk.read(place + "/copy") == source)
        }

        @Test(arguments: MountKind.available)
        func `a file that only its owner may write is written by its maker`(
            _ kind: MountKind
        ) throws {
            let path = try SharedMounts.directory(kind) + "/read-only"
            let file = try Disk.open(path, OpenFlag.createNew, mode: 0o444)
            try file.write(pattern(10_000), at: 0)
            #expect(try Disk.mode(path) == 0o444)
            #expect(try Disk.read(path) == pattern(10_000))
        }

        @Test(arguments: MountKind.available)
        func `copy_file_range copies`(_ kind: MountKind) throws {
            let place = try SharedMounts.directory(kind)
            try Disk.write(place + "/a", pattern(3_000_000))
            try Command("cp", "--reflink=auto", place + "/a", place + "/b").run()
            #expect(try Disk.read(place + "/b") == pattern(3_000_000))
        }
    }
}
