import Cryptography
import KMSCore
import KMSModel
import Testing

/// KMS-REFERENCE's table of states and operations, for symmetric keys made by the service.
@Suite struct KeyStateTests {
    /// What a state answers to an operation.
    enum Answer: Sendable { case succeeds, isDisabled, isPendingDeletion, isNotPendingDeletion }

    struct Operation: Sendable, CustomTestStringConvertible {
        let name: String
        let disabled: Answer
        let pendingDeletion: Answer
        var enabled: Answer = .succeeds
        let run: @Sendable (TestKeystore, KeyARN) throws -> Void

        var testDescription: String { name }
    }

    static let operations: [Operation] = [
        .init(name: "Encrypt", disabled: .isDisabled, pendingDeletion: .isPendingDeletion) {
            _ = try $0.service.encrypt(
                secret("a"), under: $1.description, context: .empty, as: $0.owner)
        },
        .init(name: "GenerateDataKey", disabled: .isDisabled, pendingDeletion: .isPendingDeletion) {
            _ = try $0.service.generateDataKey(
                under: $1.description, byteCount: 32, context: .empty, as: $0.owner)
        },
        .init(
            name: "GenerateDataKeyWithoutPlaintext", disabled: .isDisabled,
            pendingDeletion: .isPendingDeletion
        ) {
            _ = try $0.service.generateDataKeyWithoutPlaintext(
                under: $1.description, byteCount: 32, context: .empty, as: $0.owner)
        },
        .init(name: "EnableKey", disabled: .succeeds, pendingDeletion: .isPendingDeletion) {
            try $0.service.enableKey($1.description, as: $0.owner)
        },
        .init(name: "DisableKey", disabled: .succeeds, pendingDeletion: .isPendingDeletion) {
            try $0.service.disableKey($1.description, as: $0.owner)
        },
        .init(
            name: "EnableKeyRotation", disabled: .isDisabled, pendingDeletion: .isPendingDeletion
        ) {
            try $0.service.enableKeyRotation($1.description, periodDays: nil, as: $0.owner)
        },
        .init(
            name: "DisableKeyRotation", disabled: .isDisabled, pendingDeletion: .isPendingDeletion
        ) {
            try $0.service.disableKeyRotation($1.description, as: $0.owner)
        },
        .init(name: "RotateKeyOnDemand", disabled: .isDisabled, pendingDeletion: .isPendingDeletion)
        { _ = try $0.service.rotateKeyOnDemand($1.description, as: $0.owner) },
        .init(name: "GetKeyRotationStatus", disabled: .succeeds, pendingDeletion: .succeeds) {
            _ = try $0.service.keyRotationStatus($1.description, as: $0.owner)
        },
        .init(name: "ListKeyRotations", disabled: .succeeds, pendingDeletion: .succeeds) {
            _ = try $0.service.listKeyRotations(
                $1.description, includesFirstMaterial: false, PageRequest(), as: $0.owner)
        },
        .init(
            name: "ScheduleKeyDeletion", disabled: .succeeds, pendingDeletion: .isPendingDeletion
        ) {
            _ = try $0.service.scheduleKeyDeletion($1.description, windowDays: 7, as: $0.owner)
        },
        .init(
            name: "CancelKeyDeletion", disabled: .isNotPendingDeletion, pendingDeletion: .succeeds,
            enabled: .isNotPendingDeletion
        ) { _ = try $0.service.cancelKeyDeletion($1.description, as: $0.owner) },
        .init(name: "CreateAlias", disabled: .succeeds, pendingDeletion: .isPendingDeletion) {
            try $0.service.createAlias("alias/x", target: $1.description, as: $0.owner)
        },
        .init(name: "TagResource", disabled: .succeeds, pendingDeletion: .isPendingDeletion) {
            try $0.service.tagResource(
                $1.description, tags: [Tag(key: "k", value: "v")], as: $0.owner)
        },
        .init(name: "UntagResource", disabled: .succeeds, pendingDeletion: .isPendingDeletion) {
            try $0.service.untagResource($1.description, tagKeys: ["k"], as: $0.owner)
        },
        .init(
            name: "UpdateKeyDescription", disabled: .succeeds, pendingDeletion: .isPendingDeletion
        ) { try $0.service.updateKeyDescription($1.description, to: "new", as: $0.owner) },
        .init(name: "DescribeKey", disabled: .succeeds, pendingDeletion: .succeeds) {
            _ = try $0.service.describeKey($1.description, as: $0.owner)
        },
        .init(name: "ListResourceTags", disabled: .succeeds, pendingDeletion: .succeeds) {
            _ = try $0.service.listResourceTags($1.description, PageRequest(), as: $0.owner)
        },
        .init(name: "ListAliases", disabled: .succeeds, pendingDeletion: .succeeds) {
            _ = try $0.service.listAliases(of: $1.description, PageRequest(), as: $0.owner)
        },
    ]

    @Test(arguments: operations)
    func `each state lets through or refuses an operation as AWS does`(
        _ operation: Operation
    ) throws {
        let kms = try TestKeystore()
        let never = Timestamp(secondsSinceEpoch: 0)
        let cases: [(KeyState, Answer)] = [
            (.enabled, operation.enabled), (.disabled, operation.disabled),
            (.pendingDeletion(at: never), operation.pendingDeletion),
        ]
        for (state, answer) in cases {
            let key = try kms.newKey(state)
            let expected: KMSError? =
                switch answer {
                case .succeeds: nil
                case .isDisabled: .disabled("\(key) is disabled.")
                case .isPendingDeletion: .invalidState("\(key) is pending deletion.")
                case .isNotPendingDeletion: .invalidState("\(key) is not pending deletion.")
                }
            if let expected {
                #expect(throws: expected) { try operation.run(kms, key) }
            } else {
                try operation.run(kms, key)
                try? kms.service.deleteAlias("alias/x", as: kms.owner)
            }
        }
    }

    @Test func `a disabled or pending key decrypts nothing, and decrypts again once enabled`()
        throws
    {
        let kms = try TestKeystore()
        let key = try kms.newKey().arn
        let wrapped = try kms.service.encrypt(
            secret("text"), under: key.description, context: .empty, as: kms.owner)
        func decrypted() throws -> String {
            text(
                try kms.service.decrypt(
                    wrapped.blob, under: nil, context: .empty, as: kms.owner
                ).plaintext)
        }
        try kms.service.disableKey(key.description, as: kms.owner)
        #expect(throws: KMSError.disabled("\(key) is disabled.")) { try decrypted() }
        _ = try kms.service.scheduleKeyDeletion(key.description, windowDays: nil, as: kms.owner)
        #expect(throws: KMSError.invalidState("\(key) is pending deletion.")) { try decrypted() }
        try kms.service.cancelKeyDeletion(key.description, as: kms.owner)
        #expect(try kms.service.describeKey(key.description, as: kms.owner).state == .disabled)
        try kms.service.enableKey(key.description, as: kms.owner)
        #expect(try decrypted() == "text")
    }

    @Test func `a key is gone with its material and aliases when its window is over`() throws {
        let kms = try TestKeystore()
        let key = try kms.newKey().arn
        try kms.service.createAlias("alias/doomed", target: key.description, as: kms.owner)
        let blob = try kms.service.encrypt(
            secret("x"), under: "alias/doomed", context: .empty, as: kms.owner
        ).blob
        let date = try kms.service.scheduleKeyDeletion(
            key.description, windowDays: 7, as: kms.owner)
        #expect(date == kms.clock.now().advanced(byDays: 7))

        for days in [6, 1] {
            kms.clock.advance(days: days)
            #expect(
                try kms.service.describeKey(key.description, as: kms.owner).state
                    == date.map { .pendingDeletion(at: $0) })
        }
        kms.clock.advance(days: 1)
        #expect(throws: KMSError.notFound("Key '\(key)' does not exist")) {
            try kms.service.describeKey(key.description, as: kms.owner)
        }
        #expect(throws: KMSError.accessDenied(unknownKeyMessage)) {
            try kms.service.decrypt(blob, under: nil, context: .empty, as: kms.owner)
        }
        let names = try kms.service.listAliases(of: nil, PageRequest(), as: kms.owner).elements
        #expect(names.map(\.name.description) == ["alias/aws/keyfold"])
        #expect(try kms.eventNames().contains("DeleteKey"))
        // Reopening verifies every record.
        let again = try kms.again()
        again.close()
    }

    @Test(arguments: [6, 31, 365])
    func `a deletion window outside 7 to 30 days is refused`(_ days: Int) throws {
        let kms = try TestKeystore()
        let key = try kms.newKey().arn.description
        #expect(
            throws: KMSError.validation("PendingWindowInDays must be between 7 and 30 (inclusive).")
        ) { try kms.service.scheduleKeyDeletion(key, windowDays: days, as: kms.owner) }
    }

    @Test(arguments: [
        (
            0,
            "Value '0' at 'pendingWindowInDays' failed to satisfy constraint: "
                + "Member must have value greater than or equal to 1"
        ),
        (
            366,
            "Value '366' at 'pendingWindowInDays' failed to satisfy constraint: "
                + "Member must have value less than or equal to 365"
        ),
    ])
    func `a deletion window outside the service model is refused in its words`(
        _ days: Int, _ message: String
    ) throws {
        let kms = try TestKeystore()
        let key = try kms.newKey().arn.description
        #expect(throws: KMSError.validation("1 validation error detected: \(message)")) {
            try kms.service.scheduleKeyDeletion(key, windowDays: days, as: kms.owner)
        }
    }

    @Test func `the service's own key works and cannot be changed`() throws {
        let kms = try TestKeystore()
        let alias = "alias/aws/keyfold"
        let metadata = try kms.service.describeKey(alias, as: kms.owner)
        #expect(metadata.manager == .aws)
        let key = metadata.arn.description
        _ = try kms.service.encrypt(secret("x"), under: alias, context: .empty, as: kms.owner)
        #expect(try kms.service.keyRotationStatus(key, as: kms.owner).periodDays == 365)
        func denied(_ action: String) -> KMSError {
            .accessDenied(
                "User: arn:aws:iam::111122223333:root is not authorized to perform: kms:\(action) "
                    + "on resource: \(key) because no resource-based policy allows the "
                    + "kms:\(action) action")
        }
        #expect(throws: denied("DisableKey")) { try kms.service.disableKey(key, as: kms.owner) }
        #expect(throws: denied("ScheduleKeyDeletion")) {
            try kms.service.scheduleKeyDeletion(key, windowDays: 7, as: kms.owner)
        }
        #expect(throws: denied("UpdateKeyDescription")) {
            try kms.service.updateKeyDescription(key, to: "mine", as: kms.owner)
        }
        #expect(throws: denied("TagResource")) {
            try kms.service.tagResource(key, tags: [Tag(key: "a", value: "b")], as: kms.owner)
        }
        #expect(throws: denied("DisableKeyRotation")) {
            try kms.service.disableKeyRotation(key, as: kms.owner)
        }
        #expect(throws: denied("RotateKeyOnDemand")) {
            try kms.service.rotateKeyOnDemand(key, as: kms.owner)
        }
        #expect(throws: KMSError.notAuthorized) {
            try kms.service.createAlias("alias/mine", target: key, as: kms.owner)
        }
    }
}

/// To the owner, of a ciphertext whose key is not there.
let unknownKeyMessage =
    "User: arn:aws:iam::111122223333:root is not authorized to perform: kms:Decrypt on the "
    + "resource associated with this ciphertext because the resource does not exist in this "
    + "Region, no resource-based policies allow access, or a resource-based policy explicitly "
    + "denies access"
