import ArgumentParser
import Console
import Cryptography
import Glibc
import Platform

ProcessHardening.apply()
SecretBytes.prepareSecureHeap()

do {
    var command = try Keyfold.parseAsRoot()
    try command.run()
} catch let failure as Failure {
    Output.flush()
    StandardError.report(failure)
    exit(failure.status.rawValue)
} catch {
    // Wrong usage, --help, --version, and exit codes of commands that said why themselves.
    Keyfold.exit(withError: error)
}
