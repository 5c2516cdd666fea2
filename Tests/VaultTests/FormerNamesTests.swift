import Testing

@testable import Vault

@Suite
struct FormerNamesTests {
    private static func paths(_ names: FormerNames, of path: String) -> [String] {
        names.paths(of: Array(path.utf8)).found.map { String(decoding: $0, as: UTF8.self) }
    }

    private static func names(_ moves: [(String, String)]) -> FormerNames {
        var names = FormerNames()
        for (old, new) in moves { names.note(Array(old.utf8), Array(new.utf8)) }
        return names
    }

    @Test func `a file may be at each place that it or a directory above it was at`() {
        let names = Self.names([("a", "b"), ("b/x", "c/y"), ("c", "d")])
        #expect(Self.paths(names, of: "d/y") == ["c/y", "b/x", "a/x"])
        #expect(Self.paths(names, of: "d/y/z") == ["c/y/z", "b/x/z", "a/x/z"])
        #expect(Self.paths(names, of: "b/other") == ["a/other"])
        #expect(Self.paths(names, of: "bb/other") == [])
        #expect(Self.paths(names, of: "d") == ["c"])
    }

    @Test func `a deep path has its former names, too`() {
        let part = String(repeating: "d", count: 200)
        let deep = Array(repeating: part, count: 2000).joined(separator: "/")
        let names = Self.names([("a", part), (deep, deep + "x"), ("unrelated", "elsewhere")])
        #expect(
            Self.paths(names, of: deep + "x/y") == [deep + "/y", "a" + deep.dropFirst(200) + "/y"])
    }

    @Test func `an exchange leads both ways`() {
        var names = FormerNames()
        names.note(Array("a".utf8), Array("b".utf8), isExchange: true)
        #expect(Self.paths(names, of: "a/x") == ["b/x"])
        #expect(Self.paths(names, of: "b/x") == ["a/x"])
    }

    @Test func `what was at a place before it was left does not count for what came later`() {
        let names = Self.names([("a", "b"), ("b", "c"), ("new", "b")])
        #expect(Self.paths(names, of: "c") == ["b", "a"])
        #expect(Self.paths(names, of: "b") == ["new"])
    }

    @Test func `a sync of the store makes an end to what came before it`() {
        var names = Self.names([("a", "b")])
        let mark = names.mark
        names.note(Array("b".utf8), Array("c".utf8))
        #expect(Self.paths(names, of: "c") == ["b", "a"])
        names.forget(before: mark)
        #expect(Self.paths(names, of: "c") == ["b"])
        names.forget(before: names.mark)
        #expect(Self.paths(names, of: "c") == [])
    }

    @Test func `more places than a frame is to tell are told to be too many`() {
        let few = Self.names((0..<4).map { ("\($0)", "\($0 + 1)") })
        #expect(few.paths(of: Array("4".utf8)).isWhole)
        let many = Self.names((0..<5).map { ("\($0)", "\($0 + 1)") })
        #expect(!many.paths(of: Array("5".utf8)).isWhole)
        let round = Self.names((0..<200).map { $0 % 2 == 0 ? ("a", "b") : ("b", "a") })
        #expect(!round.paths(of: Array("a".utf8)).isWhole)
        #expect(Self.paths(round, of: "a") == ["b"])
    }
}
