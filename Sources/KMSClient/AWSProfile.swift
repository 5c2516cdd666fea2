internal import Cryptography
internal import Platform

/// One profile of the shared files: the settings of both, those of the credentials file first.
struct AWSProfile: Sendable {
    static let defaultName = "default"

    let name: String
    private let settings: AWSConfigFile.Section
    private let services: [String: AWSConfigFile.Section]

    /// Reads both files and picks a profile: `name`, else what AWS_PROFILE names, else `default`.
    ///
    /// - Returns: an empty profile when neither file has a default one.
    /// - Throws: ``CredentialError/noSuchProfile(_:)`` for one that was asked for by name, and what
    ///   is wrong with a file.
    static func load(
        _ environment: AWSEnvironment, name: String? = nil
    ) throws(CredentialError) -> AWSProfile {
        let config = try file(
            .config, environment.path("AWS_CONFIG_FILE", orBelowHome: ".aws/config"))
        let credentials = try file(
            .credentials,
            environment.path("AWS_SHARED_CREDENTIALS_FILE", orBelowHome: ".aws/credentials"))
        let wanted = name ?? environment["AWS_PROFILE"]
        let found = wanted ?? defaultName
        let (first, second) = (credentials.profiles[found], config.profiles[found])
        if first == nil, second == nil, let wanted { throw .noSuchProfile(wanted) }
        return AWSProfile(
            name: found, settings: (first ?? [:]).merging(second ?? [:]) { mine, _ in mine },
            services: config.services)
    }

    /// nil where it is absent or empty.
    func text(_ name: String) -> String? {
        guard let text = settings[name]?.value.text, !text.isEmpty else { return nil }
        return text
    }

    func secret(_ name: String) -> SecretBytes? {
        guard case .secret(let secret) = settings[name]?.value, secret.count > 0 else { return nil }
        return secret
    }

    /// A setting of one service in the services section that the profile names.
    func serviceText(_ service: String, _ name: String) -> String? {
        guard let section = text("services").flatMap({ services[$0] }),
            let text = section[service]?.nested[name], !text.isEmpty
        else { return nil }
        return text
    }

    private static func file(
        _ kind: AWSConfigFile.Kind, _ path: String?
    ) throws(CredentialError) -> AWSConfigFile {
        guard let path else { return AWSConfigFile() }
        var bytes: [UInt8]
        do throws(Errno) {
            // Where somebody has put a FIFO, nobody waits for its other end.
            let file = try Descriptor.open(path: path, OpenFlag.nonBlocking)
            bytes = try file.readAll(limitBytes: AWSConfigFile.maximumBytes)
        } catch {
            switch error {
            case .noSuchFileOrDirectory, .notDirectory: return AWSConfigFile()
            case .fileTooLarge:
                throw .malformed(path: path, AWSConfigSyntaxError(line: 1, fault: .tooLong))
            default: throw .unreadable(path: path, error)
            }
        }
        defer { wipe(&bytes) }
        do throws(AWSConfigSyntaxError) {
            return try AWSConfigFile(kind, parsing: bytes)
        } catch {
            throw .malformed(path: path, error)
        }
    }
}
