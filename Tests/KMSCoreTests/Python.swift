import struct TestSupport.Command

/// Python as a second opinion.
enum Python {
    /// Whether a module can be imported.
    static func has(_ module: String) -> Bool {
        (try? run("import \(module)")) != nil
    }

    /// Runs a script that reads its standard input.
    ///
    /// - Returns: what it wrote.
    static func run(_ script: String, input: [UInt8] = []) throws -> [UInt8] {
        var command = Command("python3", "-c", script)
        command.input = input
        return try command.run().outputBytes
    }
}
