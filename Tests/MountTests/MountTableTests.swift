import Testing

@testable import Mount

struct MountTableTests {
    @Test func `a line tells device, place and type`() {
        let line = "36 35 98:3 / /mnt/a rw,noatime master:1 - fuse.keyfoldfs /v rw,user_id=0"
        #expect(
            parse(line) == .init(device: 98 << 8 | 3, mountPoint: "/mnt/a", type: "fuse.keyfoldfs"))
    }

    @Test func `any number of optional fields may come before the dash`() {
        #expect(parse("1 2 0:5 / /m rw - ext4 /dev/a rw")?.type == "ext4")
        #expect(parse("1 2 0:5 / /m rw shared:1 master:2 x - ext4 /dev/a rw")?.type == "ext4")
    }

    @Test(arguments: [
        (#"/a\040b"#, "/a b"), (#"/a\134b"#, #"/a\b"#), (#"/\011\012"#, "/\t\n"),
        (#"/a\04"#, #"/a\04"#), (#"/a\"#, #"/a\"#), (#"/a\999"#, #"/a\999"#),
        (#"/\303\244"#, "/ä"), (#"/\400"#, #"/\400"#),
    ])
    func `escaped bytes of a mount point are read back`(_ written: String, _ path: String) {
        #expect(parse("1 2 0:5 / \(written) rw - ext4 /dev/a rw")?.mountPoint == path)
    }

    @Test(arguments: [
        "", " ", "1 2 0:5 / /m rw", "1 2 0:5 / /m rw -", "1 2 5 / /m rw - ext4 a rw",
        "1 2 a:b / /m rw - ext4 a rw", "1 2 1:2:3 / /m rw - ext4 a rw", "- - - - - - -",
    ])
    func `a line of another shape is no mount`(_ line: String) {
        #expect(parse(line) == nil)
    }

    @Test func `a large device number is the one that stat tells`() {
        // makedev(0x12345, 0x6789A) of glibc.
        let line = "1 2 \(0x12345):\(0x6789A) / /m rw - ext4 a rw"
        #expect(parse(line)?.device == 0x0001_2000_6783_459A)
    }

    @Test func `random bytes are parsed without a trap`() {
        var random = SplitMix64(state: 11)
        let letters = Array(#" -:\/0147a"#.utf8)
        for _ in 0..<20_000 {
            let count = Int.random(in: 0...60, using: &random)
            let line = (0..<count).map { _ in letters[Int.random(in: 0..<10, using: &random)] }
            if let mount = MountTable.parse(line) { #expect(!mount.mountPoint.isEmpty) }
        }
    }

    @Test func `the root of this system is mounted`() {
        #expect(MountTable.mount(at: "/") != nil)
        #expect(MountTable.mount(at: "/no/such/mount") == nil)
    }

    private func parse(_ line: String) -> MountTable.Mount? {
        MountTable.parse(Array(line.utf8))
    }
}
