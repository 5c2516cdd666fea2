import Foundation
import Glibc
import KMSPKCS11
import TestSupport
import Testing

/// A copy of the library that breaks the standard (Tests/HostilePKCS11), so that no two tests share
/// one: each file that is loaded has its own state.
struct HostileModule {
    static let original = Program.directory + "/libHostilePKCS11.so"
    static let pin = "1234"

    private let directory: TemporaryDirectory
    let path: String

    private init(in directory: TemporaryDirectory) throws {
        self.directory = directory
        path = directory.path + "/libhostile.so"
        try FileManager.default.copyItem(atPath: Self.original, toPath: path)
    }

    /// Runs `body` with a new copy, whose file is gone afterwards.
    @discardableResult
    static func with<Result>(
        _ behaviour: String = "well", _ body: (HostileModule) throws -> Result
    ) throws -> Result {
        let directory = try TemporaryDirectory(label: "hostile.")
        defer { directory.cleanUp() }
        let module = try HostileModule(in: directory)
        try module.set(behaviour)
        return try body(module)
    }

    func open(
        pin: String = HostileModule.pin, options: PKCS11Token.Options = .impatient
    ) throws -> PKCS11Token {
        try PKCS11Token.open(
            PKCS11Module.load(path: path), labelled("hostile"), pin: secret(pin), options: options)
    }

    /// The token before its first request.
    func unconnected(
        pin: String = HostileModule.pin, options: PKCS11Token.Options = .impatient
    ) throws -> PKCS11Token {
        try PKCS11Token(
            PKCS11Module.load(path: path), labelled("hostile"), pin: secret(pin), options: options)
    }

    func set(_ behaviour: String) throws {
        try unsafe withFunction("hostile_set") { function in
            // SAFETY: that is the function's type in HostilePKCS11.h.
            unsafe unsafeBitCast(
                function, to: (@convention(c) (UnsafePointer<CChar>) -> Void).self)(behaviour)
        }
    }

    func count(_ what: String) throws -> Int {
        try unsafe withFunction("hostile_count") { function in
            // SAFETY: as above.
            Int(
                unsafe unsafeBitCast(
                    function, to: (@convention(c) (UnsafePointer<CChar>) -> UInt).self)(what))
        }
    }

    func release() throws {
        try unsafe withFunction("hostile_release") { function in
            // SAFETY: as above.
            unsafe unsafeBitCast(function, to: (@convention(c) () -> Void).self)()
        }
    }

    private func withFunction<Result>(
        _ name: String, _ body: (UnsafeMutableRawPointer) -> Result
    ) throws -> Result {
        // SAFETY: strings live as long as the calls; the library is never unloaded.
        guard let library = unsafe dlopen(path, RTLD_NOW | RTLD_LOCAL),
            let function = unsafe dlsym(library, name)
        else { throw NoSuchFunction(name: name) }
        return unsafe body(function)
    }
}

struct NoSuchFunction: Error {
    let name: String
}
