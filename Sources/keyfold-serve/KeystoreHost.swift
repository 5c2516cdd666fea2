import Cryptography
import KMSCore
import KMSModel
import KMSServer

/// A keystore, as the server sees it.
struct KeystoreHost: KeyServiceHost {
    let keystore: Keystore

    var defaultRegion: String { keystore.scope.region }

    /// Whether its database answers.
    var isReady: Bool {
        do throws(KMSError) {
            _ = try accessKey(id: "")
            return true
        } catch {
            return false
        }
    }

    var answersAtOnce: Bool { keystore.answersAtOnce }

    func service(in region: String) -> (any KeyService)? { keystore.service(inRegion: region) }

    func lacksAccessKey(id: String) -> Bool { keystore.lacksAccessKey(id: id) }

    func accessKey(id: String) throws(KMSError) -> HostAccessKey? {
        do throws(KeystoreError) {
            return try keystore.accessKey(id: id).map {
                HostAccessKey(principalARN: $0.principalARN, secret: $0.secret)
            }
        } catch {
            // What is wrong with it is for the operator, and `keyfold check` tells.
            throw .internalFailure("The keystore can't be read.")
        }
    }

    func principalARN(uid: UInt32) -> String { keystore.principalARN(uid: uid) }
}
