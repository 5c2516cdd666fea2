import ArgumentParser
import Console
import KMSCore
import KMSModel

struct PolicyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy", abstract: "Who may do what with a key.",
        subcommands: [PolicyGet.self, PolicyPut.self])
}

struct PolicyGet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "Print a key's policy.")

    @OptionGroup var key: KeyArgument
    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.withSession { session throws(Failure) in
            let input = Structure([.keyID: .text(try session.keyID(of: key.name))])
            let answer = try session.ask(about: key.name) { service, caller throws(KMSError) in
                try service.answer(.getKeyPolicy, input, as: caller)
            }
            let policy = answer.text(.policy) ?? ""
            common.output.data(.object(["policy": .text(policy)]), policy + "\n")
        }
    }
}

struct PolicyPut: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "put", abstract: "Give a key another policy.",
        discussion: """
            A policy that would not let you change it again is refused.
            Example: keyfold policy put alias/photos policy.json
            """)

    @OptionGroup var key: KeyArgument

    @Argument(help: "A file with the policy, as JSON.", completion: .file())
    var file: String

    @Flag(help: "Take a policy that locks you out, too.")
    var bypassLockoutSafetyCheck = false

    @OptionGroup var common: CommonOptions

    func run() throws {
        let policy = try PolicyFile.text(of: file)
        try common.withSession { session throws(Failure) in
            let input = Structure([
                .keyID: .text(try session.keyID(of: key.name)), .policy: .text(policy),
                .bypassPolicyLockoutSafetyCheck: bypassLockoutSafetyCheck ? .flag(true) : nil,
            ])
            try session.ask(about: key.name) { service, caller throws(KMSError) in
                _ = try service.answer(.putKeyPolicy, input, as: caller)
            }
            common.output.notice("\(key.name) has a new policy")
        }
    }
}

/// A policy's text in a file.
enum PolicyFile {
    static func text(of path: String) throws(Failure) -> String {
        let bytes = try PlainFile.contents(of: path, limitBytes: PolicyDocument.maximumBytes + 1)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw Failure(.usage, path, "the policy is no UTF-8 text")
        }
        return text
    }
}
