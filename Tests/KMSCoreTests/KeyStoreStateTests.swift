import Cryptography
import KMSModel
import Testing

@testable import KMSCore
@testable import KMSStore

/// What a custom key store's state lets through (botocore, CustomKeyStoreInvalidStateException).
@Suite struct KeyStoreStateTests {
    private static let operations: [KMSOperation] = [
        .connectCustomKeyStore, .disconnectCustomKeyStore, .updateCustomKeyStore,
        .deleteCustomKeyStore,
    ]

    private let store = Structure([.customKeyStoreID: .text("cks-0123456789abcdef0")])
    private let password = Value.secret(secret("another password"))

    /// A keystore with a key store in `state`, whose library is nowhere.
    private func keystore(_ state: ConnectionState) throws -> TestKeystore {
        let kms = try TestKeystore()
        let cluster = try kms.keystore.addToken(
            modulePath: "/nowhere.so", tokenLabel: "none", as: kms.owner)
        var record = CustomKeyStoreRecord(
            region: "", id: "cks-0123456789abcdef0", name: "store", clusterID: cluster,
            trustAnchor: "anchor", password: secret("password"), creationDate: kms.clock.now())
        record.state = state
        if state == .failed { record.connectionError = .internalError }
        let made = record
        _ = try kms.keystore.store.change { _, change in change.keyStores = [made] }
        return kms
    }

    private func described(_ kms: TestKeystore) throws -> Structure {
        try #require(
            try kms.ask(.describeCustomKeyStores, store).structures(.customKeyStores).first)
    }

    @Test(arguments: [
        (
            ConnectionState.connected,
            [KMSOperation.connectCustomKeyStore, .disconnectCustomKeyStore]
        ),
        (.failed, [.disconnectCustomKeyStore]),
        (
            .disconnected,
            [.connectCustomKeyStore, .updateCustomKeyStore, .deleteCustomKeyStore]
        ),
    ])
    func `each state of a key store lets through what it does at AWS`(
        _ state: ConnectionState, _ permitted: [KMSOperation]
    ) throws {
        for operation in Self.operations {
            let kms = try keystore(state)
            let input =
                operation == .updateCustomKeyStore
                ? store.with(.keyStorePassword, password) : store
            let refusal = try kms.refusal(operation, input)
            let isPermitted = permitted.contains(operation)
            #expect(
                refusal?.code == (isPermitted ? nil : .keyStoreInvalidState), "\(operation)")
            if !isPermitted {
                #expect(try described(kms).text(.connectionState) == state.rawValue)
            }
        }
    }

    @Test func `a store fails that can't connect, but not one that others may be working with`()
        throws
    {
        let kms = try keystore(.disconnected)
        try kms.ask(.connectCustomKeyStore, store)
        #expect(try described(kms).text(.connectionState) == "FAILED")
        #expect(try described(kms).text(.connectionErrorCode) == "INTERNAL_ERROR")
        try kms.ask(.disconnectCustomKeyStore, store)
        #expect(try described(kms)[.connectionErrorCode] == nil)
        let other = try keystore(.connected)
        try other.ask(.connectCustomKeyStore, store)
        #expect(try described(other).text(.connectionState) == "CONNECTED")
        #expect(try described(other)[.connectionErrorCode] == nil)
    }

    @Test func `a connected store gets a new name, and nothing else`() throws {
        let renaming = store.with(.newCustomKeyStoreName, .text("another name"))
        for state in [ConnectionState.connected, .disconnected] {
            let kms = try keystore(state)
            #expect(try kms.refusal(.updateCustomKeyStore, renaming) == nil)
            #expect(try described(kms).text(.customKeyStoreName) == "another name")
            #expect(try described(kms).text(.connectionState) == state.rawValue)
        }
        let kms = try keystore(.connected)
        for input in [
            store, renaming.with(.keyStorePassword, password),
            renaming.with(.cloudHsmClusterID, .text("cluster-abcdefghijk")),
        ] {
            #expect(
                try kms.refusal(.updateCustomKeyStore, input)?.code == .keyStoreInvalidState)
        }
        #expect(try described(kms).text(.customKeyStoreName) == "store")
        let failed = try keystore(.failed)
        #expect(
            try failed.refusal(.updateCustomKeyStore, renaming)?.code == .keyStoreInvalidState)
    }

    @Test(arguments: [false, true])
    func `no key is made in a store that went away while its token made the material`(
        _ isDeleted: Bool
    ) throws {
        let kms = try keystore(.disconnected)
        if isDeleted { try kms.ask(.deleteCustomKeyStore, store) }
        let service = try #require(kms.keystore.service as? EmbeddedKeyService)
        var request = Request(
            .createKey, store, caller: kms.owner, scope: TestKeystore.scope,
            at: kms.clock.reading())
        var record = KeyRecord(
            id: .random(), creationDate: kms.clock.now(), state: .enabled, description: "",
            manager: .customer, tags: [], rotation: nil)
        record.origin = .awsCloudhsm
        record.customKeyStoreID = store.text(.customKeyStoreID)
        let refusal = #expect(throws: KMSError.self) {
            try service.add(record, [], for: &request)
        }
        #expect(refusal?.code == (isDeleted ? .keyStoreNotFound : .keyStoreInvalidState))
        #expect(try kms.ask(.listKeys).structures(.keys).count == 1)
    }

    @Test func `a key store is asked for by id or by name, not by both`() throws {
        let kms = try keystore(.disconnected)
        #expect(
            try kms.refusal(
                .describeCustomKeyStores, store.with(.customKeyStoreName, .text("store")))
                == .validation(
                    "You can specify either CustomKeyStoreId or CustomKeyStoreName, but not both."))
    }
}
