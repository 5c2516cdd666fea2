import Platform
import TestSupport
import Testing

extension EndToEnd.Files {
    @Suite(.sharedMounts)
    struct NameTests {
        private static func names(_ path: String) throws -> Set<[UInt8]> {
            Set(try Disk.names(in: path).map(\.bytes))
        }

        @Test(arguments: MountKind.available)
        func `names of every length from 1 to 255 work and 256 is refused`(
            _ kind: MountKind
        ) throws {
            let fixture = try SharedMounts.fixture(kind)
            let place = try SharedMounts.directory(kind)
            var expected: Set<[UInt8]> = []
            for length in 1...255 {
                let name = String(repeating: "x", count: length)
                try Disk.write("\(place)/\(name)", name)
                expected.insert(Array(name.utf8))
            }
            let tooLong = place + "/" + String(repeating: "x", count: 256)
            #expect(throws: Errno.fileNameTooLong) { try Disk.write(tooLong, "") }
            #expect(throws: Errno.fileNameTooLong) { try Disk.makeDirectory(tooLong) }
            try fixture.dropCaches()
            #expect(try Self.names(place) == expected)
            for length in 1...255 {
                let name = String(repeating: "x", count: length)
                #expect(try Disk.readText("\(place)/\(name)") == name)
            }
            for length in 1...255 {
                let name = String(repeating: "x", count: length)
                let other = String(repeating: "y", count: 256 - length)
                try Disk.rename("\(place)/\(name)", "\(place)/\(other)")
                #expect(try Disk.readText("\(place)/\(other)") == name)
                try Disk.unlink("\(place)/\(other)")
            }
            #expect(try Self.names(place).isEmpty)
            // Nothing of the long names is left that would keep the directory.
            try Disk.removeDirectory(place)
        }

        @Test(arguments: MountKind.available)
        func `names may hold any bytes but NUL and a slash`(_ kind: MountKind) throws {
            let fixture = try SharedMounts.fixture(kind)
            let place = try SharedMounts.directory(kind)
            let directory = try Disk.open(place, OpenFlag.directory)
            var expected: Set<[UInt8]> = [
                [0xFF, 0xFE, 0x80], Array("ünïcödé ☃".utf8), Array("new\nline".utf8),
                Array("-rf".utf8), Array("*?[".utf8), Array(" ".utf8), Array("...".utf8),
                Array(repeating: 0xC3, count: 255), Array("u\u{308}".utf8), Array("\u{fc}".utf8),
            ]
            for byte in UInt8(1)...255 where byte != UInt8(ascii: "/") && byte != UInt8(ascii: ".")
            {
                expected.insert([byte])
            }
            for name in expected {
                try directory.open(FileName(name), OpenFlag.createNew, mode: 0o644)
                    .write(name, at: 0)
            }
            try fixture.dropCaches()
            #expect(try Self.names(place) == expected)
            for name in expected {
                #expect(try directory.open(FileName(name), 0).readAll(limitBytes: 300) == name)
            }
        }

        @Test(arguments: MountKind.available)
        func `names are told apart by case and by their exact bytes`(_ kind: MountKind) throws {
            let place = try SharedMounts.directory(kind)
            for name in ["a", "A", "a ", "a.", ".a"] { try Disk.write("\(place)/\(name)", name) }
            for name in ["a", "A", "a ", "a.", ".a"] {
                #expect(try Disk.readText("\(place)/\(name)") == name)
            }
        }

        @Test(arguments: [MountKind.standard])
        func `no plaintext name is seen in the vault`(_ kind: MountKind) throws {
            let fixture = try SharedMounts.fixture(kind)
            let place = try SharedMounts.directory(kind)
            try Disk.makeDirectory(place + "/secretdirectory")
            try Disk.write(place + "/secretdirectory/secretfile", "x")
            try Disk.symbolicLink(place + "/secretlink", to: "secrettarget")
            let stored = try Command("find", fixture.vault, "-printf", "%P %l\n").run().output
            #expect(!stored.contains("secret"))
        }

        @Test(arguments: [MountKind.plaintextNames])
        func `plaintext names are seen in the vault, and contents are not`(
            _ kind: MountKind
        ) throws {
            let fixture = try SharedMounts.fixture(kind)
            let place = try SharedMounts.directory(kind)
            try Disk.write(place + "/visible", "invisible")
            try Disk.open(fixture.mountPoint, OpenFlag.directory).synchronizeFileSystem()
            let grep = try Command("grep", "-rl", "invisible", fixture.vault).result()
            #expect(grep.status == 1)
            #expect(try Command("find", fixture.vault, "-name", "visible").run().lines.count == 1)
        }

        @Test(arguments: MountKind.available)
        func `Keyfold's own names are neither shown nor in the way`(_ kind: MountKind) throws {
            let fixture = try SharedMounts.fixture(kind)
            let place = try SharedMounts.directory(kind)
            let shown = try Command("find", fixture.mountPoint, "-name", "*keyfold*").run().lines
            #expect(shown == [])
            #expect(!Disk.exists(place + "/.keyfold.dir"))
            #expect(!Disk.exists(fixture.path("keyfold.json")))
            guard kind != .plaintextNames else { return }
            try Disk.write(place + "/.keyfold.dir", "mine")
            try Disk.write(fixture.path("keyfold.json"), "mine, too")
            #expect(try Disk.readText(place + "/.keyfold.dir") == "mine")
            #expect(try Disk.readText(fixture.path("keyfold.json")) == "mine, too")
            try Disk.unlink(fixture.path("keyfold.json"))
        }

        @Test(arguments: [MountKind.plaintextNames])
        func `with plaintext names Keyfold's own names are refused`(_ kind: MountKind) throws {
            let fixture = try SharedMounts.fixture(kind)
            for name in [".keyfold.dir", ".keyfold.lock", "keyfold.json", ".keyfold.tmp.1"] {
                let path = fixture.path(name)
                let missing = Errno.noSuchFileOrDirectory
                #expect(throws: missing) { try Disk.status(path) }
                #expect(throws: missing) { try Disk.open(path) }
                #expect(throws: missing) { try Disk.unlink(path) }
                #expect(throws: missing) { try Disk.removeDirectory(path) }
                #expect(throws: missing) { try Disk.rename(path, fixture.path("x")) }
                #expect(throws: Errno.notPermitted) { try Disk.write(path, "x") }
                #expect(throws: Errno.notPermitted) { try Disk.makeDirectory(path) }
                #expect(throws: Errno.notPermitted) { try Disk.symbolicLink(path, to: "x") }
            }
            #expect(Disk.exists(fixture.vault + "/keyfold.json"))
        }

        @Test(arguments: [MountKind.standard, .plaintextNames])
        func `a directory of 10,000 entries lists each once, also after a seek`(
            _ kind: MountKind
        ) throws {
            let place = try SharedMounts.directory(kind)
            let script = "i=0; while [ $i -lt 10000 ]; do : > entry$i; i=$((i+1)); done"
            try Command.shell(script).in(place).run()
            let directory = try Disk.open(place, OpenFlag.directory)
            var stream = DirectoryStream(directory)
            var all: [(name: [UInt8], cookie: Int64)] = []
            while let entry = try stream.next() {
                all.append((entry.name.bytes, entry.nextCookie))
            }
            #expect(all.count == 10_002)
            #expect(Set(all.map(\.name)).count == 10_002)
            var source = RandomSource(seed: 7)
            for _ in 0..<50 {
                let position = source.number(0..<all.count - 1)
                try stream.seek(to: all[position].cookie)
                #expect(try stream.next()?.name.bytes == all[position + 1].name)
            }
            try stream.seek(to: 0)
            #expect(try stream.next()?.name.bytes == all[0].name)
        }

        @Test(arguments: MountKind.available)
        func `a directory that is emptied while it is read gives every name once`(
            _ kind: MountKind
        ) throws {
            let place = try SharedMounts.directory(kind)
            for number in 0..<1500 { try Disk.write("\(place)/n\(number)", "") }
            try Command("rm", "-r", place).run()
            #expect(!Disk.exists(place))
        }

        @Test(arguments: MountKind.available)
        func `a tree of 300 levels works`(_ kind: MountKind) throws {
            let fixture = try SharedMounts.fixture(kind)
            let place = try SharedMounts.directory(kind)
            var path = place
            for level in 0..<300 {
                path += "/d\(level % 10)"
                try Disk.makeDirectory(path)
            }
            try Disk.write(path + "/leaf", pattern(5000))
            try fixture.dropCaches()
            #expect(try Disk.read(path + "/leaf") == pattern(5000))
            #expect(try Command("find", place, "-type", "d").run().lines.count == 301)
            try Disk.rename(place + "/d0", place + "/moved")
            let moved = path.replacingFirst(place + "/d0", with: place + "/moved")
            #expect(try Disk.read(moved + "/leaf") == pattern(5000))
            try Disk.write(moved + "/leaf", "changed")
            try Command("rm", "-r", place + "/moved").run()
        }
    }
}

extension String {
    fileprivate func replacingFirst(_ prefix: String, with replacement: String) -> String {
        hasPrefix(prefix) ? replacement + dropFirst(prefix.count) : self
    }
}
