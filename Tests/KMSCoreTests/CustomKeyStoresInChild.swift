import Cryptography
import Foundation
import KMSModel
import KMSPKCS11
import KMSStore
import Testing

@testable import KMSCore

/// What ``CustomKeyStoreTests`` runs in a process of its own.
@Suite(
    .serialized,
    .enabled(if: ProcessInfo.processInfo.environment[CustomKeyStoreTests.variable] != nil))
struct CustomKeyStoresInChild {
    private let kms: TestKeystore
    private let tokens: String
    private let cluster: String

    init() throws {
        kms = try TestKeystore()
        tokens = try #require(ProcessInfo.processInfo.environment[CustomKeyStoreTests.variable])
        cluster = try kms.keystore.addToken(
            modulePath: try #require(CustomKeyStoreTests.modulePath), tokenLabel: "alpha",
            as: kms.owner)
    }

    private func create(
        _ name: String, password: String = "correct horse", cluster: String? = nil
    ) throws -> Structure {
        let answer = try kms.ask(
            .createCustomKeyStore,
            Structure([
                .customKeyStoreName: .text(name),
                .cloudHsmClusterID: .text(cluster ?? self.cluster),
                .trustAnchorCertificate: .text("anchor"),
                .keyStorePassword: .secret(secret(password)),
            ]))
        return Structure([.customKeyStoreID: answer[.customKeyStoreID]])
    }

    private func describe(_ store: Structure) throws -> Structure {
        try #require(
            try kms.ask(.describeCustomKeyStores, store).structures(.customKeyStores).first)
    }

    private func newKey(in store: Structure) throws -> String {
        let answer = try kms.ask(
            .createKey,
            Structure([.origin: .text("AWS_CLOUDHSM"), .customKeyStoreID: store[.customKeyStoreID]])
        )
        return try #require(answer.structure(.keyMetadata)?.text(.arn))
    }

    private func objectCount() throws -> Int {
        try FileManager.default.subpathsOfDirectory(atPath: tokens).count {
            $0.hasSuffix(".object") && !$0.hasSuffix("token.object")
        }
    }

    @Test func `a key lives in the token, and works while the store is connected`() throws {
        let store = try create("store")
        #expect(try describe(store).text(.connectionState) == "DISCONNECTED")
        #expect(throws: KMSError.self) { try newKey(in: store) }
        try kms.ask(.connectCustomKeyStore, store)
        #expect(try describe(store).text(.connectionState) == "CONNECTED")
        let before = try objectCount()
        let key = try newKey(in: store)
        #expect(try objectCount() > before)
        let blob = try StateTableTests.blob(kms, key)
        let opening = Structure([.ciphertextBlob: .bytes(blob)])
        let opened = try kms.ask(.decrypt, opening)
        #expect(opened.secret(.plaintext).map(text) == "x")
        #expect(
            try kms.refusal(
                .decrypt, opening.with(.encryptionContext, .context(EncryptionContext(["a": "b"]))))
                == .invalidCiphertext)
        for index in blob.indices {
            var changed = blob
            changed[index] ^= 1
            #expect(
                try kms.refusal(
                    .decrypt,
                    Structure([.ciphertextBlob: .bytes(changed), .keyID: .text(key)])) != nil)
        }
        let data = try kms.ask(
            .generateDataKey, Structure([.keyID: .text(key), .keySpec: .text("AES_256")]))
        #expect(
            try kms.ask(.decrypt, Structure([.ciphertextBlob: data[.ciphertextBlob]]))
                .secret(.plaintext).map(bytes) == data.secret(.plaintext).map(bytes))
        #expect(
            try kms.ask(
                .generateRandom,
                Structure([.numberOfBytes: .number(40)]).with(
                    .customKeyStoreID, store[.customKeyStoreID])
            ).secret(.plaintext)?.count == 40)

        try kms.ask(.disconnectCustomKeyStore, store)
        #expect(try kms.state(key) == "Unavailable")
        #expect(try kms.refusal(.decrypt, opening) == .invalidState("\(key) is unavailable."))
        try kms.ask(.connectCustomKeyStore, store)
        #expect(try kms.refusal(.decrypt, opening) == nil)
        // With the key its object goes.
        try kms.ask(.scheduleKeyDeletion, Structure([.keyID: .text(key)]))
        kms.waitForDeletion(days: 30)
        #expect(try objectCount() > before)
        #expect(try kms.refusal(.describeKey, Structure([.keyID: .text(key)]))?.code == .notFound)
        #expect(try objectCount() == before)
    }

    @Test func `a wrong password fails the connection, and says so`() throws {
        let store = try create("store", password: "wrong password")
        try kms.ask(.connectCustomKeyStore, store)
        #expect(try describe(store).text(.connectionState) == "FAILED")
        #expect(try describe(store).text(.connectionErrorCode) == "INVALID_CREDENTIALS")
        // AWS has a code alone; the log tells what the token said.
        let told = try #require(
            try kms.events().last { $0.eventName == "ConnectCustomKeyStore" }?.json)
        #expect(
            String(decoding: told, as: UTF8.self).contains(
                #""connectionFailure":"the token refused the login: "#))
        let correction = store.with(.keyStorePassword, .secret(secret("correct horse")))
        #expect(
            try kms.refusal(.updateCustomKeyStore, correction)?.code == .keyStoreInvalidState)
        #expect(
            try kms.refusal(.connectCustomKeyStore, store)?.code == .keyStoreInvalidState)
        try kms.ask(.disconnectCustomKeyStore, store)
        try kms.ask(.updateCustomKeyStore, correction)
        try kms.ask(.connectCustomKeyStore, store)
        #expect(try describe(store).text(.connectionState) == "CONNECTED")
        #expect(try describe(store)[.connectionErrorCode] == nil)
        // Again, it connects anew.
        #expect(try kms.refusal(.connectCustomKeyStore, store) == nil)
        #expect(try describe(store).text(.connectionState) == "CONNECTED")
        for operation in [KMSOperation.updateCustomKeyStore, .deleteCustomKeyStore] {
            #expect(try kms.refusal(operation, store)?.code == .keyStoreInvalidState)
        }
    }

    @Test func `names and clusters are used once, and a store with keys stays`() throws {
        let store = try create("one")
        #expect(
            throws: KMSError(
                .keyStoreNameInUse, "The name one belongs to another custom key store.")
        ) {
            try create("one")
        }
        let inUse = KMSError(.clusterInUse, "The cluster \(cluster) belongs to another key store.")
        #expect(throws: inUse) { try create("two") }
        let second = try kms.keystore.addToken(
            modulePath: try #require(CustomKeyStoreTests.modulePath), tokenLabel: "beta",
            as: kms.owner)
        let other = try create("two", cluster: second)
        #expect(
            try kms.refusal(
                .updateCustomKeyStore, other.with(.cloudHsmClusterID, .text(cluster))) == inUse)
        #expect(
            try kms.refusal(
                .updateCustomKeyStore, other.with(.newCustomKeyStoreName, .text("one")))?.code
                == .keyStoreNameInUse)
        try kms.ask(.connectCustomKeyStore, store)
        let key = try newKey(in: store)
        try kms.ask(.disconnectCustomKeyStore, store)
        #expect(try kms.refusal(.deleteCustomKeyStore, store)?.code == .keyStoreHasKeys)
        try kms.ask(.connectCustomKeyStore, store)
        try kms.ask(.scheduleKeyDeletion, Structure([.keyID: .text(key)]))
        kms.waitForDeletion(days: 30)
        _ = try kms.ask(.listKeys)
        try kms.ask(.disconnectCustomKeyStore, store)
        #expect(try kms.refusal(.deleteCustomKeyStore, store) == nil)
    }

    @Test func `a token that is away makes keys unavailable, and is found again`() throws {
        let store = try create("store")
        try kms.ask(.connectCustomKeyStore, store)
        let key = try newKey(in: store)
        let opening = Structure([.ciphertextBlob: .bytes(try StateTableTests.blob(kms, key))])
        try FileManager.default.moveItem(atPath: tokens, toPath: tokens + ".away")
        let refusal = try kms.refusal(.decrypt, opening)
        try FileManager.default.moveItem(atPath: tokens + ".away", toPath: tokens)
        #expect(refusal?.code == .invalidState)
        #expect(refusal?.kind == .unavailable)
        #expect(refusal?.message.hasPrefix("\(key) is unavailable: ") == true)
        try kms.ask(.disconnectCustomKeyStore, store)
        try kms.ask(.connectCustomKeyStore, store)
        #expect(try kms.refusal(.decrypt, opening) == nil)
    }

    @Test func `a store that another view has given another token is not used with the old one`()
        throws
    {
        let store = try create("store")
        try kms.ask(.connectCustomKeyStore, store)
        let drawing = store.with(.numberOfBytes, .number(8))
        #expect(try kms.refusal(.generateRandom, drawing) == nil)
        let second = try kms.keystore.addToken(
            modulePath: try #require(CustomKeyStoreTests.modulePath), tokenLabel: "beta",
            as: kms.owner)
        let other = try kms.again()
        defer { other.close() }
        func ask(_ operation: KMSOperation, _ input: Structure) throws {
            _ = try other.service.answer(operation, input, as: kms.owner)
        }
        try ask(.disconnectCustomKeyStore, store)
        #expect(try kms.refusal(.generateRandom, drawing)?.code == .keyStoreInvalidState)
        try ask(.updateCustomKeyStore, store.with(.cloudHsmClusterID, .text(second)))
        try ask(.connectCustomKeyStore, store)
        // A token has one user in a process, which is the other view.
        let refusal = try kms.refusal(.generateRandom, drawing)
        #expect(refusal?.message.contains("in use") == true, "\(String(describing: refusal))")
    }
}
