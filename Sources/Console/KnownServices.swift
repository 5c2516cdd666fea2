package import KMSClient
internal import Platform

/// The key services that this user has named, each with the account whose keys it is trusted for:
/// `$XDG_CONFIG_HOME/keyfold/services`, a line `URL ACCOUNT` for each.
///
/// A vault says itself where its keys are, but whoever can write the vault could make it say
/// another place, and would then hold the keys of all that is written from now on. So that counts
/// only for a service and an account that the person has named, as with known_hosts of ssh(1).
package enum KnownServices {
    /// Longer files are not ours.
    private static let maximumBytes = 1 << 20

    package static func accounts(of endpoint: Endpoint) throws(Failure) -> Set<String> {
        guard let path else { return [] }
        return Set(
            try lines(of: path).compactMap { line in
                let words = line.split(separator: " ")
                return words.count == 2 && words[0] == "\(endpoint)" ? String(words[1]) : nil
            })
    }

    /// The person names a service for keys of an account: it is known from now on, unless it is
    /// known for other accounts.
    ///
    /// - Throws: a ``Failure`` when it is, since then the vault may have been exchanged.
    package static func meet(_ endpoint: Endpoint, _ account: String) throws(Failure) {
        // Without a home nothing can be known, and whoever starts a mount without one names the
        // service each time (fstab).
        guard let path else { return }
        let known = try accounts(of: endpoint)
        if known.contains(account) { return }
        guard known.isEmpty else {
            throw Failure(
                .noPermission, "\(endpoint)",
                "the vault's key belongs to account \(account), and you know this service for "
                    + known.sorted().joined(separator: ", "),
                wayOut: "someone may have exchanged the vault; if it is right, add the line "
                    + "'\(endpoint) \(account)' to \(path)")
        }
        // What can't be written down counts this time, since it was named.
        try? add("\(endpoint) \(account)\n", to: path)
    }

    /// nil without a home directory.
    private static var path: String? {
        if let home = EnvironmentVariable.value("XDG_CONFIG_HOME"), home.hasPrefix("/") {
            return home + "/keyfold/services"
        }
        guard let home = EnvironmentVariable.value("HOME"), home.hasPrefix("/") else { return nil }
        return home + "/.config/keyfold/services"
    }

    private static func lines(of path: String) throws(Failure) -> [Substring] {
        do throws(Errno) {
            let file = try Descriptor.open(path: path, 0)
            let bytes = try file.readAll(limitBytes: maximumBytes)
            return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        } catch {
            if error == .noSuchFileOrDirectory { return [] }
            throw Failure(.system(error), object: path)
        }
    }

    private static func add(_ line: String, to path: String) throws(Errno) {
        let directory = FilePaths.absolute(path + "/..")
        _ = try Descriptor.openOrMakeDirectory(
            path: FilePaths.absolute(directory + "/.."), mode: 0o700)
        _ = try Descriptor.openOrMakeDirectory(path: directory, mode: 0o700)
        let file = try Descriptor.open(
            path: path, OpenFlag.readWrite | OpenFlag.create | OpenFlag.append, mode: 0o600)
        _ = try file.append(Array(line.utf8))
        try file.synchronize(dataOnly: false)
    }
}
