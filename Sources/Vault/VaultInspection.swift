import Platform
package import SealedFormat

/// What a vault shows without any key.
package enum VaultInspection {
    package static func config(at directory: String) throws(VaultError) -> VaultConfig {
        try open(directory).config
    }

    /// - Throws: ``VaultError/notAVault(path:)`` for a directory without `keyfold.json`.
    static func open(
        _ path: String
    ) throws(VaultError) -> (descriptor: Descriptor, config: VaultConfig) {
        let descriptor = try system { () throws(Errno) in
            try Descriptor.open(path: path, OpenFlag.directory)
        }
        let bytes: [UInt8]
        do throws(Errno) {
            bytes = try descriptor.openRegularFile(FileName(ReservedName.config))
                .readAll(limitBytes: VaultConfig.maximumBytes)
        } catch {
            guard error == .noSuchFileOrDirectory else { throw .system(error) }
            throw .notAVault(path: path)
        }
        let config = try format { () throws(FormatError) in try VaultConfig(decoding: bytes) }
        return (descriptor, config)
    }

    /// The header of a sealed file; nil when the file is empty.
    ///
    /// The header's size is a vault's constant, so all four that the format knows are tried.
    package static func header(
        ofFileAt path: String
    ) throws(VaultError) -> (header: FileHeader?, sealedSize: UInt64, layout: BlockLayout) {
        let file = try system { () throws(Errno) in
            try Descriptor.open(path: path, OpenFlag.nonBlocking)
        }
        let status = try system { () throws(Errno) in try file.status() }
        guard status.kind == .regular else { throw .system(.isDirectory) }
        var failure: FormatError?
        for headerBytes in BlockLayout.headerSizes {
            let layout = try format { () throws(FormatError) in
                try BlockLayout(headerBytes: headerBytes)
            }
            guard status.sizeBytes > 0 else { return (nil, 0, layout) }
            let bytes = try system { () throws(Errno) in
                try file.read(count: headerBytes, at: 0)
            }
            do throws(FormatError) {
                return (
                    try FileHeader(decoding: bytes, layout: layout), status.sizeBytes, layout
                )
            } catch {
                failure = failure ?? error
            }
        }
        throw .format(failure ?? .impossibleSize(status.sizeBytes))
    }
}
