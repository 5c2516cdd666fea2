package import Cryptography
package import KMSModel

/// What stands behind the server: an account with its keys in every Region, and who may ask.
///
/// All of it may be called from several threads at once, and may take the time that a look into a
/// database takes. ``defaultRegion``, ``answersAtOnce``, ``lacksAccessKey(id:)`` and
/// ``principalARN(uid:)`` must not: the threads that read ask for them.
package protocol KeyServiceHost: Sendable {
    /// The Region of requests that name none, which only those without a signature may.
    var defaultRegion: String { get }

    /// Whether keys can be used just now.
    var isReady: Bool { get }

    /// Whether ``RequestProcessor/isQuick(_:)`` requests take microseconds just now, and may be
    /// answered by the thread that read them. Asked before anybody is believed to be somebody.
    var answersAtOnce: Bool { get }

    /// The keys of one Region; nil where the account has no such Region.
    func service(in region: String) -> (any KeyService)?

    /// Whether there is surely no such access key; false where that can't be told at once.
    func lacksAccessKey(id: String) -> Bool

    /// - Returns: nil when there is no such access key, or it may not be used.
    /// - Throws: ``KMSError`` when that can't be found out.
    func accessKey(id: String) throws(KMSError) -> HostAccessKey?

    /// A user of this machine, as an ARN.
    func principalARN(uid: UInt32) -> String
}

/// Whose an access key is, and what requests with it are signed with.
package struct HostAccessKey: Sendable {
    package let principalARN: String
    package let secret: SecretBytes

    package init(principalARN: String, secret: SecretBytes) {
        self.principalARN = principalARN
        self.secret = secret
    }
}
