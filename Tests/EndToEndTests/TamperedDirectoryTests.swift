import Platform
import TestSupport
import Testing

extension EndToEnd.Files {
    /// Changes of directory records, names and the vault's config.
    @Suite
    struct TamperedDirectoryTests {
        /// A vault with `folder/inner` and `bystander`; not mounted when `change` runs.
        private static func withTree(
            tampering change: (VaultFixture, _ folder: String, _ inner: String) throws -> Void,
            check: (VaultFixture) throws -> Void
        ) throws {
            try VaultFixture.withMount { fixture in
                try Disk.makeDirectory(fixture.path("folder"))
                try Disk.makeDirectory(fixture.path("other"))
                try Disk.write(fixture.path("folder/inner"), "inner")
                try Disk.write(fixture.path("bystander"), "bystander")
                let folder = try fixture.sealedPath(of: "folder")
                let inner = try fixture.sealedPath(of: "folder/inner")
                try fixture.unmount()
                try change(fixture, folder, inner)
                try fixture.mount()
                #expect(try Disk.readText(fixture.path("bystander")) == "bystander")
                try check(fixture)
                #expect(try Disk.readText(fixture.path("bystander")) == "bystander")
            }
        }

        @Test func `a flipped bit anywhere in a directory record is an I/O error`() throws {
            try VaultFixture.withMount { fixture in
                try Disk.makeDirectory(fixture.path("sample"))
                let size = Int(
                    try Disk.size(try fixture.sealedPath(of: "sample") + "/.keyfold.dir"))
                for offset in 0..<size { try Disk.makeDirectory(fixture.path("d\(offset)")) }
                let stored = try (0..<size).map { try fixture.sealedPath(of: "d\($0)") }
                try fixture.unmount()
                for (offset, directory) in stored.enumerated() {
                    var bytes = try Disk.read(directory + "/.keyfold.dir")
                    bytes[offset] ^= 1 << UInt8(offset % 8)
                    try Disk.write(directory + "/.keyfold.dir", bytes)
                }
                try fixture.mount()
                for offset in 0..<size {
                    let path = fixture.path("d\(offset)")
                    #expect(throws: Errno.ioError, "byte \(offset)") {
                        try Disk.write(path + "/new", "x")
                    }
                    #expect(throws: Errno.ioError, "byte \(offset)") { try Disk.names(in: path) }
                }
                #expect(try Disk.names(in: fixture.path("sample")).isEmpty)
            }
        }

        @Test func `a directory without its record answers with an error`() throws {
            try Self.withTree { _, folder, _ in
                try Disk.unlink(folder + "/.keyfold.dir")
            } check: { fixture in
                #expect(throws: Errno.self) { try Disk.readText(fixture.path("folder/inner")) }
                #expect(throws: Errno.self) { try Disk.write(fixture.path("folder/new"), "x") }
            }
        }

        @Test func `a directory with another one's record shows none of its names`() throws {
            try Self.withTree { fixture, folder, _ in
                let root = try Disk.names(in: fixture.vault).map { fixture.vault + "/" + $0.string }
                let other = try #require(
                    root.first { $0 != folder && Disk.exists($0 + "/.keyfold.dir") })
                try Disk.write(folder + "/.keyfold.dir", try Disk.read(other + "/.keyfold.dir"))
            } check: { fixture in
                #expect(!Disk.exists(fixture.path("folder/inner")))
                #expect(try Disk.names(in: fixture.path("folder")).isEmpty)
                let status = try fixture.json("status", fixture.vault)[0]
                #expect(status["undecodableNames"].int == 1)
                // What can't be decoded is somebody's data: it keeps the directory.
                #expect(throws: Errno.directoryNotEmpty) {
                    try Disk.removeDirectory(fixture.path("folder"))
                }
            }
        }

        @Test func `a flipped bit in a name hides the file and is counted`() throws {
            try Self.withTree { _, folder, inner in
                let name = inner.dropFirst(folder.count + 1)
                let first = name.hasPrefix("A") ? "B" : "A"
                try Disk.rename(inner, folder + "/" + first + name.dropFirst())
            } check: { fixture in
                #expect(!Disk.exists(fixture.path("folder/inner")))
                #expect(try Disk.names(in: fixture.path("folder")).isEmpty)
                let status = try fixture.json("status", fixture.vault)[0]
                #expect(status["undecodableNames"].int == 1)
            }
        }

        @Test func `a name that was moved to another directory is not decoded there`() throws {
            try Self.withTree { fixture, folder, inner in
                let name = inner.dropFirst(folder.count + 1)
                try Disk.rename(inner, fixture.vault + "/" + name)
            } check: { fixture in
                let names = Set(try Disk.names(in: fixture.mountPoint).map(\.string))
                #expect(names == ["folder", "other", "bystander"])
            }
        }

        @Test func `foreign files in the vault are not shown and not harmed`() throws {
            try Self.withTree { fixture, _, _ in
                try Disk.write(fixture.vault + "/README.txt", "not Keyfold's")
                try Disk.write(fixture.vault + "/.hidden", "not Keyfold's")
                try Disk.makeDirectory(fixture.vault + "/lost+found")
            } check: { fixture in
                let names = Set(try Disk.names(in: fixture.mountPoint).map(\.string))
                #expect(names == ["folder", "other", "bystander"])
                #expect(try Disk.readText(fixture.vault + "/README.txt") == "not Keyfold's")
            }
        }

        @Test func `a long name whose sidecar is gone or changed is not shown`() throws {
            try VaultFixture.withMount { fixture in
                let names = ["a", "b", "c"].map { String(repeating: $0, count: 250) }
                for name in names { try Disk.write(fixture.path(name), name) }
                let stored = try names.map { try fixture.sealedPath(of: $0) }
                try fixture.unmount()
                func sidecar(_ path: String) -> String {
                    path.replacing("/.keyfold.long.", with: "/.keyfold.name.")
                }
                try Disk.unlink(sidecar(stored[0]))
                var bytes = try Disk.read(sidecar(stored[1]))
                bytes[20] ^= 1
                try Disk.write(sidecar(stored[1]), bytes)
                try fixture.mount()
                let shown = try Disk.names(in: fixture.mountPoint).map(\.string)
                #expect(shown == [names[2]])
                #expect(try Disk.readText(fixture.path(names[2])) == names[2])
            }
        }

        @Test func `an edited keyfold.json is refused with its name`() throws {
            try VaultFixture.withVault { fixture in
                let path = fixture.vault + "/keyfold.json"
                let original = try Disk.readText(path)
                let arn = try fixture.json("status", fixture.vault)[0]["keyArn"].string ?? ""
                let edits = [
                    original.replacing("sealed", with: "plaintext"),
                    original.replacing(arn, with: arn.dropLast() + "0"),
                    original.replacing("{", with: "{\"extra\": 1, ", maxReplacements: 1),
                    original.replacing("512", with: "1024"),
                    original.replacing("\"format\"", with: "\"formats\""),
                    String(original.dropLast(10)), "", "{}", "not JSON",
                ]
                for edited in edits where edited != original {
                    try Disk.write(path, edited)
                    let result = try fixture.mountCommand().result()
                    #expect(!result.succeeded, "\(edited)")
                    #expect(!fixture.isMounted)
                    #expect(result.error.contains("keyfold.json") || result.error.contains("vault"))
                }
                try Disk.write(path, original)
                try fixture.mount()
            }
        }

        @Test func `every byte of keyfold.json counts`() throws {
            try VaultFixture.withVault { fixture in
                let path = fixture.vault + "/keyfold.json"
                let original = try Disk.read(path)
                var source = RandomSource(seed: 3)
                // Each try costs an unlocking; some are enough here, all are in the format's tests.
                for _ in 0..<6 {
                    var bytes = original
                    let offset = source.number(0..<bytes.count)
                    guard bytes[offset] != UInt8(ascii: " "), bytes[offset] != 10 else { continue }
                    bytes[offset] ^= 1
                    try Disk.write(path, bytes)
                    let result = try fixture.mountCommand().result()
                    #expect(!result.succeeded, "byte \(offset)")
                }
            }
        }

        @Test func `a tampered root record is refused`() throws {
            try VaultFixture.withVault { fixture in
                let path = fixture.vault + "/.keyfold.dir"
                let original = try Disk.read(path)
                for offset in [0, 6, 20, 40, original.count / 2, original.count - 1] {
                    var bytes = original
                    bytes[offset] ^= 4
                    try Disk.write(path, bytes)
                    #expect(!(try fixture.mountCommand().result().succeeded), "byte \(offset)")
                    #expect(!fixture.isMounted)
                }
                try Disk.write(path, original)
                try fixture.mount()
            }
        }
    }
}
