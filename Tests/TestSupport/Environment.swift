internal import Glibc

/// What the tests were told by whoever started them.
package enum Environment {
    package static subscript(name: String) -> String? {
        // SAFETY: nothing changes the environment of a test process; the text is copied here.
        unsafe getenv(name).map { unsafe String(cString: $0) }
    }
}
