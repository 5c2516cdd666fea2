import ArgumentParser
import Console
import Cryptography
import Glibc
import Platform

ProcessHardening.apply()
SecretBytes.prepareSecureHeap()
// Files that the server makes, its socket among them, are its user's until it says otherwise.
umask(0o077)

do {
    try await KeyfoldServe.parse().serve()
    // All that was to be kept is kept. exit(3) would call the destructors of PKCS#11 libraries, which
    // may wait for a thread that hangs in one of them.
    _exit(EXIT_SUCCESS)
} catch let failure as Failure {
    StandardError.report(failure)
    exit(failure.status.rawValue)
} catch {
    // Wrong usage, --help and --version.
    KeyfoldServe.exit(withError: error)
}
