import Platform
import TestSupport
import Testing

extension EndToEnd.Files {
    @Suite(.sharedMounts)
    struct SparseTests {
        @Test(arguments: MountKind.available)
        func `holes read as zeros before and after a remount`(_ kind: MountKind) throws {
            let fixture = try SharedMounts.fixture(kind)
            let path = try SharedMounts.directory(kind) + "/file"
            let file = try Disk.make(path)
            var model = [UInt8](repeating: 0, count: 500_000)
            for (offset, count) in [(499_000, 1000), (100_000, 10), (4096, 4096), (300_000, 5000)] {
                let bytes = pattern(count, seed: UInt64(offset))
                try file.write(bytes, at: UInt64(offset))
                model.replaceSubrange(offset..<offset + count, with: bytes)
                #expect(try Disk.read(path) == Array(model))
            }
            try fixture.dropCaches()
            #expect(try Disk.read(path) == model)
        }

        @Test(arguments: MountKind.available)
        func `a file of 1 TiB takes next to no space`(_ kind: MountKind) throws {
            let fixture = try SharedMounts.fixture(kind)
            let path = try SharedMounts.directory(kind) + "/huge"
            let file = try Disk.make(path)
            let size = UInt64(1) << 40
            try file.truncate(to: size)
            try file.write(pattern(5000, seed: 1), at: size / 2 - 100)
            try file.write(pattern(100, seed: 2), at: size - 100)
            try file.synchronize(dataOnly: false)
            try fixture.dropCaches()
            let again = try Disk.open(path)
            let status = try again.status()
            #expect(status.sizeBytes == size)
            #expect(status.blocks512 < 1000)
            #expect(try again.read(count: 5000, at: size / 2 - 100) == pattern(5000, seed: 1))
            #expect(try again.read(count: 1000, at: size - 100) == pattern(100, seed: 2))
            #expect(try again.read(count: 4, at: 12_345_678_901) == [0, 0, 0, 0])
            try Disk.truncate(path, to: 100)
            #expect(try Disk.read(path) == [UInt8](repeating: 0, count: 100))
        }

        @Test(arguments: MountKind.available)
        func `a file with a gap keeps the times that its writer set before close`(
            _ kind: MountKind
        ) throws {
            let fixture = try SharedMounts.fixture(kind)
            let path = try SharedMounts.directory(kind) + "/file"
            let time = Timespec(seconds: 1_000_000_000, nanoseconds: 123_456_789)
            do {
                let file = try Disk.make(path)
                try file.write(pattern(100), at: 1 << 20)
                try file.setTimes(access: .set(time), modification: .set(time))
            }
            try fixture.dropCaches()
            #expect(try Disk.status(path).modificationTime == time)
        }

        @Test(arguments: MountKind.available)
        func `offsets over 4 GiB hold data`(_ kind: MountKind) throws {
            let fixture = try SharedMounts.fixture(kind)
            let path = try SharedMounts.directory(kind) + "/big"
            let file = try Disk.make(path)
            let offsets: [UInt64] = [0, 2 << 30, (4 << 30) - 100, (4 << 30) + 12_345, 6 << 30]
            for offset in offsets { try file.write(pattern(8000, seed: offset), at: offset) }
            try file.synchronize(dataOnly: true)
            try fixture.dropCaches()
            let again = try Disk.open(path)
            #expect(try again.status().sizeBytes == (6 << 30) + 8000)
            for offset in offsets {
                #expect(try again.read(count: 8000, at: offset) == pattern(8000, seed: offset))
            }
        }

        @Test(arguments: MountKind.available)
        func `punching a hole zeroes the range and gives the space back`(_ kind: MountKind) throws {
            let fixture = try SharedMounts.fixture(kind)
            let path = try SharedMounts.directory(kind) + "/file"
            let size = 2 << 20
            let mode = AllocateFlag.punchHole | AllocateFlag.keepSize
            try Disk.write(path, pattern(size))
            var model = pattern(size)
            let file = try Disk.open(path, OpenFlag.readWrite)
            try file.synchronize(dataOnly: false)
            let before = try file.status().blocks512
            for (offset, count) in [(100, 50), (5000, 20_000), (1 << 20, 900_000), (4096, 4096)] {
                try file.allocate(mode: mode, at: UInt64(offset), count: UInt64(count))
                model.replaceSubrange(
                    offset..<offset + count, with: [UInt8](repeating: 0, count: count))
            }
            #expect(try Disk.read(path) == model)
            try file.synchronize(dataOnly: false)
            #expect(try file.status().blocks512 < before)
            // Behind the end, and over it: the size stays.
            try file.allocate(mode: mode, at: UInt64(size) + 10_000, count: 10_000)
            try file.allocate(mode: mode, at: UInt64(size) - 5000, count: 100_000)
            model.replaceSubrange(size - 5000..<size, with: [UInt8](repeating: 0, count: 5000))
            #expect(try Disk.size(path) == UInt64(size))
            try fixture.dropCaches()
            #expect(try Disk.read(path) == model)
        }

        @Test(arguments: MountKind.available)
        func `preallocation grows the file or keeps its size as asked`(_ kind: MountKind) throws {
            let fixture = try SharedMounts.fixture(kind)
            let path = try SharedMounts.directory(kind) + "/file"
            let file = try Disk.make(path)
            try file.allocate(mode: AllocateFlag.keepSize, at: 0, count: 1 << 20)
            #expect(try Disk.size(path) == 0)
            try file.write(pattern(100), at: 0)
            #expect(try Disk.size(path) == 100)
            try fixture.dropCaches()
            #expect(try Disk.read(path) == pattern(100))
            try file.allocate(mode: 0, at: 50, count: 20_000)
            #expect(try Disk.size(path) == 20_050)
            let expected = pattern(100) + [UInt8](repeating: 0, count: 19_950)
            #expect(try Disk.read(path) == expected)
            try file.allocate(mode: 0, at: 0, count: 10)
            #expect(try Disk.size(path) == 20_050)
            try fixture.dropCaches()
            #expect(try Disk.read(path) == expected)
        }

        @Test(arguments: MountKind.available)
        func `zero range zeroes, and grows unless the size is kept`(_ kind: MountKind) throws {
            let fixture = try SharedMounts.fixture(kind)
            let path = try SharedMounts.directory(kind) + "/file"
            try Disk.write(path, pattern(30_000))
            var model = pattern(30_000)
            let file = try Disk.open(path, OpenFlag.readWrite)
            try file.allocate(mode: AllocateFlag.zeroRange, at: 1000, count: 10_000)
            model.replaceSubrange(1000..<11_000, with: [UInt8](repeating: 0, count: 10_000))
            #expect(try Disk.read(path) == model)
            let keeping = AllocateFlag.zeroRange | AllocateFlag.keepSize
            try file.allocate(mode: keeping, at: 25_000, count: 50_000)
            model.replaceSubrange(25_000..<30_000, with: [UInt8](repeating: 0, count: 5000))
            #expect(try Disk.read(path) == model)
            try file.allocate(mode: AllocateFlag.zeroRange, at: 29_000, count: 5000)
            model += [UInt8](repeating: 0, count: 4000)
            try fixture.dropCaches()
            #expect(try Disk.read(path) == model)
        }

        @Test(arguments: [MountKind.standard])
        func `modes of fallocate that cannot be had are refused`(_ kind: MountKind) throws {
            let path = try SharedMounts.directory(kind) + "/file"
            try Disk.write(path, pattern(100_000))
            let file = try Disk.open(path, OpenFlag.readWrite)
            for mode in [AllocateFlag.collapseRange, AllocateFlag.insertRange] {
                #expect(throws: Errno.notSupported) {
                    try file.allocate(mode: mode, at: 4096, count: 4096)
                }
            }
            #expect(try Disk.read(path) == pattern(100_000))
        }

        @Test(arguments: MountKind.available)
        func `SEEK_DATA and SEEK_HOLE find every byte of data`(_ kind: MountKind) throws {
            let path = try SharedMounts.directory(kind) + "/file"
            let size: UInt64 = 8 << 20
            let starts: [UInt64] = [1 << 20, 5 << 20]
            do {
                let file = try Disk.make(path)
                try file.truncate(to: size)
                for start in starts { try file.write(pattern(100_000, seed: start), at: start) }
                try file.synchronize(dataOnly: false)
            }
            let file = try Self.openClosed(path)
            #expect(try Self.dataRuns(file).count >= starts.count)
            for start in starts {
                let covered = try Self.dataRuns(file).contains {
                    $0.lowerBound <= start && $0.upperBound >= start + 100_000
                }
                #expect(covered, "data at \(start)")
            }
            let dataBytes = try Self.dataRuns(file).reduce(0) { $0 + UInt64($1.count) }
            #expect(dataBytes < size / 2)
            #expect(throws: Errno.noDeviceOrAddress) {
                try file.seek(to: Int64(size), whence: SeekWhence.data)
            }
            // A file without holes has one: its end.
            try Disk.write(path, pattern(50_000))
            let dense = try Self.openClosed(path)
            #expect(try dense.seek(to: 0, whence: SeekWhence.hole) == 50_000)
            #expect(try dense.seek(to: 100, whence: SeekWhence.data) == 100)
        }

        /// Opens a file that its writers have closed, of which the mount hears a little later.
        private static func openClosed(_ path: String) throws -> Descriptor {
            let file = try Disk.open(path)
            let answers = Deadline.wait(seconds: 10) {
                (try? file.seek(to: 0, whence: SeekWhence.hole)) != nil
            }
            try #require(answers)
            return file
        }

        @Test(arguments: MountKind.available)
        func `a copy of a file that is open has what was written and not synced`(
            _ kind: MountKind
        ) throws {
            let place = try SharedMounts.directory(kind)
            let (path, copy) = (place + "/file", place + "/copy")
            let file = try Disk.make(path)
            try file.write(pattern(300_000), at: 0)
            try Command("cp", path, copy).run()
            #expect(try Disk.read(copy) == pattern(300_000))
            // Behind a sync, and among holes that the mount knows of.
            try file.truncate(to: 8 << 20)
            try file.synchronize(dataOnly: false)
            try file.write(pattern(300_000, seed: 2), at: 4 << 20)
            try Command("cp", path, copy).run()
            try Command("cmp", path, copy).run()
            for whence in [SeekWhence.data, SeekWhence.hole] {
                #expect(throws: Errno.invalidArgument) {
                    try file.seek(to: 1 << 20, whence: whence)
                }
            }
            #expect(try file.status().sizeBytes == 8 << 20)
        }

        @Test(needs("tar"), arguments: MountKind.available)
        func `tar finds what was written to a new file and not synced`(_ kind: MountKind) throws {
            let place = try SharedMounts.directory(kind)
            let file = try Disk.make(place + "/file")
            try file.write(pattern(300_000), at: 0)
            try Command.shell("tar -cSf archive file && mkdir out && tar -xf archive -C out")
                .in(place).run()
            #expect(try Disk.read(place + "/out/file") == pattern(300_000))
            #expect(try file.status().sizeBytes == 300_000)
        }

        private static func dataRuns(_ file: Descriptor) throws -> [Range<UInt64>] {
            var runs: [Range<UInt64>] = []
            var offset: Int64 = 0
            while true {
                let start: UInt64
                do throws(Errno) {
                    start = try file.seek(to: offset, whence: SeekWhence.data)
                } catch {
                    guard error == .noDeviceOrAddress else { throw error }
                    return runs
                }
                let end = try file.seek(to: Int64(start), whence: SeekWhence.hole)
                try #require(end > start, "a run of data is not empty")
                runs.append(start..<end)
                offset = Int64(end)
            }
        }

        @Test(arguments: [MountKind.standard])
        func `cp keeps a sparse file sparse and equal`(_ kind: MountKind) throws {
            let place = try SharedMounts.directory(kind)
            let file = try Disk.make(place + "/a")
            try file.truncate(to: 64 << 20)
            for offset in [0, 20 << 20, (64 << 20) - 5000] as [UInt64] {
                try file.write(pattern(5000, seed: offset), at: offset)
            }
            try Command("cp", "--sparse=auto", place + "/a", place + "/b").run()
            try Command("cmp", place + "/a", place + "/b").run()
            try Disk.open(place + "/b").synchronize(dataOnly: false)
            #expect(try Disk.status(place + "/b").blocks512 < 8 << 11)
        }
    }
}
