// swift-tools-version: 6.2
import PackageDescription

// What every Swift target is held to: Swift 6, strict memory safety, no warnings.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("ExistentialAny"),
]

let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let argumentParser: Target.Dependency = .product(
    name: "ArgumentParser", package: "swift-argument-parser")
let log: Target.Dependency = .product(name: "Logging", package: "swift-log")

/// The server's modules, which nothing else needs: without them neither Hummingbird nor NIO are
/// fetched and built (Tools/quickstart). Hummingbird and NIO are for KMSServer alone.
let hasServer = Context.environment["KEYFOLD_WITHOUT_SERVER"] == nil
let serverPackages: [Package.Dependency] = [
    .package(
        url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
]
let web: [Target.Dependency] = [
    .product(name: "HummingbirdCore", package: "hummingbird"),
    .product(name: "HummingbirdTLS", package: "hummingbird"),
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOHTTP1", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
    .product(name: "NIOSSL", package: "swift-nio-ssl"),
    .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
]
let metrics: Target.Dependency = .product(name: "CoreMetrics", package: "swift-metrics")

/// A module of the product. Arrows point from a module to what it uses (docs/architecture.md).
func module(
    _ name: String, uses dependencies: [Target.Dependency] = [], resources: [Resource] = []
) -> Target {
    .target(
        name: name, dependencies: dependencies, resources: resources, swiftSettings: strict)
}

func program(_ name: String, uses dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(
    _ name: String, uses dependencies: [Target.Dependency], resources: [Resource] = []
) -> Target {
    .testTarget(
        name: name, dependencies: ["TestSupport"] + dependencies, resources: resources,
        swiftSettings: strict)
}

let fuzzed: [Target.Dependency] = [
    "Cryptography", "KMSModel", "KMSStore", "KMSWire", "SealedFormat", "UsageLog",
]
/// The parsers under hostile bytes: a suite of tests, or for Tools/fuzz a program with libFuzzer.
let fuzz: Target =
    Context.environment["KEYFOLD_FUZZ"] == nil
    ? .testTarget(
        name: "FuzzTests", dependencies: ["TestSupport"] + fuzzed, path: "Tests/Fuzz",
        exclude: ["Corpus"], swiftSettings: strict)
    : .executableTarget(
        name: "Fuzz", dependencies: fuzzed, path: "Tests/Fuzz",
        exclude: ["Corpus", "FuzzTests.swift"], swiftSettings: strict + [.define("KEYFOLD_FUZZ")])

let serverProducts: [Product] = [.executable(name: "keyfold-serve", targets: ["keyfold-serve"])]
let serverTargets: [Target] = [
    module(
        "KMSServer",
        uses: ["Cryptography", "KMSModel", "KMSWire", "Platform", log, metrics] + web),
    program(
        "keyfold-serve",
        uses: [
            "Console", "Cryptography", "KMSCore", "KMSModel", "KMSServer", "Platform",
            argumentParser, log,
        ]),
    // The server before a service without keys. Not part of the product.
    .executableTarget(
        name: "ServerFixture",
        dependencies: ["Cryptography", "KMSModel", "KMSServer", "Platform", log],
        path: "Tests/ServerFixture", swiftSettings: strict),
    tests(
        "KMSServerTests",
        uses: ["Cryptography", "KMSModel", "KMSServer", "KMSWire", "Platform", log, metrics]),
]

let package = Package(
    name: "keyfold",
    products: [
        .executable(name: "keyfold", targets: ["keyfold"]),
        .executable(name: "keyfoldfs", targets: ["keyfoldfs"]),
        // For the power cuts only: a library to preload.
        .library(name: "WithoutSync", type: .dynamic, targets: ["WithoutSync"]),
        // For KilledCommandTests only: a library to preload.
        .library(name: "KilledCalls", type: .dynamic, targets: ["KilledCalls"]),
        // For tests only: a library to open at run time.
        .library(name: "HostilePKCS11", type: .dynamic, targets: ["HostilePKCS11"]),
    ] + (hasServer ? serverProducts : []),
    dependencies: [
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ] + (hasServer ? serverPackages : []),
    targets: [
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(
            name: "CSodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
        .systemLibrary(name: "CFUSE", pkgConfig: "fuse3", providers: [.apt(["libfuse3-dev"])]),
        .systemLibrary(name: "CPKCS11", providers: [.apt(["libp11-kit-dev"])]),
        .systemLibrary(
            name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .target(name: "CLinux"),

        module("Platform", uses: ["CLinux"]),
        module("Cryptography", uses: ["COpenSSL", "CSodium"]),
        module("PostQuantum", uses: ["Cryptography", crypto]),
        // The price list becomes a part of the programs: they need no file of it.
        module(
            "KMSModel", uses: ["Cryptography"],
            resources: [.embedInCode("Metering/aws-kms-prices.json")]),
        module("KMSWire", uses: ["Cryptography", "KMSModel"]),
        module("KMSClient", uses: ["CCurl", "Cryptography", "KMSModel", "KMSWire", "Platform"]),
        module("SealedFormat", uses: ["Cryptography"]),
        module("UsageLog", uses: ["Cryptography", "KMSModel", "Platform"]),
        module("KMSStore", uses: ["Cryptography", "KMSModel", "Platform", grdb]),
        module("KMSPKCS11", uses: ["CPKCS11", "Cryptography", "Platform"]),
        module(
            "KMSCore",
            uses: [
                "Cryptography", "KMSModel", "KMSPKCS11", "KMSStore", "Platform", "PostQuantum",
                "UsageLog",
            ]),
        module("Vault", uses: ["Cryptography", "KMSModel", "Platform", "SealedFormat"]),
        module("Mount", uses: ["CFUSE", "CLinux", "KMSModel", "Platform", "Vault", log]),

        module(
            "Console",
            uses: [
                "Cryptography", "KMSClient", "KMSCore", "KMSModel", "Platform", "SealedFormat",
                "UsageLog", "Vault",
            ]),

        program(
            "keyfoldfs",
            uses: [
                "Console", "Cryptography", "KMSClient", "KMSCore", "KMSModel", "Mount", "Platform",
                "UsageLog", "Vault", argumentParser, log,
            ]),
        program(
            "keyfold",
            uses: [
                "Console", "Cryptography", "KMSClient", "KMSCore", "KMSModel", "Platform",
                "SealedFormat", "UsageLog", "Vault", argumentParser,
            ]),

        .target(
            name: "TestSupport", dependencies: ["Platform"], path: "Tests/TestSupport",
            swiftSettings: strict),
        // The disk under Tools/powercut. Not part of the product.
        .executableTarget(
            name: "RecordingDisk", dependencies: ["CFUSE", "CLinux"], path: "Tests/RecordingDisk",
            swiftSettings: strict),
        // What the KMS core costs. Not part of the product.
        .executableTarget(
            name: "KMSBench", dependencies: ["Cryptography", "KMSCore", "KMSModel", "KMSStore"],
            path: "Tests/KMSBench", swiftSettings: strict),
        .target(name: "WithoutSync", path: "Tests/WithoutSync"),
        // What kills a command at a chosen call. Not part of the product.
        .target(name: "KilledCalls", path: "Tests/KilledCalls"),
        // A PKCS#11 module that breaks the standard on request. Not part of the product.
        .target(name: "HostilePKCS11", path: "Tests/HostilePKCS11"),
        tests("CryptographyTests", uses: ["Cryptography"]),
        tests("PostQuantumTests", uses: ["Cryptography", "PostQuantum"]),
        tests("PlatformTests", uses: ["Platform"]),
        tests("SealedFormatTests", uses: ["Cryptography", "SealedFormat"]),
        tests("KMSModelTests", uses: ["Cryptography", "KMSModel"]),
        tests("KMSWireTests", uses: ["Cryptography", "KMSModel", "KMSWire"]),
        tests(
            "KMSClientTests",
            uses: ["Cryptography", "KMSClient", "KMSModel", "KMSWire", "Platform"]),
        tests("UsageLogTests", uses: ["Cryptography", "KMSModel", "Platform", "UsageLog"]),
        tests("KMSPKCS11Tests", uses: ["CPKCS11", "Cryptography", "KMSPKCS11", "Platform"]),
        tests(
            "KMSCoreTests",
            uses: [
                "Cryptography", "KMSCore", "KMSModel", "KMSPKCS11", "KMSStore", "Platform",
                "UsageLog",
            ]),
        tests(
            "VaultTests",
            uses: ["Cryptography", "KMSModel", "Platform", "SealedFormat", "Vault"]),
        tests("MountTests", uses: ["Mount", "Platform"]),
        tests(
            "ConsoleTests",
            uses: ["Console", "KMSCore", "KMSModel", "Platform", "UsageLog", "Vault"]),
        tests("EndToEndTests", uses: ["Platform"]),
        fuzz,
    ] + (hasServer ? serverTargets : []),
    swiftLanguageModes: [.v6]
)
