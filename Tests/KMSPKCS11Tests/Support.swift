import Cryptography
import Foundation
import Synchronization
import Testing

@testable import KMSPKCS11

func secret(_ text: String) -> SecretBytes { secret(Array(text.utf8)) }

func secret(_ bytes: [UInt8]) -> SecretBytes {
    var copy = bytes
    return SecretBytes(consuming: &copy)
}

func bytes(_ secret: SecretBytes) -> [UInt8] {
    secret.withBytes { span in
        // SAFETY: any byte is a UInt8, and the loads check their bounds.
        (0..<span.byteCount).map { unsafe span.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
    }
}

/// A key id that no other test has.
func newKeyID() throws -> PKCS11KeyID { try #require(PKCS11KeyID(Random.bytes(16))) }

func labelled(_ label: String) throws -> PKCS11TokenSelector {
    try #require(PKCS11TokenSelector(label: label))
}

/// Runs `body` in that many threads at once, with their numbers, and waits for all of them.
func inThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    let group = DispatchGroup()
    for number in 0..<count {
        group.enter()
        Thread.detachNewThread {
            body(number)
            group.leave()
        }
    }
    group.wait()
}

/// Things that threads collect.
final class Collected<Element: Sendable>: Sendable {
    private let elements = Mutex<[Element]>([])

    func add(_ element: Element) { elements.withLock { $0.append(element) } }
    var all: [Element] { elements.withLock { $0 } }
}

/// The error of `body`; nil when there is none.
func failure<Value>(_ body: () throws(PKCS11Error) -> Value) -> PKCS11Error? {
    do throws(PKCS11Error) {
        _ = try body()
        return nil
    } catch {
        return error
    }
}

extension PKCS11Token {
    /// One that is connected.
    static func open(
        _ module: PKCS11Module, _ selector: PKCS11TokenSelector, pin: SecretBytes,
        options: Options = Options()
    ) throws(PKCS11Error) -> PKCS11Token {
        let token = PKCS11Token(module, selector, pin: pin, options: options)
        try token.reconnect()
        return token
    }
}

extension PKCS11Token.Options {
    /// Tests do not wait for a token to be looked for again.
    static var impatient: Self {
        var options = Self()
        options.reconnectPause = .zero
        return options
    }
}

extension PKCS11Error {
    static func failed(_ function: PKCS11Function, _ value: UInt) -> PKCS11Error {
        .failed(PKCS11Failure(function, ReturnValue(rawValue: value)))
    }

    static func unavailable(_ function: PKCS11Function, _ value: UInt) -> PKCS11Error {
        .unavailable(PKCS11Failure(function, ReturnValue(rawValue: value)))
    }

    static func loginRefused(_ function: PKCS11Function, _ value: UInt) -> PKCS11Error {
        .loginRefused(PKCS11Failure(function, ReturnValue(rawValue: value)))
    }
}
