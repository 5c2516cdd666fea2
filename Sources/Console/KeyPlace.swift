package import KMSClient
package import KMSCore
package import KMSModel
internal import Platform
internal import SealedFormat
internal import Vault

/// Where a vault's keys are: in a keystore on this machine, or with a key service that speaks
/// AWS KMS's protocol. The first of these that is given:
///
/// 1. the options `--keystore` and `--kms` (for a mount `-o keystore=` and `-o kms=`),
/// 2. the variables `KEYFOLD_KEYSTORE` and `KEYFOLD_KMS`,
/// 3. what the vault's `keyfold.json` names, which for a service counts only if the person has
///    named that service before (``KnownServices``).
package enum KeyPlace: Sendable {
    case keystore(KeystoreLocation)
    case service(KeyServiceAddress, account: String?)

    static let variable = "KEYFOLD_KMS"

    /// - Parameters:
    ///   - vault: an existing vault's directory; nil for one that is about to be made.
    package static func find(
        keystore: String?, service: String?, vault: String? = nil
    ) throws(Failure) -> KeyPlace {
        guard keystore == nil || service == nil else {
            throw Failure(
                .usage, nil, "a keystore and a key service name two places for the keys",
                wayOut: "give one of them")
        }
        let config = try vault.map(config)
        if let named = service ?? variableValue(unless: keystore) {
            return try .service(named: named, of: config)
        }
        if keystore == nil, !KeystoreLocation.isNamedByVariable, let hint = config?.keystore,
            Self.isURL(hint)
        {
            return try .service(hintedAt: hint, of: config)
        }
        return .keystore(try KeystoreLocation.find(option: keystore, vault: vault))
    }

    private static func config(of vault: String) throws(Failure) -> VaultConfig {
        do throws(VaultError) {
            return try VaultInspection.config(at: vault)
        } catch {
            throw Failure(error, object: vault)
        }
    }

    /// A keystore that was named by an option goes before the variable.
    private static func variableValue(unless keystore: String?) -> String? {
        keystore == nil ? EnvironmentVariable.value(variable) : nil
    }

    /// Paths of keystores begin with `/`, or with a name.
    package static func isURL(_ hint: String) -> Bool { hint.contains("://") }

    private static func service(
        named text: String, of config: VaultConfig?
    ) throws(Failure) -> KeyPlace {
        let endpoint = try endpoint(text)
        let arn = try config.map(keyARN)
        if let account = arn?.scope.account { try KnownServices.meet(endpoint, account) }
        return .service(try address(endpoint, arn), account: arn?.scope.account)
    }

    private static func service(
        hintedAt text: String, of config: VaultConfig?
    ) throws(Failure) -> KeyPlace {
        let endpoint = try endpoint(text)
        guard let arn = try config.map(keyARN),
            try KnownServices.accounts(of: endpoint).contains(arn.scope.account)
        else {
            throw Failure(
                .noPermission, text,
                "the vault names this key service, which is not among those you know",
                wayOut: "whoever can write the vault can write that name; if the service is "
                    + "yours, name it once yourself: --kms \(text) (for a mount: -o kms=\(text))")
        }
        return .service(try address(endpoint, arn), account: arn.scope.account)
    }

    /// Whose account is the one that is trusted, so it must be known.
    private static func keyARN(_ config: VaultConfig) throws(Failure) -> KeyARN {
        guard let arn = KeyARN(config.defaultKeyARN) else {
            throw Failure(
                .damagedData, config.defaultKeyARN,
                "the vault's key is not named arn:PARTITION:kms:REGION:ACCOUNT:key/ID",
                wayOut: "take keyfold.json from a backup")
        }
        return arn
    }

    private static func endpoint(_ text: String) throws(Failure) -> Endpoint {
        do throws(Endpoint.Fault) {
            return try Endpoint(text)
        } catch {
            throw Failure(
                .usage, text, error.message,
                wayOut: "a key service is named https://HOST[:PORT], http://127.0.0.1:PORT or "
                    + "unix:///PATH")
        }
    }

    private static func address(
        _ endpoint: Endpoint, _ arn: KeyARN?
    ) throws(Failure) -> KeyServiceAddress {
        do throws(CredentialError) {
            return try KeyServiceAddress(endpoint, region: arn?.scope.region)
        } catch {
            throw Failure(.usage, "\(endpoint)", error.message, wayOut: error.hint)
        }
    }
}

/// An open ``KeyPlace``.
package struct KeyHolder: Sendable {
    package let service: any KeyService
    /// nil where the keys are with a service.
    package let keystore: Keystore?
    /// What a new vault's `keyfold.json` says of the place.
    package let hint: String

    /// Who asks, as far as this machine knows; a remote service goes by the credentials.
    package var principalARN: String { keystore?.ownerPrincipalARN ?? "" }

    /// Who a local user is to the keystore; a remote service goes by the mount's credentials.
    package func principalARN(uid: UInt32) -> String { keystore?.principalARN(uid: uid) ?? "" }

    package init(_ keystore: Keystore) {
        self.init(service: keystore.service, keystore: keystore, hint: keystore.directory)
    }

    fileprivate init(service: any KeyService, keystore: Keystore?, hint: String) {
        self.service = service
        self.keystore = keystore
        self.hint = hint
    }

    package func close() { keystore?.close() }
}

extension KeyPlace {
    /// Unlocks the keystore of a vault; a service is not asked anything yet.
    ///
    /// - Parameter program: `keyfold` or `keyfoldfs`, for the service's log.
    package func open(
        _ sources: UnlockSources, program: String
    ) throws(Failure) -> KeyHolder {
        switch self {
        case .keystore(let location):
            guard Keystore.isKeystore(at: location.directory) else {
                throw Failure(
                    .notFound, location.directory, "the vault's keystore is not here",
                    wayOut: "if it lies elsewhere, name it: --keystore DIR, for a mount "
                        + "-o keystore=DIR; if it is lost: keyfold keystore restore BACKUP "
                        + "--keystore \(location.directory)")
            }
            return KeyHolder(try Unlocking(location: location, sources: sources).open())
        case .service(let address, let account):
            let service = address.service(
                account: account, userAgent: "\(program)/\(Product.version)",
                clock: SystemWallClock())
            return KeyHolder(service: service, keystore: nil, hint: "\(address.endpoint)")
        }
    }
}
