import Testing

@testable import Mount

struct MountOptionsTests {
    @Test func `nothing asked gives a mount for its owner alone`() throws {
        let (mount, keyfold) = try MountOptions.parse([])
        #expect(mount == MountOptions())
        #expect(keyfold == KeyfoldMountOptions())
        #expect(mount.audience == .owner)
        #expect(mount.sharing == .exclusive)
        #expect(mount.checksPermissions)
        #expect(!mount.isReadOnly)
        #expect(mount.libfuseArgument == "subtype=keyfoldfs,default_permissions")
    }

    @Test func `options of several arguments come together`() throws {
        let (mount, keyfold) = try MountOptions.parse([
            "ro,allow_other", "nonempty,shared,no_default_permissions", "",
            "keystore=/k,passphrase_file=/p,log_paths,overwrite=inplace", "max_read=4096",
        ])
        #expect(mount.isReadOnly)
        #expect(mount.audience == .everyone)
        #expect(mount.hidesFiles)
        #expect(mount.sharing == .shared)
        #expect(!mount.checksPermissions)
        #expect(mount.maximumReadBytes == 4096)
        #expect(keyfold.keystore == "/k")
        #expect(keyfold.passphraseFile == "/p")
        #expect(keyfold.logsPaths)
        #expect(keyfold.overwritesInPlace)
    }

    @Test(arguments: [
        ("ro,rw", false), ("rw,ro", true), ("ro,,rw,", false), ("ro", true),
    ])
    func `the last of two opposites holds`(_ text: String, _ isReadOnly: Bool) throws {
        #expect(try MountOptions(parsing: [text]).isReadOnly == isReadOnly)
    }

    @Test func `a kernel flag is passed on once, as it was given last`() throws {
        let options = try MountOptions(parsing: ["nosuid,noatime,suid,nosuid", "atime,dev"])
        #expect(options.kernelFlags == ["nosuid", "atime", "dev"])
        #expect(options.libfuseArgument.hasSuffix(",nosuid,atime,dev"))
    }

    @Test(arguments: [
        "defaults", "auto", "noauto", "user", "nouser", "users", "owner", "group", "nofail",
        "_netdev", "comment=a disk", "x-systemd.automount", "x-gvfs-show=1", "subtype=keyfoldfs",
    ])
    func `what fstab says to others is passed over`(_ option: String) throws {
        let (mount, keyfold) = try MountOptions.parse([option])
        #expect(mount == MountOptions())
        #expect(keyfold == KeyfoldMountOptions())
    }

    @Test(arguments: ["nosuch", "RO", " ro", "keystores", "dirsyncs", "-o"])
    func `an unknown option is refused by its name`(_ name: String) {
        #expect(throws: MountError.unknownOption(name)) { try MountOptions.parse(["ro," + name]) }
        #expect(throws: MountError.unknownOption(name)) {
            try MountOptions.parse([name + "=1"], knownOthers: ["other"])
        }
    }

    @Test func `options that the caller knows reach it`() throws {
        let (mount, keyfold) = try MountOptions.parse(
            ["key_file=/a=b,flag", "key_file=/c"], knownOthers: ["key_file", "flag"])
        #expect(mount == MountOptions())
        #expect(keyfold.others == ["key_file": "/c", "flag": ""])
    }

    @Test(arguments: [
        ("ro=1", "ro", "ro without a value"),
        ("nosuid=", "nosuid", "nosuid without a value"),
        ("shared=yes", "shared", "shared without a value"),
        ("log_paths=on", "log_paths", "log_paths without a value"),
        ("fsname", "fsname", "fsname=NAME"),
        ("subtype=ext4", "subtype", "subtype=keyfoldfs"),
        ("subtype", "subtype", "subtype=keyfoldfs"),
        ("keystore", "keystore", "keystore=DIRECTORY"),
        ("keystore=", "keystore", "keystore=DIRECTORY"),
        ("passphrase_file=", "passphrase_file", "passphrase_file=FILE"),
        ("overwrite=cow", "overwrite", "overwrite=inplace"),
        ("max_read=4095", "max_read", "max_read=BYTES, 4096 or more"),
        ("max_read=2147483648", "max_read", "max_read=BYTES, 4096 or more"),
        ("max_read=99999999999999999999", "max_read", "max_read=BYTES, 4096 or more"),
        ("max_read", "max_read", "max_read=BYTES, 4096 or more"),
        ("entry_timeout=-1", "entry_timeout", "entry_timeout=SECONDS"),
        ("entry_timeout=nan", "entry_timeout", "entry_timeout=SECONDS"),
        ("attr_timeout=inf", "attr_timeout", "attr_timeout=SECONDS"),
        ("attr_timeout", "attr_timeout", "attr_timeout=SECONDS"),
    ])
    func `a value that can't be is refused with what can`(
        _ text: String, _ option: String, _ expected: String
    ) {
        #expect(throws: MountError.invalidOption(option, expected: expected)) {
            try MountOptions.parse([text])
        }
    }

    @Test func `a comma or backslash in a value is escaped`() throws {
        let (mount, keyfold) = try MountOptions.parse([#"keystore=/a\,b\\c,fsname=/v\,w\\x,ro"#])
        #expect(keyfold.keystore == #"/a,b\c"#)
        #expect(mount.sourceName == #"/v,w\x"#)
        #expect(mount.isReadOnly)
        #expect(mount.libfuseArgument.contains(#"fsname=/v\,w\\x,"#))
    }

    @Test func `what is told to libfuse is read back the same`() throws {
        var options = MountOptions()
        options.audience = .everyone
        options.isReadOnly = true
        options.sourceName = #"/odd\,name\with,commas"#
        options.maximumReadBytes = 65_536
        options.kernelFlags = ["nosuid", "nodev"]
        #expect(try MountOptions(parsing: [options.libfuseArgument]) == options)
    }

    @Test func `how long the kernel may remember depends on who else writes`() throws {
        #expect(try MountOptions(parsing: []).effectiveEntryTimeoutSeconds == 86_400)
        #expect(try MountOptions(parsing: []).effectiveAttributeTimeoutSeconds == 86_400)
        #expect(try MountOptions(parsing: ["shared"]).effectiveEntryTimeoutSeconds == 1)
        let told = try MountOptions(parsing: ["shared,attr_timeout=3"])
        #expect(told.effectiveAttributeTimeoutSeconds == 3)
        let shared = try MountOptions(parsing: ["shared,entry_timeout=0"])
        #expect(shared.effectiveEntryTimeoutSeconds == 0)
        #expect(shared.effectiveAttributeTimeoutSeconds == 0)
        #expect(!shared.collectsWrites)
        #expect(try !MountOptions(parsing: ["ro"]).collectsWrites)
        #expect(try MountOptions(parsing: ["attr_timeout=0.5"]).collectsWrites)
    }
}
