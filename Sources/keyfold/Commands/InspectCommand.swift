import ArgumentParser
import Console
import Glibc
import KMSModel
import Platform
import SealedFormat
import Vault

struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Show a sealed file's header; needs no key.",
        discussion: """
            FILE is a file in the vault's directory, not in the mount. Of several, keyfold.json \
            and what is no file (directories, links) are passed over.
            Example: keyfold inspect --json ~/vault/*
            """)

    @Argument(help: "Sealed files.", completion: .file())
    var files: [String]

    @OptionGroup var common: CommonOptions

    func run() throws {
        var failures: [Failure] = []
        let isPattern = files.count > 1
        for path in files where !isPattern || !Self.isPassedOver(path) {
            do throws(Failure) {
                let file = try SealedFileView(path)
                common.output.data(file.json, file.sheet.text + (isPattern ? "\n" : ""))
            } catch {
                StandardError.report(error)
                failures.append(error)
            }
        }
        guard let first = failures.first else { return }
        let status = failures.count < files.count ? ExitStatus.partial : first.status
        throw ArgumentParser.ExitCode(status.rawValue)
    }

    /// Whether it is one of the names that `VAULT/*` stands for beside those of sealed files.
    private static func isPassedOver(_ path: String) -> Bool {
        if path.split(separator: "/").last == Substring(ReservedName.config) { return true }
        let node = try? Descriptor.open(path: path, OpenFlag.path | O_NOFOLLOW)
        guard let kind = try? node?.status().kind else { return false }
        return kind != .regular
    }
}

/// What a sealed file tells without any key. None of it is authenticated.
struct SealedFileView {
    let path: String
    let sealedSizeBytes: UInt64
    /// nil for an empty file, which is empty in the vault, too.
    let header: FileHeader?

    init(_ path: String) throws(Failure) {
        self.path = path
        do throws(VaultError) {
            let file = try VaultInspection.header(ofFileAt: path)
            header = file.header
            sealedSizeBytes = file.sealedSize
        } catch {
            guard case .format = error else { throw Failure(error, object: path) }
            throw Failure(
                .damagedData, path, "this is not a sealed file, or its header is damaged",
                wayOut: "name files in the vault's directory, not in the mount")
        }
    }

    var json: JSONValue {
        guard let header else {
            return .object([
                "format": .number(1), "empty": .flag(true), "fileId": .null,
                "wrappedKeys": .list([]), "path": .text(path), "sealedBytes": .number(0),
            ])
        }
        return .object([
            "format": .number(1),
            "empty": .flag(false),
            "fileId": .text(header.fileID.description),
            "wrappedKeys": .list(header.wrappedKeys.map(\.json)),
            "path": .text(path),
            "sealedBytes": .number(sealedSizeBytes),
            "cipher": .text(header.cipher.name),
            "sparse": .flag(header.isSparse),
            "headerVersion": .number(header.sealedBlocks == nil ? 1 : 2),
            "sealedBlocksAtMost": .number(ifAny: header.sealedBlocks),
        ])
    }

    var sheet: Sheet {
        var sheet = Sheet()
        sheet.add("File", path)
        guard let header else {
            sheet.add("State", "empty: there is nothing to seal")
            return sheet
        }
        sheet.add("Format", "1, \(header.cipher.name)" + (header.isSparse ? ", sparse" : ""))
        sheet.add("File id", header.fileID.description)
        sheet.add("Sealed size", "\(sealedSizeBytes) bytes")
        for key in header.wrappedKeys {
            sheet.add("Opened by", key.keyARN + (key.version.map { ", version \($0)" } ?? ""))
        }
        return sheet
    }
}

extension WrappedKey {
    /// nil when the blob is not one of Keyfold's own making.
    var version: UInt32? { SymmetricBlob(decoding: blob)?.keyVersion }

    fileprivate var json: JSONValue {
        .object(["keyArn": .text(keyARN), "keyVersion": .number(ifAny: version)])
    }
}

extension ContentCipher {
    fileprivate var name: String {
        switch self {
        case .aes256GCM: "AES-256-GCM"
        }
    }
}
