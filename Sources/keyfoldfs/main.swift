import ArgumentParser
import Console
import Glibc
import Platform

ProcessHardening.apply()
Heap.keepLargeBuffers()

do {
    var command = try KeyfoldFS.parseAsRoot(
        CommandLine.arguments.dropFirst().map { $0 == "-V" ? "--version" : $0 })
    try command.run()
} catch let failure as Failure {
    StandardError.report(failure)
    exit(failure.status.rawValue)
} catch {
    // Wrong usage, --help and --version.
    KeyfoldFS.exit(withError: error)
}
