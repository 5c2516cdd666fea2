package import Cryptography
package import KMSModel

/// A token that a custom key store can use: what AWS calls a CloudHSM cluster.
package struct TokenRecord: Sendable, Hashable {
    /// `cluster-` and 11…16 characters of `2-7a-zA-Z`.
    package var clusterID: String
    /// The path of the PKCS#11 module.
    package var modulePath: String
    package var tokenLabel: String
    package var creationDate: Timestamp

    package init(
        clusterID: String, modulePath: String, tokenLabel: String, creationDate: Timestamp
    ) {
        self.clusterID = clusterID
        self.modulePath = modulePath
        self.tokenLabel = tokenLabel
        self.creationDate = creationDate
    }

    func encoded() -> [UInt8] {
        var writer = RecordWriter()
        writer.append(RecordForm.first)
        writer.append(clusterID)
        writer.append(modulePath)
        writer.append(tokenLabel)
        writer.append(creationDate)
        return writer.finish()
    }

    init(decoding bytes: [UInt8]) throws(MalformedRecord) {
        var reader = RecordReader(bytes)
        try RecordForm.expect(RecordForm.first, &reader)
        self.init(
            clusterID: try reader.text(), modulePath: try reader.text(),
            tokenLabel: try reader.text(), creationDate: try reader.time())
        try reader.finish()
    }
}

/// A custom key store: a Region's use of a token.
package struct CustomKeyStoreRecord: Sendable {
    package var region: String
    /// `cks-` and 17 hex digits.
    package var id: String
    package var name: String
    package var clusterID: String
    package var trustAnchor: String
    /// The token's user PIN.
    package var password: SecretBytes
    /// One of `.connected`, `.disconnected`, `.failed`.
    package var state = ConnectionState.disconnected
    /// Of a failed one.
    package var connectionError: ConnectionErrorCode?
    package var creationDate: Timestamp

    package init(
        region: String, id: String, name: String, clusterID: String, trustAnchor: String,
        password: SecretBytes, creationDate: Timestamp
    ) {
        self.region = region
        self.id = id
        self.name = name
        self.clusterID = clusterID
        self.trustAnchor = trustAnchor
        self.password = password
        self.creationDate = creationDate
    }

    /// Holds the password: the caller wipes it.
    func encoded() -> [UInt8] {
        var writer = RecordWriter()
        writer.append(RecordForm.first)
        writer.append(region)
        writer.append(id)
        writer.append(name)
        writer.append(clusterID)
        writer.append(trustAnchor)
        writer.append(password)
        writer.append(creationDate)
        writer.append(state.rawValue)
        writer.append(connectionError?.rawValue)
        return writer.finish()
    }

    init(decoding bytes: [UInt8]) throws(MalformedRecord) {
        var reader = RecordReader(bytes)
        try RecordForm.expect(RecordForm.first, &reader)
        self.init(
            region: try reader.text(), id: try reader.text(), name: try reader.text(),
            clusterID: try reader.text(), trustAnchor: try reader.text(),
            password: try reader.secret(), creationDate: try reader.time())
        state = try reader.choice()
        if try reader.flag() { connectionError = try reader.choice() }
        try reader.finish()
    }
}
