import ArgumentParser
import Console
import KMSModel

struct KeyRotate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate", abstract: "Give a key a new version now.",
        discussion: """
            New files are under the new version; older files stay readable, and \
            'keyfold rewrap VAULT' moves their headers on.
            Example: keyfold key rotate alias/keyfold/default
            """)

    @OptionGroup var key: KeyArgument
    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.change(key.name, "has a new version; 'keyfold rewrap VAULT' moves files to it") {
            service, id, caller throws(KMSError) in
            _ = try service.rotateKeyOnDemand(id, as: caller)
        }
    }
}

struct KeyRotationCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotation", abstract: "A key's versions, and its rotation by the calendar.",
        subcommands: [
            RotationStatus.self, RotationEnable.self, RotationDisable.self, RotationList.self,
        ])
}

struct RotationStatus: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Whether and when a key is rotated by itself.")

    @OptionGroup var key: KeyArgument
    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.withSession { session throws(Failure) in
            let id = try session.keyID(of: key.name)
            let status = try session.ask(about: key.name) { service, caller throws(KMSError) in
                try service.keyRotationStatus(id, as: caller)
            }
            common.output.data(status.json, "\(key.name): \(status.words)\n")
        }
    }
}

struct RotationEnable: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "enable", abstract: "Rotate a key by itself from now on.")

    @OptionGroup var key: KeyArgument

    @Option(help: ArgumentHelp("Days between rotations, 90…2560.", valueName: "n"))
    var days = 365

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.change(key.name, "gets a new version every \(days) days") {
            service, id, caller throws(KMSError) in
            try service.enableKeyRotation(id, periodDays: days, as: caller)
        }
    }
}

struct RotationDisable: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "disable", abstract: "Don't rotate a key by itself any more.")

    @OptionGroup var key: KeyArgument
    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.change(key.name, "is not rotated by itself") {
            service, id, caller throws(KMSError) in
            try service.disableKeyRotation(id, as: caller)
        }
    }
}

struct RotationList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List a key's versions, oldest first.")

    @OptionGroup var key: KeyArgument
    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.withSession { session throws(Failure) in
            let id = try session.keyID(of: key.name)
            let rotations = try session.askForAll(about: key.name) {
                service, page, caller throws(KMSError) in
                try service.listKeyRotations(id, includesFirstMaterial: true, page, as: caller)
            }
            let versions = rotations.enumerated().map { KeyVersion(number: $0 + 1, rotation: $1) }
            common.output.list(versions, json: \.json, table: KeyVersion.table)
        }
    }
}

/// A key's versions are numbered in the order of the list, which begins with the first.
struct KeyVersion {
    let number: Int
    let rotation: KeyRotation

    var json: JSONValue {
        .object([
            "version": .number(number),
            "keyMaterialId": .text(rotation.materialID.description),
            "rotationDate": .text(ifAny: rotation.rotationDate?.iso8601),
            "rotationType": .text(ifAny: rotation.rotationType?.rawValue),
            "current": .flag(rotation.isCurrent),
        ])
    }

    static func table(_ versions: [KeyVersion]) -> Table {
        var table = Table("VERSION", "ROTATED", "HOW", "CURRENT", "MATERIAL ID")
        for version in versions {
            let rotation = version.rotation
            table.add(
                String(version.number), rotation.rotationDate.map(LocalTime.text) ?? "-",
                rotation.rotationType?.words ?? "made with the key",
                rotation.isCurrent ? "yes" : "", rotation.materialID.description)
        }
        return table
    }
}

extension RotationType {
    fileprivate var words: String {
        switch self {
        case .automatic: "by itself"
        case .onDemand: "on demand"
        }
    }
}

extension KeyRotationStatus {
    var json: JSONValue {
        .object([
            "enabled": .flag(isEnabled),
            "periodDays": .number(ifAny: periodDays),
            "nextRotationDate": .text(ifAny: nextRotationDate?.iso8601),
        ])
    }

    var words: String {
        guard isEnabled else { return "not rotated by itself" }
        let next = nextRotationDate.map { ", next on \(LocalTime.text($0))" } ?? ""
        return "every \(periodDays ?? 365) days" + next
    }
}
