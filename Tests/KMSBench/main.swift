import Cryptography
import Foundation
import KMSCore
import KMSModel
import KMSStore

// What the KMS core costs, in a release build:
//   swift run -c release KMSBench scale [KEYS [GRANTS]]   opening and using a large keystore
//   swift run -c release KMSBench open [KEYS [GRANTS]]    opening alone, for a profile
//   swift run -c release KMSBench speed [SECONDS [NAME]]  operations a second on one thread
//   swift run -c release KMSBench json [SECONDS]          the same with latencies, for Tools/bench
let words = Array(CommandLine.arguments.dropFirst())
let numbers = words.dropFirst().compactMap { Int($0) }
switch words.first {
case "scale":
    try Scale(keys: numbers.first ?? 10_000, grants: numbers.dropFirst().first ?? 100_000).run()
case "open":
    try Scale(keys: numbers.first ?? 10_000, grants: numbers.dropFirst().first ?? 100_000).open()
case "speed":
    try Speed(seconds: Double(numbers.first ?? 2), name: words.dropFirst(2).first).run()
case "json":
    try Speed(seconds: Double(numbers.first ?? 2), name: nil).report()
default:
    print("usage: KMSBench scale|open [KEYS [GRANTS]] | speed [SECONDS [NAME]] | json [SECONDS]")
    exit(2)
}
