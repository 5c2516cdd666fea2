internal import Cryptography

/// The key that signs, derived from a secret access key for one scope.
///
/// HMAC-SHA256 in a chain: date, Region, service, terminator (AWS IAM user guide, "Create a signed
/// AWS API request", step 3).
struct SigningKey: Sendable {
    private let key: SecretBytes

    init(secret: SecretBytes, scope: CredentialScope) {
        let steps = [scope.date, scope.region, scope.service, CredentialScope.terminator]
        key = steps.reduce(SecretBytes(joining: Array("AWS4".utf8), secret)) { key, step in
            HMACSHA256.derivedKey(for: Array(step.utf8), key: key)
        }
    }

    /// The signature over a canonical request, as 64 hexadecimal digits.
    func signature(of canonicalRequest: [UInt8], at date: String, scope: CredentialScope) -> [UInt8]
    {
        var text: [UInt8] = []
        text.reserveCapacity(160)
        text.append(contentsOf: SigV4.algorithm.utf8)
        text.append(newline)
        text.append(contentsOf: date.utf8)
        text.append(newline)
        scope.appendText(to: &text)
        text.append(newline)
        appendHexadecimal(SHA256.hash(canonicalRequest), to: &text)
        return hexadecimal(HMACSHA256.authenticationCode(for: text, key: key))
    }
}
