import Cryptography
import Foundation
import KMSModel
import Testing
import UsageLog

@testable import KMSCore
@testable import KMSStore

/// Changes of a keystore that AWS KMS has no operation for: each has its event.
@Suite struct AdministrationTests {
    private let kms: TestKeystore
    private let admin: Caller

    init() throws {
        kms = try TestKeystore()
        admin = Caller(
            principalARN: TestKeystore.scope.rootPrincipalARN,
            process: ProcessIdentity(uid: 4711, gid: 4712, pid: 4713, program: "keyfold"),
            userAgent: "keyfold/test")
    }

    private func records() throws -> [[String: Any]] {
        try kms.events().map { event in
            try #require(
                try JSONSerialization.jsonObject(with: Data(event.json)) as? [String: Any])
        }
    }

    private func parameters(_ record: [String: Any]) throws -> [String: Any] {
        try #require(record["requestParameters"] as? [String: Any])
    }

    /// One of everything.
    private func changeAll() throws {
        let keystore = kms.keystore
        _ = try keystore.createPrincipal(
            NewAccessKey(
                name: "boss", accessKeyID: "AKIAABCDEFGHIJKLMNOP",
                secretAccessKey: secret("a-very-secret-access-key"), isAdministrator: true),
            as: admin)
        try keystore.deletePrincipal(name: "boss", as: admin)
        let slot = try keystore.addSlot(.newRecoveryKey, label: "safe", as: admin)
        try keystore.removeSlot(slot.id, as: admin)
        let token = try keystore.addToken(
            modulePath: "/nowhere.so", tokenLabel: "none", as: admin)
        try keystore.removeToken(token, as: admin)
        try keystore.setLogDurability(.beforeRelease, as: admin)
    }

    @Test func `each change leaves one event, which says who made it and no secret`() throws {
        try changeAll()
        let records = try records()
        #expect(
            records.map { $0["eventName"] as? String }
                == AdministrativeChange.allCases.map(\.rawValue))
        for record in records {
            #expect(record["eventSource"] as? String == "keyfold")
            #expect(record["eventType"] as? String == "AwsApiCall")
            #expect(record["readOnly"] as? Bool == false)
            let identity = try #require(record["userIdentity"] as? [String: Any])
            #expect(identity["arn"] as? String == admin.principalARN)
            let data = try #require(record["additionalEventData"] as? [String: Any])
            #expect((data["keyfold"] as? [String: Any])?["uid"] as? Int == 4711)
        }
        for event in try kms.events() {
            #expect(!String(decoding: event.json, as: UTF8.self).contains("secret"))
        }
    }

    @Test func `an access key's event says whose it is, and whether he is an administrator`() throws
    {
        try changeAll()
        let records = try records()
        for (record, name) in zip(records, ["CreateAccessKey", "DeleteAccessKey"]) {
            #expect(record["eventName"] as? String == name)
            let parameters = try parameters(record)
            #expect(parameters["userName"] as? String == "boss")
            #expect(parameters["accessKeyId"] as? String == "AKIAABCDEFGHIJKLMNOP")
            #expect(parameters["administrator"] as? Bool == true)
        }
        #expect(try parameters(records[0])["keepPermissions"] as? Bool == false)
        #expect(try kms.events()[0].administered.map(\.value).contains("boss"))
        let slot = try parameters(records[2])
        #expect(slot["kind"] as? String == "recovery-key")
        #expect(slot["label"] as? String == "safe")
        #expect(try parameters(records[5])["modulePath"] as? String == "/nowhere.so")
        #expect(try parameters(records[6])["log"] as? String == "sync")
    }

    @Test func `what is refused, or changes nothing, leaves no event`() throws {
        #expect(throws: PrincipalError.missing("nobody")) {
            try kms.keystore.deletePrincipal(name: "nobody", as: admin)
        }
        #expect(throws: KeystoreError.noSuchSlot("none")) {
            try kms.keystore.removeSlot("none", as: admin)
        }
        #expect(throws: TokenError.missing("none")) {
            try kms.keystore.removeToken("none", as: admin)
        }
        try kms.keystore.setLogDurability(.withinASecond, as: admin)
        #expect(try kms.eventNames().isEmpty)
        #expect(try kms.keystore.store.snapshot().unlogged.isEmpty)
    }

    @Test func `no such change has an operation's name, and none is billed`() throws {
        #expect(
            AdministrativeChange.allCases.allSatisfy { KMSOperation(rawValue: $0.rawValue) == nil })
        _ = try kms.key()
        try kms.keystore.synchronizeLog()
        let usage = try kms.keystore.usageTally()
        try changeAll()
        try kms.keystore.synchronizeLog()
        #expect(try kms.keystore.usageTally() == usage)
        // Counted anew from the events.
        let report = try kms.keystore.usageLogVerifier().verify()
        #expect(report.passes, "\(report.problems)")
    }

    @Test func `the event of a change whose process died is logged by the next one`() throws {
        func createAndDie() throws {
            let other = try kms.again()
            try #require(other.service as? EmbeddedKeyService).shared.log.close()
            #expect(throws: PrincipalError.self) {
                try other.createPrincipal(
                    NewAccessKey(name: "boss", isAdministrator: true), as: admin)
            }
        }
        try createAndDie()
        #expect(try kms.keystore.principals().map(\.name) == ["boss"])
        try kms.again().close()
        #expect(try kms.eventNames() == ["CreateAccessKey"])
    }
}
