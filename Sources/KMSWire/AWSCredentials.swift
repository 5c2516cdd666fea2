package import Cryptography
package import KMSModel

/// What a request to AWS, or to anything that speaks its protocol, is signed with.
package struct AWSCredentials: Sendable {
    /// Public: it stands in every request.
    package let accessKeyID: String
    /// Never sent.
    package let secretAccessKey: SecretBytes
    /// Sent with every request, for temporary credentials. Of no use without the secret, so it is
    /// a plain string, but never printed.
    package let sessionToken: String?
    /// nil for credentials that last.
    package let expiration: Timestamp?

    package init(
        accessKeyID: String, secretAccessKey: SecretBytes, sessionToken: String? = nil,
        expiration: Timestamp? = nil
    ) {
        self.accessKeyID = accessKeyID
        self.secretAccessKey = secretAccessKey
        self.sessionToken = sessionToken
        self.expiration = expiration
    }
}

extension AWSCredentials: CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    /// The access key id alone.
    package var description: String { "AWSCredentials(\(accessKeyID))" }
    package var debugDescription: String { description }
    /// Empty, so that `dump` and test failures show no secret either.
    package var customMirror: Mirror { Mirror(self, children: [:] as KeyValuePairs<String, Any>) }
}
