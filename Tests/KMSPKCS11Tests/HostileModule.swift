import KMSPKCS11
import TestSupport

/// A copy of the library that breaks the standard, and the tokens of a test's own in it.
struct HostileModule {
    private let library: HostileLibrary

    var path: String { library.path }

    /// Runs `body` with a new copy, whose file is gone afterwards.
    @discardableResult
    static func with<Result>(
        _ behaviour: String = "well", _ body: (HostileModule) throws -> Result
    ) throws -> Result {
        let directory = try TemporaryDirectory(label: "hostile.")
        defer { directory.cleanUp() }
        let library = try HostileLibrary(copiedTo: directory.path + "/libhostile.so")
        try library.set(behaviour)
        return try body(HostileModule(library: library))
    }

    func open(
        pin: String = HostileLibrary.pin, options: PKCS11Token.Options = .impatient
    ) throws -> PKCS11Token {
        try PKCS11Token.open(
            PKCS11Module.load(path: path), labelled("hostile"), pin: secret(pin), options: options)
    }

    /// The token before its first request.
    func unconnected(
        pin: String = HostileLibrary.pin, options: PKCS11Token.Options = .impatient
    ) throws -> PKCS11Token {
        try PKCS11Token(
            PKCS11Module.load(path: path), labelled("hostile"), pin: secret(pin), options: options)
    }

    func set(_ behaviour: String) throws { try library.set(behaviour) }
    func count(_ what: String) throws -> Int { try library.count(what) }
    func release() throws { try library.release() }
}
