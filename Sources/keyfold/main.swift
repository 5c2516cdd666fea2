import ArgumentParser
import Console
import Cryptography
import Platform

ProcessHardening.apply()
SecretBytes.prepareSecureHeap()

do {
    var command = try Keyfold.parseAsRoot()
    try command.run()
    try Output.flush()
} catch let failure as Failure {
    Keyfold.end(failure)
} catch {
    Keyfold.end(error)
}
