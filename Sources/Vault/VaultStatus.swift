internal import Foundation
import Platform
import Synchronization

/// What a mount tells of itself, as `keyfold status` shows it.
package struct VaultStatus: Codable, Sendable, Hashable {
    package var vaultID: String
    package var format: Int
    package var keyARN: String
    package var mountPoint: String?
    package var pid: Int32
    package var isReadOnly: Bool
    package var isShared: Bool
    /// Files opened since the mount began: each was one use of a data key.
    package var filesOpened: UInt64
    /// Handles that are open now.
    package var openFiles: Int
    /// Names in the store that no key of this vault made, as far as directories were read.
    package var undecodableNames: Int
}

extension VaultFileSystem {
    package func status() -> VaultStatus {
        VaultStatus(
            vaultID: "\(config.vaultID)", format: config.format,
            keyARN: root.state.withLock { $0.directory }?.domain.keyARN ?? config.defaultKeyARN,
            mountPoint: options.mountPoint, pid: ProcessTable.currentPID,
            isReadOnly: options.isReadOnly,
            isShared: options.isShared, filesOpened: counters.opens.load(ordering: .relaxed),
            openFiles: handles.withLock { $0.fileCount },
            undecodableNames: counters.undecodableNames.withLock { $0.count })
    }
}

extension VaultStatus {
    /// One JSON object with sorted member names.
    var json: [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Strings, numbers and flags always encode.
        guard let data = try? encoder.encode(self) else { return [] }
        return Array(data)
    }
}
