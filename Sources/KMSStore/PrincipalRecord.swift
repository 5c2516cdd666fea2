package import Cryptography
package import KMSModel

/// A principal of the keystore beside its owner and the local users: a name with an access key.
package struct PrincipalRecord: Sendable {
    /// 1…64 characters of `A-Za-z0-9+=,.@_-`, as IAM's user names.
    package var name: String
    /// 16…128 letters, digits and underscores, as AWS's access key ids.
    package var accessKeyID: String
    /// 16…128 printable characters.
    package var secretAccessKey: SecretBytes
    /// What the account root may by delegation, an administrator may, too.
    package var isAdministrator: Bool
    package var creationDate: Timestamp

    package init(
        name: String, accessKeyID: String, secretAccessKey: SecretBytes, isAdministrator: Bool,
        creationDate: Timestamp
    ) {
        self.name = name
        self.accessKeyID = accessKeyID
        self.secretAccessKey = secretAccessKey
        self.isAdministrator = isAdministrator
        self.creationDate = creationDate
    }

    /// Holds the secret: the caller wipes it.
    func encoded() -> [UInt8] {
        var writer = RecordWriter()
        writer.append(RecordForm.first)
        writer.append(name)
        writer.append(accessKeyID)
        writer.append(secretAccessKey)
        writer.append(isAdministrator)
        writer.append(creationDate)
        return writer.finish()
    }

    init(decoding bytes: [UInt8]) throws(MalformedRecord) {
        var reader = RecordReader(bytes)
        try RecordForm.expect(RecordForm.first, &reader)
        self.init(
            name: try reader.text(), accessKeyID: try reader.text(),
            secretAccessKey: try reader.secret(), isAdministrator: try reader.flag(),
            creationDate: try reader.time())
        try reader.finish()
    }
}
