import Platform
import TestSupport

/// A keystore with something of everything that commands change, and files that they read. Tests
/// work on copies of it.
final class SampleKeystore: @unchecked Sendable {
    // SAFETY: one test at a time works with it.
    let directory: TemporaryDirectory
    /// Opens the keystore at once, where a passphrase takes half a second.
    let keyFile: String
    private let keystore: String
    private let inputs: String
    /// Ids that commands are given, by their names in braces.
    private var ids: [String: String] = [:]

    init() throws {
        directory = try TemporaryDirectory(label: VaultFixture.label)
        keystore = directory.path + "/sample"
        inputs = directory.path + "/inputs"
        keyFile = directory.path + "/key"
        do {
            try make()
        } catch {
            directory.cleanUp()
            throw error
        }
    }

    func cleanUp() { directory.cleanUp() }

    // MARK: Making it

    private func make() throws {
        try Disk.makeDirectory(inputs)
        let passphrase = inputs + "/passphrase"
        try Disk.write(passphrase, "a passphrase\n")
        try Disk.changeMode(passphrase, to: 0o600)
        let variables = ["KEYFOLD_PASSPHRASE_FILE": passphrase, "KEYFOLD_KEYSTORE": keystore]
        for words in [["keystore", "create"], ["slot", "add", "key-file", keyFile]] {
            try Command([Program.keyfold] + words).with(variables).run()
        }
        for name in ["main", "off", "rotating", "doomed"] {
            try run("key", "create", "--alias", "alias/\(name)", "--tag", "a=b")
        }
        try run("key", "disable", "alias/off")
        try run("key", "rotation", "enable", "alias/rotating")
        try run("key", "delete", "alias/doomed", "--days", "7")
        try run("alias", "create", "alias/moving", "alias/main")
        try makeImports()
        try makeOthers()
    }

    /// A key that waits for its material, which lies wrapped beside, and one that has it.
    private func makeImports() throws {
        let (publicKey, token) = (inputs + "/public", inputs + "/token")
        try Disk.write(inputs + "/material", pattern(32))
        for name in ["imported", "waiting"] {
            try run("key", "create", "--external", "--alias", "alias/\(name)")
            for file in [publicKey, token, inputs + "/wrapped"] { try? Disk.unlink(file) }
            try run("key", "import", "parameters", "alias/\(name)", publicKey, token)
            try Command(
                "openssl", "pkeyutl", "-encrypt", "-pubin", "-inkey", publicKey, "-keyform", "DER",
                "-in", inputs + "/material", "-out", inputs + "/wrapped", "-pkeyopt",
                "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256"
            ).run()
            guard name == "imported" else { continue }
            try run("key", "import", "material", "alias/\(name)", inputs + "/wrapped", token)
        }
    }

    private func makeOthers() throws {
        let account = try run("key", "show", "alias/main", "--json")["arn"].string?
            .split(separator: ":")[4]
        try Disk.write(
            inputs + "/policy",
            #"{"Version":"2012-10-17","Statement":[{"Sid":"new","Effect":"Allow","#
                + #""Principal":{"AWS":"arn:aws:iam::\#(account ?? ""):root"},"#
                + #""Action":"kms:*","Resource":"*"}]}"#)
        try run("principal", "create", "someone")
        try run("principal", "create", "other")
        try run(
            "grant", "create", "alias/main", "--to", "someone", "--retiring", "root",
            "--operation", "Decrypt")
        ids["{grant}"] = try run("grant", "list", "alias/main", "--json")["grantId"].string
        ids["{slot}"] =
            try run("slot", "add", "recovery-key", "--label", "spare", "--json")["slotId"].string
        ids["{token}"] =
            try run("token", "add", "/nowhere.so", "--label", "old", "--json")["clusterId"].string
        try Command([Program.keyfold, "keystore", "backup", inputs + "/backup"] + whereabouts).run()
    }

    private var whereabouts: [String] { ["--keystore", keystore, "--key-file", keyFile] }

    @discardableResult
    private func run(_ words: String...) throws -> JSON {
        let output = try Command([Program.keyfold] + words + whereabouts).run().output
        return try JSON(output.first == "{" ? output : "null")
    }

    // MARK: Copies

    /// Runs `body` with a copy in a directory that is there no longer than that.
    func withCopy<Result>(_ body: (KeystoreCopy) throws -> Result) throws -> Result {
        let place = directory.path + "/work"
        try Disk.makeDirectory(place)
        defer { try? FileTree.remove(place) }
        return try body(try copy(in: place))
    }

    /// A copy in a directory that is there.
    func copy(in place: String) throws -> KeystoreCopy {
        try FileTree.copy(keystore, to: place + "/keystore")
        return KeystoreCopy(place: place, keyFile: keyFile, inputs: inputs, ids: ids)
    }
}

/// A keystore in a directory of its own, which commands may write to.
struct KeystoreCopy: Sendable {
    let place: String
    let keyFile: String
    fileprivate let inputs: String
    fileprivate let ids: [String: String]

    var keystore: String { place + "/keystore" }

    /// - Parameter words: `IN/…` is a file that is there, `OUT/…` one beside the keystore, `{…}`
    ///   one of the sample's ids.
    func command(_ words: [String]) -> Command {
        let command = commandWithPassphrase(words)
        // A new keystore has no slot for a key file.
        return words.starts(with: ["keystore", "create"])
            ? command : Command(command.words + ["--key-file", keyFile])
    }

    func commandWithPassphrase(_ words: [String]) -> Command {
        let whole = words.map { word in
            if let id = ids[word] { return id }
            if word.hasPrefix("IN/") { return inputs + word.dropFirst(2) }
            return word.hasPrefix("OUT/") ? place + word.dropFirst(3) : word
        }
        let whereabouts = words.contains("--keystore") ? [] : ["--keystore", keystore]
        return Command([Program.keyfold] + whole + whereabouts)
            .with(["KEYFOLD_PASSPHRASE_FILE": inputs + "/passphrase"])
    }

    func verify(_ directory: String? = nil) throws {
        try command(["keystore", "verify", "--quiet", "--keystore", directory ?? keystore]).run()
    }

    /// The events of changes that were made, by their ids: the operations' names.
    func loggedChanges() throws -> [String: String] {
        var found: [String: String] = [:]
        for event in try JSON.lines(try command(["log", "--json"]).run().output)
        where event["readOnly"].bool == false && event["errorCode"].string == nil {
            found[event["eventID"].string ?? ""] = event["eventName"].string
        }
        return found
    }

    /// What commands show, in the order of its lines: ids that `known` does not have, and times,
    /// are left open.
    func state(_ shows: [[String]], known: Set<String>? = nil) throws -> KeystoreState {
        var state = KeystoreState()
        for words in shows {
            state.add(
                words.joined(separator: " "),
                try JSON.lines(try command(words + ["--json"]).run().output), known)
        }
        return state
    }
}

/// What a keystore shows, comparable with what a copy of it shows after the same command.
struct KeystoreState: Equatable, CustomStringConvertible {
    /// Sorted for each command, since new ids come in any order.
    private var lines: [String] = []
    /// Every part of a text that may be a random id.
    private(set) var ids: Set<String> = []

    var description: String { lines.joined(separator: "\n") }

    static func == (one: KeystoreState, other: KeystoreState) -> Bool { one.lines == other.lines }

    fileprivate mutating func add(_ title: String, _ values: [JSON], _ known: Set<String>?) {
        var texts: [String] = []
        for value in values { texts.append(text(value, "", known)) }
        lines += ["$ keyfold " + title] + texts.sorted()
    }

    private mutating func text(_ value: JSON, _ name: String, _ known: Set<String>?) -> String {
        if let text = value.string { return words(text, name, known) }
        if !value.names.isEmpty {
            let members = value.names.map { "\($0): " + text(value[$0], $0, known) }
            return "{" + members.joined(separator: ", ") + "}"
        }
        if !value.list.isEmpty {
            var elements: [String] = []
            for element in value.list { elements.append(text(element, name, known)) }
            return "[" + elements.joined(separator: ", ") + "]"
        }
        return value.description
    }

    private mutating func words(_ text: String, _ name: String, _ known: Set<String>?) -> String {
        if name.hasSuffix("Date") { return "a time" }
        let parts = text.split(omittingEmptySubsequences: false) { "/: \"".contains($0) }
        let open = parts.map { part in
            let id = String(part)
            let isRandom = id.count >= 16 && id.contains(where: \.isNumber)
            guard isRandom || id.hasPrefix("cluster-") || id.hasPrefix("AKIA") else { return id }
            ids.insert(id)
            return known?.contains(id) ?? true ? id : "new"
        }
        return open.joined(separator: "/")
    }
}
