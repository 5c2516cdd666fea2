import Cryptography
import Foundation
import KMSCore
import KMSModel
import Testing
import UsageLog

@Suite struct UsageEventTests {
    @Test func `every operation leaves one event, refused ones too`() throws {
        let kms = try TestKeystore()
        let key = try kms.newKey().arn.description
        let (service, owner) = (kms.service, kms.owner)
        let context = EncryptionContext(["keyfold:file": "f"])
        let blob = try service.encrypt(secret("x"), under: key, context: context, as: owner).blob
        _ = try service.decrypt(blob, under: nil, context: context, as: owner)
        _ = try? service.decrypt(blob, under: nil, context: .empty, as: owner)
        _ = try? service.decrypt(blob, under: nil, context: context, as: kms.stranger)
        _ = try? service.describeKey("nonsense", as: owner)
        _ = try? service.generateRandom(byteCount: 0, as: owner)
        try service.disableKey(key, as: owner)
        _ = try? service.generateDataKey(under: key, byteCount: 32, context: context, as: owner)
        _ = try? service.rotateKeyOnDemand(key, as: owner)

        let records = try kms.events().map { event in
            try #require(
                try JSONSerialization.jsonObject(with: Data(event.json)) as? [String: Any])
        }
        let summary = records.map { record in
            [record["eventName"], record["errorCode"]].map { $0 as? String ?? "-" }
                .joined(separator: " ")
        }
        #expect(
            summary == [
                "CreateKey -", "Encrypt -", "Decrypt -", "Decrypt InvalidCiphertextException",
                "Decrypt AccessDeniedException", "DescribeKey NotFoundException",
                "GenerateRandom ValidationException", "DisableKey -",
                "GenerateDataKey DisabledException", "RotateKeyOnDemand DisabledException",
            ], "\(summary)")
        #expect(
            records.map { $0["readOnly"] as? Bool } == [
                false, true, true, true, true, true, true, false, true, false,
            ])
        let decrypt = records[2]
        let parameters = try #require(decrypt["requestParameters"] as? [String: Any])
        #expect(parameters["encryptionContext"] as? [String: String] == ["keyfold:file": "f"])
        #expect(parameters["encryptionAlgorithm"] as? String == "SYMMETRIC_DEFAULT")
        let additional = try #require(decrypt["additionalEventData"] as? [String: Any])
        #expect(additional["keyMaterialId"] is String)
        #expect(decrypt["responseElements"] is NSNull)
        #expect((decrypt["resources"] as? [[String: Any]])?.first?["ARN"] as? String == key)
    }

    @Test func `what cannot be logged is not answered`() throws {
        let kms = try TestKeystore()
        let key = try kms.newKey().arn.description
        let blob = try kms.service.encrypt(
            secret("x"), under: key, context: .empty, as: kms.owner
        ).blob
        for name in try FileManager.default.contentsOfDirectory(atPath: kms.path + "/log") {
            try FileManager.default.removeItem(atPath: "\(kms.path)/log/\(name)")
        }
        let failure = #expect(throws: KMSError.self) {
            try kms.service.decrypt(blob, under: nil, context: .empty, as: kms.owner)
        }
        #expect(failure?.code == .internalFailure)
        #expect(failure?.message.contains("usage log") == true)
    }

    @Test func `a closed keystore answers nothing`() throws {
        let kms = try TestKeystore()
        let key = try kms.newKey().arn.description
        kms.keystore.close()
        #expect(throws: KMSError.self) { try kms.service.describeKey(key, as: kms.owner) }
    }
}
