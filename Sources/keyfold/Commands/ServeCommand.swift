import ArgumentParser
import Console
import Platform

struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve the keystore over AWS KMS's protocol: runs keyfold-serve.",
        discussion: """
            All arguments are keyfold-serve's; 'keyfold serve --help' lists them.
            Example: keyfold serve --passphrase-file ~/.passphrase
            """)

    @Argument(parsing: .captureForPassthrough)
    var arguments: [String] = []

    func run() throws {
        let program = try SiblingProgram.find(
            "keyfold-serve", wayOut: "build it: swift build -c release --product keyfold-serve")
        let errno = ChildProcess.become(program, arguments)
        throw Failure(.unavailable, program, "can't be started: \(errno)")
    }
}
