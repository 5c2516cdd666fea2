import Cryptography

// Ids of directories that begin anew, docs/format.md §5.
extension DomainKeys {
    /// Of an id, random; the other half is their code.
    private static let randomBytes = 8

    /// An id for a directory whose record a power cut took: it tells that another one went before,
    /// under which names in the directory may be sealed for good.
    package func laterDirectoryID() -> DirectoryID {
        let random = Random.bytes(Self.randomBytes)
        guard let id = DirectoryID(bytes: random + code(of: random)) else {
            preconditionFailure("BUG: a directory id of another length")
        }
        return id
    }

    /// Whether an id is one of ``laterDirectoryID()``; a random one is with a chance of 2^-64.
    package func isLater(_ id: DirectoryID) -> Bool {
        let random = Array(id.bytes.prefix(Self.randomBytes))
        return constantTimeEqual(Array(id.bytes.dropFirst(Self.randomBytes)), code(of: random))
    }

    private func code(of random: [UInt8]) -> [UInt8] {
        let code = HMACSHA256.authenticationCode(
            for: Label.laterDirectory + random, key: records)
        return Array(code.prefix(16 - Self.randomBytes))
    }
}
