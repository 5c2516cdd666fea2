internal import Foundation
internal import Glibc

/// A copy of the PKCS#11 library that breaks the standard (Tests/HostilePKCS11), so that no two tests
/// share one: each file that is loaded has its own state.
package struct HostileLibrary: Sendable {
    package static let pin = "1234"

    package let path: String

    /// Makes the copy, where nothing may be yet.
    package init(copiedTo path: String) throws {
        try FileManager.default.copyItem(
            atPath: Program.directory + "/libHostilePKCS11.so", toPath: path)
        self.path = path
    }

    package func set(_ behaviour: String) throws {
        try unsafe withFunction("hostile_set") { function in
            // SAFETY: that is the function's type in HostilePKCS11.h.
            unsafe unsafeBitCast(
                function, to: (@convention(c) (UnsafePointer<CChar>) -> Void).self)(behaviour)
        }
    }

    package func count(_ what: String) throws -> Int {
        try unsafe withFunction("hostile_count") { function in
            // SAFETY: as above.
            Int(
                unsafe unsafeBitCast(
                    function, to: (@convention(c) (UnsafePointer<CChar>) -> UInt).self)(what))
        }
    }

    package func release() throws {
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

package struct NoSuchFunction: Error {
    let name: String

    package init(name: String) {
        self.name = name
    }
}
