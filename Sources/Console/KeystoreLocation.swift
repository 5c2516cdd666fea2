internal import Platform
internal import Vault

/// Where a command's keystore is: the first of these that is given.
///
/// 1. the option,
/// 2. the variable `KEYFOLD_KEYSTORE`,
/// 3. what the vault's `keyfold.json` names, when the command is about a vault,
/// 4. `$XDG_DATA_HOME/keyfold/keystore`.
package struct KeystoreLocation: Equatable, Sendable {
    static let variable = "KEYFOLD_KEYSTORE"
    /// The keystore inside a portable vault, below the vault's directory.
    package static let portableName = ".keyfold.keystore"

    static var isNamedByVariable: Bool { EnvironmentVariable.value(variable) != nil }

    /// Absolute.
    package let directory: String

    package init(directory: String) {
        self.directory = FilePaths.absolute(directory)
    }

    package static func find(option: String?, vault: String? = nil) throws(Failure)
        -> KeystoreLocation
    {
        if let named = option ?? EnvironmentVariable.value(variable) {
            return KeystoreLocation(directory: named)
        }
        if let vault, let named = try nameInConfig(of: vault) {
            guard !KeyPlace.isURL(named) else {
                throw Failure(
                    .usage, vault, "its keys are with the key service \(named), not in a keystore",
                    wayOut: "the service's own tools tell about its keys and its log")
            }
            return KeystoreLocation(directory: FilePaths.joined(named, below: vault))
        }
        return KeystoreLocation(directory: try dataHome() + "/keyfold/keystore")
    }

    private static func nameInConfig(of vault: String) throws(Failure) -> String? {
        do throws(VaultError) {
            return try VaultInspection.config(at: vault).keystore
        } catch {
            throw Failure(error, object: vault)
        }
    }

    /// XDG Base Directory Specification: `$XDG_DATA_HOME`, or `$HOME/.local/share`; relative
    /// paths in the variable are to be ignored.
    private static func dataHome() throws(Failure) -> String {
        if let home = EnvironmentVariable.value("XDG_DATA_HOME"), home.hasPrefix("/") {
            return home
        }
        guard let home = EnvironmentVariable.value("HOME"), home.hasPrefix("/") else {
            throw Failure(
                .usage, nil, "no keystore is named, and there is no home directory to look in",
                wayOut: "give --keystore DIR, or set \(variable)")
        }
        return home + "/.local/share"
    }
}
