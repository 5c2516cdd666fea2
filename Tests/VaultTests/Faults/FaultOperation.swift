import Platform
import TestSupport
import Testing

@testable import Vault

/// One operation on the vault of ``FaultBench``.
struct FaultOperation: Sendable, CustomTestStringConvertible {
    enum Effect: Sendable {
        /// Shows nothing new.
        case none
        /// A name or an attribute: there or not.
        case whole
        /// Content: block by block.
        case blocks
    }

    let name: String
    let effect: Effect
    /// What succeeded is durable.
    var promises = false
    /// What was never synced may be torn in the middle until its first intent: only a process that
    /// goes on is looked at.
    var isTornByCrash = false
    /// What a process that dies in the middle may leave besides: a named limit.
    var limit: (@Sendable (inout FaultSnapshot) -> Void)?
    /// Comes before, without faults.
    var prepare: @Sendable (FaultActor) throws -> Void = { _ in }
    let run: @Sendable (FaultActor) throws -> Void

    var testDescription: String { name }

    static let all = names + moves + attributes + contents + syncs + looks

    private static let long = String(repeating: "n", count: 240)

    /// Killed before the new name got its owner.
    private static let ownerless: @Sendable (inout FaultSnapshot) -> Void = {
        $0.nodes["new"]?.uid = 0
    }

    // MARK: New names

    private static let names: [FaultOperation] = [
        FaultOperation(name: "create", effect: .whole) { try $0.create("new") },
        FaultOperation(name: "create for a user", effect: .whole, limit: ownerless) {
            try $0.create("new", as: FaultActor.user)
        },
        FaultOperation(name: "create with a long name", effect: .whole) { try $0.create(long) },
        FaultOperation(name: "create below", effect: .whole) { try $0.create("folder/new") },
        FaultOperation(name: "mkdir", effect: .whole) { try $0.makeDirectory("new") },
        FaultOperation(name: "mkdir for a user", effect: .whole) {
            try $0.makeDirectory("new", as: FaultActor.user)
        },
        FaultOperation(name: "mkdir with a long name", effect: .whole) {
            try $0.makeDirectory(long)
        },
        FaultOperation(name: "symlink", effect: .whole, limit: ownerless) {
            try $0.symbolicLink("new", to: "../somewhere", as: FaultActor.user)
        },
        FaultOperation(name: "mknod", effect: .whole, limit: ownerless) {
            try $0.makePipe("new", as: FaultActor.user)
        },
        FaultOperation(name: "link", effect: .whole) { try $0.link("file", as: "folder/new") },
        FaultOperation(name: "link with a long name", effect: .whole) {
            try $0.link("file", as: long)
        },
    ]

    // MARK: Names that go and move

    private static let exchange: UInt32 = 2
    private static let noReplace: UInt32 = 1

    private static func dirty(_ path: String) -> @Sendable (FaultActor) throws -> Void {
        { actor in
            try actor.write(path, pattern(3000, seed: 21), at: 100)
            try actor.sync(path)
            try actor.write(path, pattern(3000, seed: 22), at: 4000)
        }
    }

    private static let moves: [FaultOperation] = [
        FaultOperation(name: "unlink", effect: .whole) { try $0.unlink("other") },
        FaultOperation(name: "unlink a long name", effect: .whole) {
            try $0.unlink(FaultBench.longName)
        },
        FaultOperation(name: "unlink one of two", effect: .whole, prepare: dirty("two names")) {
            try $0.unlink("two names")
        },
        FaultOperation(name: "unlink what is open", effect: .whole, prepare: dirty("other")) {
            try $0.unlink("other")
        },
        FaultOperation(name: "rmdir", effect: .whole) { try $0.removeDirectory("empty") },
        FaultOperation(name: "rename", effect: .whole) {
            try $0.rename("other", to: "folder/moved")
        },
        FaultOperation(name: "rename what is open", effect: .whole, prepare: dirty("other")) {
            try $0.rename("other", to: "folder/moved", flags: noReplace)
        },
        FaultOperation(name: "rename to a long name", effect: .whole) {
            try $0.rename("other", to: long)
        },
        FaultOperation(name: "rename from a long name", effect: .whole) {
            try $0.rename(FaultBench.longName, to: "short")
        },
        FaultOperation(name: "rename over", effect: .whole, prepare: dirty("bystander")) {
            try $0.rename("other", to: "bystander")
        },
        FaultOperation(name: "rename over one of two", effect: .whole) {
            try $0.rename("other", to: "two names")
        },
        FaultOperation(name: "rename a directory", effect: .whole, prepare: dirty("folder/inner")) {
            try $0.rename("folder", to: "moved")
        },
        FaultOperation(
            name: "rename over a directory", effect: .whole,
            // Killed before the replaced directory is gone: it stands under the old name, empty.
            limit: { $0.nodes["folder"] = $0.nodes["empty two"] }
        ) {
            try $0.rename("folder", to: "empty")
        },
        FaultOperation(name: "exchange", effect: .whole, prepare: dirty("other")) {
            try $0.rename("other", to: "bystander", flags: exchange)
        },
        FaultOperation(name: "exchange with a directory", effect: .whole) {
            try $0.rename("other", to: "folder", flags: exchange)
        },
    ]

    // MARK: Attributes

    private static func change(
        _ set: @escaping @Sendable (inout AttributeChange) -> Void
    ) -> @Sendable (FaultActor) throws -> Void {
        { actor in
            var change = AttributeChange()
            set(&change)
            try actor.set("file", change)
        }
    }

    private static let attributes: [FaultOperation] = [
        FaultOperation(name: "chmod", effect: .whole, run: change { $0.mode = 0o604 }),
        FaultOperation(
            name: "chmod of what is open", effect: .whole, prepare: dirty("file"),
            run: change { $0.mode = 0o604 }),
        FaultOperation(name: "chown", effect: .whole, run: change { $0.uid = 12_345 }),
        FaultOperation(
            name: "utimens", effect: .whole,
            run: change { $0.modificationTime = .at(FaultBench.setTime) }),
        FaultOperation(name: "setxattr", effect: .whole) {
            try $0.setAttribute("file", "user.two", pattern(1000, seed: 31))
        },
        FaultOperation(name: "setxattr over", effect: .whole) {
            try $0.setAttribute("file", "user.one", pattern(1000, seed: 31))
        },
        FaultOperation(name: "setxattr of a directory", effect: .whole) {
            try $0.setAttribute("folder", "user.two", pattern(10, seed: 31))
        },
        FaultOperation(name: "removexattr", effect: .whole) {
            try $0.removeAttribute("file", "user.one")
        },
    ]

    // MARK: Content

    private static func opening(_ path: String) -> @Sendable (FaultActor) throws -> Void {
        { actor in try actor.open(path) }
    }

    private static func growing(_ path: String) -> @Sendable (FaultActor) throws -> Void {
        { actor in
            try actor.create(path)
            try actor.write(path, pattern(30_000, seed: 41), at: 0)
        }
    }

    private static let large = pattern(1_050_000, seed: 45)

    private static let contents: [FaultOperation] = [
        FaultOperation(name: "open", effect: .none) { try $0.open("file") },
        FaultOperation(name: "open and truncate", effect: .blocks) {
            try $0.open("file", OpenFlag.readWrite | 0o1000)
        },
        FaultOperation(
            name: "open and truncate what the journal has", effect: .blocks,
            prepare: { actor in
                try dirty("file")(actor)
                try actor.sync("file")
            }
        ) {
            try $0.open("file", OpenFlag.readWrite | 0o1000)
        },
        FaultOperation(
            name: "write into a new file", effect: .blocks, prepare: { try $0.create("new") }
        ) {
            try $0.write("new", pattern(30_000, seed: 42), at: 0)
        },
        FaultOperation(name: "append to a new file", effect: .blocks, prepare: growing("new")) {
            try $0.write("new", pattern(30_000, seed: 42), at: 30_000)
        },
        FaultOperation(name: "overwrite", effect: .blocks, prepare: opening("file")) {
            try $0.write("file", pattern(9000, seed: 43), at: 2000)
        },
        FaultOperation(name: "overwrite, more than fits", effect: .blocks, prepare: opening("file"))
        {
            try $0.write("file", pattern(60_000, seed: 43), at: 2000)
        },
        FaultOperation(name: "append", effect: .blocks, prepare: opening("file")) {
            try $0.write("file", pattern(500, seed: 44), at: 20_000)
        },
        FaultOperation(
            name: "append a lot", effect: .blocks,
            prepare: { actor in
                // Just below the size from which on a file grows in the store.
                try actor.write("file", large, at: 20_000)
            }
        ) {
            try $0.write("file", pattern(30_000, seed: 46), at: 1_070_000)
        },
        FaultOperation(name: "write behind the end", effect: .blocks, prepare: opening("file")) {
            try $0.write("file", pattern(500, seed: 46), at: 50_000)
        },
        FaultOperation(
            name: "close with gaps", effect: .blocks, isTornByCrash: true,
            prepare: { actor in
                try growing("new")(actor)
                try actor.write("new", pattern(500, seed: 46), at: 90_000)
            }
        ) {
            try $0.release("new")
        },
        FaultOperation(name: "truncate", effect: .blocks) { try $0.truncate("file", to: 9000) },
        FaultOperation(name: "truncate what is open", effect: .blocks, prepare: dirty("file")) {
            try $0.truncate("file", to: 9000)
        },
        FaultOperation(
            name: "truncate what grew", effect: .blocks,
            // Nothing of it was synced: recovery cuts the block that was torn.
            limit: { $0.nodes["new"]?.content.removeLast(9000 - 8192) },
            prepare: growing("new")
        ) {
            try $0.truncate("new", to: 9000)
        },
        FaultOperation(name: "truncate to nothing", effect: .blocks) {
            try $0.truncate("file", to: 0)
        },
        FaultOperation(
            name: "truncate what is open to nothing", effect: .blocks, prepare: dirty("file")
        ) {
            try $0.truncate("file", to: 0)
        },
        FaultOperation(name: "truncate upwards", effect: .blocks) {
            try $0.truncate("file", to: 70_000)
        },
        FaultOperation(name: "punch", effect: .blocks, prepare: opening("file")) {
            try $0.allocate("file", mode: 3, at: 3000, count: 12_000)
        },
        FaultOperation(name: "punch what grew", effect: .blocks, prepare: growing("new")) {
            try $0.allocate("new", mode: 3, at: 3000, count: 12_000)
        },
        FaultOperation(name: "zero range", effect: .blocks, prepare: opening("file")) {
            try $0.allocate("file", mode: 0x10, at: 3000, count: 30_000)
        },
        FaultOperation(name: "preallocate", effect: .blocks, prepare: opening("file")) {
            try $0.allocate("file", mode: 0, at: 3000, count: 30_000)
        },
        FaultOperation(name: "write into a hole", effect: .blocks, prepare: opening("sparse")) {
            try $0.write("sparse", pattern(9000, seed: 47), at: 50_000)
        },
    ]

    // MARK: Making it last

    private static let syncs: [FaultOperation] = [
        FaultOperation(
            name: "fsync", effect: .blocks, promises: true,
            prepare: { actor in
                try actor.write("file", pattern(9000, seed: 51), at: 2000)
                try actor.write("file", pattern(9000, seed: 52), at: 18_000)
            }
        ) {
            try $0.sync("file")
        },
        FaultOperation(
            name: "fsync of more than fits", effect: .blocks, promises: true,
            prepare: { actor in
                try actor.write("sparse", pattern(9000, seed: 51), at: 2000)
                try actor.write("sparse", pattern(16_000, seed: 52), at: 50_000)
            }
        ) {
            try $0.sync("sparse")
        },
        FaultOperation(
            name: "fdatasync", effect: .blocks, promises: true,
            prepare: { actor in
                try actor.write("file", pattern(90, seed: 51), at: 20_000)
            }
        ) {
            try $0.sync("file", dataOnly: true)
        },
        FaultOperation(
            name: "fsync of a new file", effect: .blocks, promises: true, prepare: growing("new")
        ) {
            try $0.sync("new")
        },
        FaultOperation(
            name: "fsync in new directories", effect: .blocks, promises: true,
            prepare: { actor in
                try actor.makeDirectory("a")
                try actor.makeDirectory("a/" + long)
                try growing("a/" + long + "/" + long)(actor)
            }
        ) {
            try $0.sync("a/" + long + "/" + long)
        },
        FaultOperation(
            name: "fsync of a directory", effect: .whole, promises: true,
            prepare: { actor in
                try actor.makeDirectory("a")
                try actor.create("a/" + long)
            }
        ) {
            try $0.syncDirectory("a")
        },
        FaultOperation(
            name: "fsync with gaps", effect: .blocks, promises: true,
            prepare: { actor in
                try actor.write("file", pattern(500, seed: 53), at: 40_000)
            }
        ) {
            try $0.sync("file")
        },
        FaultOperation(
            name: "commit by the clock", effect: .blocks,
            prepare: { actor in
                try growing("new")(actor)
                try dirty("file")(actor)
                try dirty("other")(actor)
            }
        ) {
            _ = $0.vault.committer?.commitAll()
        },
        FaultOperation(
            name: "checkpoint", effect: .blocks,
            prepare: { actor in
                try growing("new")(actor)
                try dirty("other")(actor)
                while actor.vault.committer?.journal.isHalfFull == false {
                    try actor.write("file", pattern(9000, seed: 60), at: 100)
                    try actor.sync("file")
                }
            }
        ) {
            try $0.vault.committer?.checkpoint()
        },
        FaultOperation(
            name: "sync", effect: .blocks, promises: true,
            prepare: { actor in
                try growing("new")(actor)
                try dirty("file")(actor)
            }
        ) {
            try $0.vault.synchronizeAll()
        },
    ]

    // MARK: Looking

    private static let looks: [FaultOperation] = [
        FaultOperation(name: "lookup", effect: .none) { try $0.lookup("folder/inner") },
        FaultOperation(name: "readdir", effect: .none) { actor in
            let names = try actor.names(in: "")
            guard names.count == 11 else { throw WrongContent() }
        },
        FaultOperation(name: "read", effect: .none, prepare: opening("file")) { actor in
            let read = try actor.read("file")
            guard read == FaultBench.fileContent else { throw WrongContent() }
        },
        FaultOperation(name: "read a long name's file", effect: .none) { actor in
            guard try actor.read(FaultBench.longName).count == 100 else { throw WrongContent() }
        },
        FaultOperation(name: "seek", effect: .none, prepare: dirty("sparse")) { actor in
            let handle = try actor.handle("sparse")
            let hole = try actor.vault.seek(handle, to: 0, whence: SeekWhence.hole)
            let data = try actor.vault.seek(handle, to: hole, whence: SeekWhence.data)
            guard hole < data, data < 100_000 else { throw WrongContent() }
        },
        FaultOperation(name: "readlink", effect: .none) { actor in
            let target = try actor.vault.readSymbolicLink(try actor.inode("link"))
            guard target == Array("folder/inner".utf8) else { throw WrongContent() }
        },
        FaultOperation(name: "getxattr", effect: .none) { actor in
            let inode = try actor.inode("file")
            let names = try actor.vault.extendedAttributeNames(of: inode)
            guard names == [Array("user.one".utf8)] else { throw WrongContent() }
            let value = try actor.vault.extendedAttribute(names[0], of: inode)
            guard value == pattern(20, seed: 18) else { throw WrongContent() }
        },
        FaultOperation(name: "statfs", effect: .none) { actor in
            _ = try actor.vault.fileSystemStatistics()
        },
    ]

    /// A read that succeeded and was wrong. No store's error: these are never right.
    struct WrongContent: Error {}
}
