import Foundation
import TestSupport
import Testing

/// Scripts of Tests/Oracles that ask a server what clients ask.
enum Oracle {
    /// A Python with an AWS Encryption SDK that is too old for `python3`'s; Tools/test makes it.
    static var olderPython: String? {
        ProcessInfo.processInfo.environment["KEYFOLD_OLDER_PYTHON"]
    }

    static func has(_ modules: String...) -> Bool {
        let script = modules.map { "import \($0)" }.joined(separator: "; ")
        return (try? Command("python3", "-c", script).result())?.succeeded ?? false
    }

    private static func path(_ script: String) -> String {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Oracles/\(script).py").path
    }

    /// What a script prints.
    static func lines(
        _ script: String, _ words: [String], python: String = "python3",
        variables: [String: String] = [:]
    ) throws -> [String] {
        // Nothing is to be left in the sources' folder.
        try Command([python, "-B", path(script)] + words).with(variables).limited(toSeconds: 300)
            .run().lines
    }

    /// What a script prints that gets the URL of a server and an administrator's access key, and
    /// then `words`; the server must end well, and leave a log that can be verified.
    static func run(
        _ script: String, before keystore: ServedKeystore? = nil, _ words: [String] = []
    ) throws -> [String] {
        let keystore = try keystore ?? ServedKeystore()
        let lines = try lines(
            script, try keystore.administered() + words, variables: keystore.environment)
        #expect(try keystore.stop() == 0)
        try keystore.keyfold("log", "verify").run()
        return lines
    }
}

extension ServedKeystore {
    /// Begins to serve.
    ///
    /// - Returns: the URL, and an administrator's access key with its secret.
    func administered() throws -> [String] {
        let key = try principal("client", "--administrator")
        return ["http://127.0.0.1:\(try serve())", key.id, key.secret]
    }
}
