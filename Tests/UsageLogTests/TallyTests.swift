import Foundation
import KMSModel
import Testing

@testable import UsageLog

@Suite struct TallyTests {
    private let key = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    private let other =
        "arn:aws:kms:us-east-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab"
    private let alias = "arn:aws:kms:us-east-1:123456789012:alias/a/b"
    private let november = Timestamp(secondsSinceEpoch: 1_795_464_900)

    private func event(
        _ name: String, _ resources: [String], at time: Timestamp? = nil, id: String = "id",
        refused: Bool = false
    ) -> UsageEvent {
        var event = Fixture.event(name, at: time ?? november)
        event.eventID = id
        event.resources = resources
        if refused { event.error = .disabled("disabled") }
        return event
    }

    private func tally(_ events: [UsageEvent]) -> UsageTally {
        var tally = UsageTally()
        for event in events { tally.add(event) }
        return tally
    }

    @Test func `successful uses are remembered, refusals are counted, the service's own are not`() {
        var rotation = event("RotateKey", [key])
        rotation.isReadOnly = false
        var forwarded = event("CreateKey", [other])
        forwarded.isForwarded = true
        let tally = tally([
            event("Encrypt", [key], id: "1"), event("Decrypt", [key], id: "2", refused: true),
            event("DescribeKey", [key], id: "3"), rotation, event("ListKeys", []),
            event("CreateAlias", [alias, key], id: "4"), forwarded,
            event("SynchronizeMultiRegionKey", [other]),
            event("ReEncrypt", [key, other], at: november.advanced(byMilliseconds: 1), id: "5"),
        ])
        #expect(tally.keys.count == 3)
        #expect(tally[key]?.lastUse?.operation == "ReEncrypt")
        #expect(tally[key]?.lastUse?.eventID == "5")
        #expect(tally[other]?.lastUse?.operation == "ReEncrypt")
        #expect(tally[key]?.requests.map(\.count) == [5])
        #expect(tally[key]?.requests.map(\.refusedCount) == [1])
        #expect(tally[other]?.requests == [])
        #expect(tally[""]?.requests.map(\.count) == [1])
        #expect(tally[""]?.lastUse == nil)
    }

    @Test func `months are UTC's, and classes those of the price list`() {
        let start = Timestamp(iso8601: "2026-12-01T00:00:00Z") ?? november
        var sign = event("Sign", [key])
        sign.keySpec = "ECC_NIST_P256"
        var verify = event("Verify", [key])
        verify.keySpec = "RSA_2048"
        var wrap = event("Encrypt", [key])
        wrap.requestParameters = [.init("encryptionAlgorithm", .text("RSAES_OAEP_SHA_256"))]
        var pair = event("GenerateDataKeyPair", [key])
        pair.requestParameters = [.init("keyPairSpec", .text("RSA_4096"))]
        var curve = event("GenerateDataKeyPairWithoutPlaintext", [key])
        curve.requestParameters = [.init("keyPairSpec", .text("ECC_NIST_P384"))]
        let tally = tally([
            event("Decrypt", [key], at: start.advanced(byMilliseconds: -1)),
            event("Decrypt", [key], at: start), event("Decrypt", [key], at: start), sign, verify,
            wrap, pair, curve,
        ])
        let counts = tally[key]?.requests.map {
            "\($0.period.month) \($0.period.priceClass.name) \($0.count)"
        }
        #expect(
            counts == [
                "2026-11 symmetric 1", "2026-11 rsa-2048 1", "2026-11 asymmetric 2",
                "2026-11 ecc-key-pair 1", "2026-11 rsa-key-pair 1", "2026-12 symmetric 2",
            ])
    }

    @Test func `tallies of parts add up to the tally of the whole, in any order`() throws {
        var random = SeededRandom(seed: 7)
        let names = ["Encrypt", "Decrypt", "DescribeKey", "ListKeys", "Sign"]
        let events = (0..<300).map { number in
            let arns = [[key], [other], [key, other], [alias, other], []]
            return event(
                names.randomElement(using: &random) ?? "", arns.randomElement(using: &random) ?? [],
                at: november.advanced(
                    byMilliseconds: Int64.random(in: -9_000_000_000...9_000_000_000, using: &random)
                ),
                id: "event \(number % 50)", refused: Bool.random(using: &random))
        }
        let whole = tally(events)
        for cut in [0, 1, 100, 299] {
            var parts = tally(Array(events[cut...].shuffled(using: &random)))
            parts.add(tally(Array(events[..<cut].shuffled(using: &random))))
            #expect(parts == whole)
            #expect(parts.encoded() == whole.encoded())
        }
        #expect(UsageTally(decoding: whole.encoded()) == whole)
        #expect(UsageTally(decoding: []) == UsageTally())
        for length in 1..<whole.encoded().count {
            #expect(UsageTally(decoding: Array(whole.encoded()[..<length])) != whole)
        }
    }

    @Test func `an event that is read back counts as it did when it was logged`() throws {
        var events = [
            event("Encrypt", [key]), event("Decrypt", [key], refused: true), event("ListKeys", []),
            event("CreateAlias", [alias, key]), event("RotateKey", [key]),
            event("CreateKey", [key]), event("SynchronizeMultiRegionKey", [key]),
            event("ReEncrypt", [key, other]),
        ]
        events[0].requestParameters = [.init("encryptionAlgorithm", .text("SM2PKE"))]
        events[0].keySpec = "SM2"
        events[0].requestID = "another"
        events[5].isForwarded = true
        events[7].sourceKeySpec = "RSA_2048"
        events[7].keySpec = "RSA_4096"
        #expect(tally([events[7]])[key]?.requests.map(\.period.priceClass) == [.asymmetric])
        for event in events {
            let record = try #require(
                MeteredRecord(json: event.cloudTrailJSON()[...], time: event.eventTime))
            var readBack = UsageTally()
            readBack.add(record)
            #expect(readBack == tally([event]))
        }
    }

    /// As Keyfold wrote it before events told of both keys.
    @Test func `an old event of ReEncrypt counts as it did`() throws {
        let json = """
            {"eventVersion":"1.11","userIdentity":{"type":"Root","principalId":"123456789012",\
            "arn":"arn:aws:iam::123456789012:root","accountId":"123456789012"},\
            "eventTime":"2026-11-23T20:15:00Z","eventSource":"kms.amazonaws.com",\
            "eventName":"ReEncrypt","awsRegion":"us-east-1","sourceIPAddress":"127.0.0.1",\
            "userAgent":"keyfold/0.1","requestParameters":{"sourceKeyId":"\(key)",\
            "destinationKeyId":"\(other)","sourceEncryptionAlgorithm":"SYMMETRIC_DEFAULT",\
            "destinationEncryptionAlgorithm":"RSAES_OAEP_SHA_256"},"responseElements":null,\
            "additionalEventData":{"eventTimeMilliseconds":1795464900000,"keySpec":"RSA_4096"},\
            "requestID":"a","eventID":"a","readOnly":true,\
            "resources":[{"accountId":"123456789012","type":"AWS::KMS::Key","ARN":"\(key)"},\
            {"accountId":"123456789012","type":"AWS::KMS::Key","ARN":"\(other)"}],\
            "eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"123456789012",\
            "eventCategory":"Management"}
            """
        let record = try #require(MeteredRecord(json: Array(json.utf8)[...], time: november))
        var tally = UsageTally()
        tally.add(record)
        #expect(tally[key]?.requests.map(\.period.priceClass) == [.symmetric])
        #expect(tally[key]?.requests.map(\.count) == [1])
        #expect(tally[other]?.requests == [])
        #expect(tally[other]?.lastUse?.operation == "ReEncrypt")
    }

    // MARK: In a log

    @Test func `the totals need no reading, and verify finds them changed`() throws {
        let fixture = try Fixture()
        let notary = LogNotary(
            keys: fixture.keys, anchors: fixture.anchors, clock: fixture.clock)
        for _ in 0..<2 {
            let writer = fixture.writer()
            for name in ["Encrypt", "Decrypt"] { try writer.append(event(name, [key])) }
            writer.close()
        }
        let living = fixture.lazyWriter()
        let last = event("Sign", [key], at: november.advanced(byMilliseconds: 9), id: "last")
        try living.append(last)
        #expect(try notary.usage()[key]?.requests.map(\.count) == [4])
        try living.synchronize()
        #expect(try notary.usage()[key]?.requests.map(\.count) == [4, 1])
        #expect(try notary.usage(ofKey: key) == notary.usage()[key])
        #expect(try notary.usage(ofKey: key)?.lastUse?.eventID == "last")
        #expect(try notary.usage(ofKey: other) == nil)
        #expect(try fixture.verify().problems == [])

        let rows = fixture.anchors.rows
        fixture.anchors.rows.tallies = [:]
        #expect(try fixture.verify().problems.map(\.kind) == [.wrongTotals])
        fixture.anchors.rows = rows
        fixture.anchors.rows.segments[2].tally = rows.segments[2].tally + rows.segments[2].tally
        #expect(try fixture.verify().problems.map(\.kind) == [.wrongTotals])
        fixture.anchors.rows = rows
        living.close()
        #expect(try fixture.verify().problems == [])
        #expect(try notary.usage()[key]?.requests.map(\.count) == [4, 1])
    }

    @Test func `what a process left that died is in the totals when it is closed`() throws {
        let fixture = try Fixture()
        let dead = fixture.lazyWriter()
        for name in ["Encrypt", "Decrypt"] { try dead.append(event(name, [key])) }
        dead.abandon()
        let writer = fixture.writer()
        try writer.append(event("Encrypt", [key]))
        writer.close()
        let notary = LogNotary(
            keys: fixture.keys, anchors: fixture.anchors, clock: fixture.clock)
        #expect(try notary.usage()[key]?.requests.map(\.count) == [3])
        #expect(try fixture.verify().problems == [])
    }
}
