internal import Cryptography

/// One of AWS's two shared files, parsed: `~/.aws/config` or `~/.aws/credentials`.
///
/// ```
/// [profile work]            # in config; [work] in credentials, [default] in both
/// region = eu-central-1
/// services = local
/// s3 =
///   max_concurrent_requests = 4
/// [services local]
/// kms =
///   endpoint_url = http://localhost:8080
/// ```
///
/// Source: AWS SDKs and Tools reference guide, "Shared config and credentials files", and what the
/// SDKs have in common beyond it: names of settings without regard to case; comments from `#` or
/// `;` at the start of a line, or behind a space; the last of equal settings wins, and sections of
/// one name are one; a line that is further in than the setting before it belongs to that, and the
/// first one behind a section may be indented as it likes (Python's configparser); sections of other
/// kinds are passed by. Anything else is an error with its line, never a guess.
struct AWSConfigFile: Sendable {
    enum Kind: Sendable { case config, credentials }

    /// What is secret in a file goes into memory that is wiped.
    enum Value: Sendable {
        case text(String)
        case secret(SecretBytes)

        var text: String? { if case .text(let text) = self { text } else { nil } }
    }

    struct Setting: Sendable {
        var value: Value
        /// The indented lines below, where the setting itself is empty.
        var nested: [String: String] = [:]
    }

    /// Settings by their names in lower case.
    typealias Section = [String: Setting]

    static let maximumBytes = 1 << 18

    private(set) var profiles: [String: Section] = [:]
    private(set) var services: [String: Section] = [:]

    /// An absent file has nothing in it.
    init() {}

    /// - Throws: ``AWSConfigSyntaxError`` with the first line that is wrong.
    init(_ kind: Kind, parsing bytes: [UInt8]) throws(AWSConfigSyntaxError) {
        var parser = AWSConfigParser(kind)
        for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            try parser.read(line.last == UInt8(ascii: "\r") ? line.dropLast() : line)
        }
        profiles = parser.sections(.profile)
        // A profile that is called one goes before the bare name.
        if parser.hasNamedDefault {
            profiles["default"] = parser.sections(.namedDefault)["default"]
        }
        services = parser.sections(.services)
    }
}

/// A line of a shared file that no reader of such files could agree on.
package struct AWSConfigSyntaxError: Error, Hashable, Sendable {
    package let line: Int
    /// What is wrong with it, without its content, which may be secret.
    package let fault: Fault

    package enum Fault: String, Sendable {
        case tooLong = "the file is longer than 256 KiB"
        case notText = "it is not UTF-8 text"
        case unclosedSection = "the section has no closing bracket"
        case textBehindSection = "something stands behind the section"
        case emptySectionName = "the section has no name"
        case settingOutsideSection = "the setting stands before any section"
        case noEqualSign = "a setting has the form name = value"
        case malformedName = "the setting's name has characters that none has"
        case secretWithLines = "a secret has one line"
    }
}
