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

let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let argumentParser: Target.Dependency = .product(
    name: "ArgumentParser", package: "swift-argument-parser")
let log: Target.Dependency = .product(name: "Logging", package: "swift-log")

/// A module of the product. Arrows point from a module to what it uses (docs/architecture.md).
func module(_ name: String, uses dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
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
    "Cryptography", "KMSModel", "KMSStore", "SealedFormat", "UsageLog",
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

let package = Package(
    name: "keyfold",
    products: [
        .executable(name: "keyfold", targets: ["keyfold"]),
        .executable(name: "keyfoldfs", targets: ["keyfoldfs"]),
        // For the power cuts only: a library to preload.
        .library(name: "WithoutSync", type: .dynamic, targets: ["WithoutSync"]),
        // For KMSPKCS11Tests only: a library to open at run time.
        .library(name: "HostilePKCS11", type: .dynamic, targets: ["HostilePKCS11"]),
    ],
    dependencies: [
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CFUSE", pkgConfig: "fuse3", providers: [.apt(["libfuse3-dev"])]),
        .systemLibrary(name: "CPKCS11", providers: [.apt(["libp11-kit-dev"])]),
        .target(name: "CLinux"),

        module("Platform", uses: ["CLinux"]),
        module("Cryptography", uses: ["COpenSSL"]),
        module("KMSModel", uses: ["Cryptography"]),
        module("SealedFormat", uses: ["Cryptography"]),
        module("UsageLog", uses: ["Cryptography", "KMSModel", "Platform"]),
        module("KMSStore", uses: ["Cryptography", "KMSModel", "Platform", grdb]),
        module("KMSPKCS11", uses: ["CPKCS11", "Cryptography", "Platform"]),
        module(
            "KMSCore",
            uses: [
                "Cryptography", "KMSModel", "KMSPKCS11", "KMSStore", "UsageLog", "Platform",
            ]),
        module("Vault", uses: ["Cryptography", "KMSModel", "Platform", "SealedFormat"]),
        module("Mount", uses: ["CFUSE", "CLinux", "KMSModel", "Platform", "Vault", log]),

        module(
            "Console",
            uses: ["Cryptography", "KMSCore", "KMSModel", "Platform", "UsageLog", "Vault"]),

        program(
            "keyfoldfs",
            uses: [
                "Console", "Cryptography", "KMSCore", "KMSModel", "Mount", "Platform", "Vault",
                argumentParser, log,
            ]),
        program(
            "keyfold",
            uses: [
                "Console", "Cryptography", "KMSCore", "KMSModel", "Platform", "SealedFormat",
                "UsageLog", "Vault", argumentParser,
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
        // A PKCS#11 module that breaks the standard on request. Not part of the product.
        .target(name: "HostilePKCS11", path: "Tests/HostilePKCS11"),
        tests("CryptographyTests", uses: ["Cryptography"]),
        tests("PlatformTests", uses: ["Platform"]),
        tests("SealedFormatTests", uses: ["Cryptography", "SealedFormat"]),
        tests("KMSModelTests", uses: ["Cryptography", "KMSModel"]),
        tests("UsageLogTests", uses: ["Cryptography", "KMSModel", "Platform", "UsageLog"]),
        tests("KMSPKCS11Tests", uses: ["CPKCS11", "Cryptography", "KMSPKCS11", "Platform"]),
        tests(
            "KMSCoreTests",
            uses: ["Cryptography", "KMSCore", "KMSModel", "KMSStore", "Platform", "UsageLog"]),
        tests(
            "VaultTests",
            uses: ["Cryptography", "KMSModel", "Platform", "SealedFormat", "Vault"]),
        tests("MountTests", uses: ["Mount", "Platform"]),
        tests(
            "ConsoleTests",
            uses: ["Console", "KMSCore", "KMSModel", "Platform", "UsageLog", "Vault"]),
        tests("EndToEndTests", uses: ["Platform"]),
        fuzz,
    ],
    swiftLanguageModes: [.v6]
)
