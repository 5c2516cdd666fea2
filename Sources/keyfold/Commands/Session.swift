import Console
import Glibc
import KMSCore
import KMSModel

/// A key service, and who asks it.
protocol Asking {
    var service: any KeyService { get }
    var caller: Caller { get }
}

/// An open keystore, and who asks it.
struct Session: Asking {
    let keystore: Keystore
    let caller: Caller

    init(_ keystore: Keystore) {
        self.keystore = keystore
        caller = Caller(asking: keystore.ownerPrincipalARN)
    }

    var service: any KeyService { keystore.service }
}

/// The keys of a vault, wherever they are, and who asks for them.
struct ServiceSession: Asking {
    let service: any KeyService
    let caller: Caller

    init(_ holder: KeyHolder) {
        service = holder.service
        caller = Caller(asking: holder.principalARN)
    }
}

extension Caller {
    /// This command itself.
    fileprivate init(asking principalARN: String) {
        self.init(
            principalARN: principalARN,
            process: ProcessIdentity(
                uid: getuid(), gid: getgid(), pid: getpid(), program: StandardError.program),
            userAgent: "keyfold/\(Product.version)")
    }
}

extension Asking {
    /// Asks the service; an answer that is not success names `object`.
    func ask<Answer>(
        about object: String?,
        _ request: (any KeyService, Caller) throws(KMSError) -> Answer
    ) throws(Failure) -> Answer {
        do throws(KMSError) {
            return try request(service, caller)
        } catch {
            throw Failure(error, object: object)
        }
    }

    /// Every element of a list that the service gives in pages.
    func askForAll<Element>(
        about object: String? = nil,
        _ request: (any KeyService, PageRequest, Caller) throws(KMSError) -> Page<Element>
    ) throws(Failure) -> [Element] {
        var elements: [Element] = []
        var page = PageRequest()
        repeat {
            let answer = try ask(about: object) { service, caller throws(KMSError) in
                try request(service, page, caller)
            }
            elements += answer.elements
            page.marker = answer.nextMarker
        } while page.marker != nil
        return elements
    }

    /// What a key is named in operations that take no aliases.
    func keyID(of name: String) throws(Failure) -> String {
        switch KeyReference(name) {
        case .keyID, .keyARN: name
        case .alias, .aliasARN: try describe(name).arn.keyID.description
        case nil:
            throw Failure(
                .usage, name, "this names no key",
                wayOut: "a key is named by its id, its ARN, alias/NAME or the alias's ARN")
        }
    }

    func describe(_ key: String) throws(Failure) -> KeyMetadata {
        try ask(about: key) { service, caller throws(KMSError) in
            try service.describeKey(key, as: caller)
        }
    }

    func aliases(of key: String? = nil) throws(Failure) -> [AliasEntry] {
        try askForAll(about: key) { service, page, caller throws(KMSError) in
            try service.listAliases(of: key, page, as: caller)
        }
    }
}

extension CommonOptions {
    /// Unlocks the keystore for the time of `body`.
    func withSession<Result>(
        vault: String? = nil, _ body: (Session) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let keystore = try openKeystore(at: try keystoreLocation(vault: vault))
        defer { keystore.close() }
        return try body(Session(keystore))
    }
}

extension VaultKeyOptions {
    /// Opens the place of a vault's keys for the time of `body`.
    func withKeys<Result>(
        ofVault vault: String, _ body: (ServiceSession) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let place = try KeyPlace.find(keystore: keystore, service: kms, vault: vault)
        let holder = try place.open(unlockSources, program: "keyfold")
        defer { holder.close() }
        return try body(ServiceSession(holder))
    }
}

extension BasicOptions {
    func openKeystore(at location: KeystoreLocation) throws(Failure) -> Keystore {
        try Unlocking(location: location, sources: unlockSources).open()
    }
}
