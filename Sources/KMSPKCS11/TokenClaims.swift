/// Which tokens of a module are in use by whom. A value without threads.
struct TokenClaims: Sendable {
    typealias Owner = Int

    private struct Claim: Sendable {
        let owner: Owner
        let token: PKCS11TokenDescription
        let slot: UInt
        var isConnected: Bool
    }

    private var claims: [Claim] = []
    private var lastOwner = 0

    mutating func newOwner() -> Owner {
        lastOwner += 1
        return lastOwner
    }

    /// The owner's earlier claim ends.
    ///
    /// - Returns: false when the token is another owner's.
    mutating func claim(_ token: PKCS11TokenDescription, in slot: UInt, by owner: Owner) -> Bool {
        let isFree = !claims.contains { $0.owner != owner && $0.token.isSameToken(as: token) }
        claims.removeAll { $0.owner == owner }
        guard isFree else { return false }
        claims.append(Claim(owner: owner, token: token, slot: slot, isConnected: true))
        return true
    }

    /// The claim stays; its owner will look for the token again.
    mutating func disconnect(_ owner: Owner) {
        for index in claims.indices where claims[index].owner == owner {
            claims[index].isConnected = false
        }
    }

    mutating func end(_ owner: Owner) {
        claims.removeAll { $0.owner == owner }
    }

    /// The tokens that others work with, and where.
    func others(than owner: Owner) -> [(token: PKCS11TokenDescription, slot: UInt)] {
        claims.filter { $0.owner != owner && $0.isConnected }.map { ($0.token, $0.slot) }
    }
}

extension PKCS11TokenDescription {
    /// Flags and limits change while a token is in use; these do not.
    func isSameToken(as other: PKCS11TokenDescription) -> Bool {
        label == other.label && serial == other.serial && model == other.model
            && manufacturer == other.manufacturer
    }
}
