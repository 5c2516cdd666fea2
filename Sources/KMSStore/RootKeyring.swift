internal import Cryptography
internal import KMSModel
internal import Platform

/// The root key in the kernel's keyring of this user (keyrings(7)), named by the keystore's id.
///
/// Every process of the user can read it there until it expires or is dropped.
enum RootKeyring {
    private static func description(_ keystoreID: [UInt8]) -> String {
        "keyfold:root:\(hexText(keystoreID))"
    }

    /// nil when the kernel holds no such key.
    static func read(keystoreID: [UInt8]) -> SecretBytes? {
        guard var bytes = try? KernelKeyring.read(description(keystoreID)) else { return nil }
        guard bytes.count == 32 else {
            wipe(&bytes)
            return nil
        }
        return SecretBytes(consuming: &bytes)
    }

    static func hold(
        _ rootKey: SecretBytes, keystoreID: [UInt8], timeoutSeconds: Int?
    ) throws(Errno) {
        try rootKey.withBytes { bytes throws(Errno) in
            try KernelKeyring.add(
                description(keystoreID), payload: bytes, timeoutSeconds: timeoutSeconds)
        }
    }

    /// Does nothing when there is none.
    static func drop(keystoreID: [UInt8]) throws(Errno) {
        try KernelKeyring.remove(description(keystoreID))
    }
}

extension KeystoreStore {
    /// Lets the kernel keep the root key, for `seconds` or until the machine restarts.
    package func holdInKernelKeyring(forSeconds seconds: Int?) throws(KeystoreError) {
        do throws(Errno) {
            try RootKeyring.hold(
                keys.rootKey, keystoreID: keys.keystoreID, timeoutSeconds: seconds)
        } catch {
            throw KeystoreError(error, path: "the kernel keyring")
        }
    }

    package static func dropFromKernelKeyring(directory: String) throws(KeystoreError) {
        let id = try keystoreID(at: directory)
        do throws(Errno) {
            try RootKeyring.drop(keystoreID: id)
        } catch {
            throw KeystoreError(error, path: "the kernel keyring")
        }
    }
}
