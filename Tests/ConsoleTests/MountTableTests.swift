import Testing

@testable import Console

struct MountTableTests {
    @Test func `of all mounts the vaults are found`() {
        let text = """
            22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
            90 22 0:41 / /home/a/private rw,nosuid,nodev shared:9 - fuse.keyfoldfs /home/a/vault rw,user_id=0
            91 22 0:42 / /media/x rw - fuse.sshfs host: rw
            92 22 0:43 / /mnt/b ro - fuse.keyfoldfs /srv/b ro

            """
        #expect(
            MountTable.parse(text) == [
                MountedVault(
                    vault: "/home/a/vault", mountPoint: "/home/a/private",
                    options: ["rw", "nosuid", "nodev"]),
                MountedVault(vault: "/srv/b", mountPoint: "/mnt/b", options: ["ro"]),
            ])
    }

    @Test(arguments: [
        (#"/a\040b\134c"#, #"/a b\c"#), (#"/a\011\012"#, "/a\t\n"), (#"/a\04"#, #"/a\04"#),
        (#"/\303\244"#, "/ä"), (#"/\777"#, #"/\777"#), (#"/a\"#, #"/a\"#),
    ])
    func `escaped bytes of both names are read back`(_ written: String, _ path: String) {
        let line = "1 2 0:3 / \(written) rw - fuse.keyfoldfs \(written) rw"
        #expect(
            MountTable.parse(line)
                == [MountedVault(vault: path, mountPoint: path, options: ["rw"])])
    }

    @Test(arguments: [
        "", "\n\n", "1 2 0:3 / /m rw", "1 2 0:3 / /m rw -", "1 2 0:3 / /m rw - fuse.keyfoldfs",
        "- fuse.keyfoldfs /v", "1 2 0:3 / - rw fuse.keyfoldfs /v",
        "1 2 0:3 / /m rw fuse.keyfoldfs /v",
    ])
    func `a line of another shape is no mount`(_ line: String) {
        #expect(MountTable.parse(line).isEmpty)
    }
}
