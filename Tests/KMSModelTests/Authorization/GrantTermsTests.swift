import KMSModel
import Testing

@Suite struct GrantTermsTests {
    private func terms(
        grantee: String? = Sample.alice.arn, service: String? = nil, retiring: String? = nil,
        retiringService: String? = nil, operations: [String] = ["Decrypt"],
        constraints: GrantConstraints = .none, name: String? = nil
    ) throws(KMSError) -> GrantTerms {
        try GrantTerms(
            granteePrincipal: grantee, granteeServicePrincipal: service,
            retiringPrincipal: retiring, retiringServicePrincipal: retiringService,
            operations: operations, constraints: constraints, name: name)
    }

    private func refusal(_ body: () throws(KMSError) -> Void) -> KMSError? {
        do throws(KMSError) {
            try body()
            return nil
        } catch {
            return error
        }
    }

    private static let source = GrantConstraints(
        context: nil, sourceARN: "arn:aws:ec2:us-east-1:111122223333:volume/v")

    @Test func `a grant is asked for by names`() throws {
        let terms = try terms(
            retiring: Sample.bob.arn, operations: ["Encrypt", "Decrypt", "Decrypt"], name: "n")
        #expect(
            terms
                == GrantTerms(
                    grantee: Sample.alice, retiringPrincipal: Sample.bob,
                    operations: KMSActionSet([.decrypt, .encrypt]), name: "n"))
        #expect(terms.operations.grantOperationNames == ["Decrypt", "Encrypt"])
        let service = try self.terms(
            grantee: nil, service: "ec2.amazonaws.com", retiringService: "ec2.amazonaws.com",
            constraints: Self.source)
        #expect(service.grantee == Sample.service)
        #expect(service.retiringPrincipal == Sample.service)
    }

    @Test func `the grant operations are those of the service model`() {
        #expect(KMSAction.grantOperations.count == 19)
        #expect(KMSActionSet(KMSAction.grantOperations).rawValue.nonzeroBitCount == 19)
        #expect(!KMSAction.grantOperations.contains(.revokeGrant))
    }

    @Test func `an unknown operation is refused, and the known ones are told`() {
        let error = refusal { () throws(KMSError) in
            _ = try terms(operations: ["Decrypt", "RevokeGrant"])
        }
        #expect(
            error
                == .validation(
                    "1 validation error detected: Value '[Decrypt, RevokeGrant]' at 'operations' "
                        + "failed to satisfy constraint: Member must satisfy constraint: [Member "
                        + "must satisfy enum value set: [Decrypt, Encrypt, GenerateDataKey, "
                        + "GenerateDataKeyWithoutPlaintext, ReEncryptFrom, ReEncryptTo, Sign, "
                        + "Verify, GetPublicKey, CreateGrant, RetireGrant, DescribeKey, "
                        + "GenerateDataKeyPair, GenerateDataKeyPairWithoutPlaintext, GenerateMac, "
                        + "VerifyMac, DeriveSharedSecret, Encapsulate, Decapsulate]]"))
    }

    @Test func `principals of the wrong form or number are refused`() {
        let cases: [(KMSError?, String)] = [
            (refusal { () throws(KMSError) in _ = try terms(grantee: nil) }, "ValidationException"),
            (
                refusal { () throws(KMSError) in _ = try terms(service: "ec2.amazonaws.com") },
                "ValidationException"
            ),
            (
                refusal { () throws(KMSError) in
                    _ = try terms(retiring: Sample.bob.arn, retiringService: "ec2.amazonaws.com")
                }, "ValidationException"
            ),
            (refusal { () throws(KMSError) in _ = try terms(grantee: "*") }, "InvalidArnException"),
            (refusal { () throws(KMSError) in _ = try terms(grantee: "") }, "InvalidArnException"),
            (
                refusal { () throws(KMSError) in
                    _ = try terms(
                        grantee: "arn:aws:iam::111122223333:user/"
                            + String(repeating: "a/", count: 120) + "b")
                }, "InvalidArnException"
            ),
            (
                refusal { () throws(KMSError) in _ = try terms(retiring: "Bob") },
                "InvalidArnException"
            ),
            (
                refusal { () throws(KMSError) in
                    _ = try terms(
                        grantee: nil, service: Sample.alice.arn, constraints: Self.source)
                }, "ValidationException"
            ),
            // A service needs a source, and somebody who retires the grant.
            (
                refusal { () throws(KMSError) in
                    _ = try terms(
                        grantee: nil, service: "ec2.amazonaws.com", retiring: Sample.bob.arn)
                }, "ValidationException"
            ),
            (
                refusal { () throws(KMSError) in
                    _ = try terms(
                        grantee: nil, service: "ec2.amazonaws.com", constraints: Self.source)
                }, "ValidationException"
            ),
        ]
        for (index, (error, name)) in cases.enumerated() {
            #expect(error?.exceptionName == name, "case \(index)")
        }
    }

    @Test func `only one kind of constraint on the context may be given`() {
        let error = refusal { () throws(KMSError) in
            _ = try GrantConstraints(
                encryptionContextEquals: .empty, encryptionContextSubset: .empty, sourceARN: nil)
        }
        #expect(error == .validation("More than one constraint supplied"))
    }

    // MARK: The key

    private static let mine: [KMSAction] = [.createGrant, .describeKey, .retireGrant]

    @Test(arguments: [
        (
            KeyUsage.encryptDecrypt, "SYMMETRIC_DEFAULT",
            [
                KMSAction.decrypt, .encrypt, .generateDataKey, .generateDataKeyWithoutPlaintext,
                .generateDataKeyPair, .generateDataKeyPairWithoutPlaintext, .reEncryptFrom,
                .reEncryptTo,
            ]
        ),
        (
            .encryptDecrypt, "RSA_2048",
            [.decrypt, .encrypt, .reEncryptFrom, .reEncryptTo, .getPublicKey]
        ),
        (.signVerify, "ECC_NIST_P256", [.sign, .verify, .getPublicKey]),
        (.generateVerifyMac, "HMAC_256", [.generateMac, .verifyMac]),
        (.keyAgreement, "ECC_NIST_P256", [.deriveSharedSecret, .getPublicKey]),
        (.encapsulateDecapsulate, "ML_KEM_768", [.encapsulate, .decapsulate, .getPublicKey]),
    ])
    func `operations fit the kind of key`(
        _ usage: KeyUsage, _ spec: String, _ operations: [KMSAction]
    ) {
        let isSymmetric = spec == "SYMMETRIC_DEFAULT" || spec.hasPrefix("HMAC_")
        let kind = isSymmetric ? "a symmetric" : "an asymmetric"
        for action in KMSAction.grantOperations {
            let isPermitted = operations.contains(action) || Self.mine.contains(action)
            let terms = GrantTerms(
                grantee: Sample.alice, operations: KMSActionSet([action, .describeKey]))
            let error = refusal { () throws(KMSError) in
                try terms.validate(usage: usage, keySpec: spec)
            }
            #expect((error == nil) == isPermitted, "\(action)")
            if !isPermitted {
                let valid = KMSActionSet(operations + Self.mine).grantOperationNames
                #expect(
                    error
                        == .validation(
                            "Operations [\(action.operation)] are not supported when creating a "
                                + "grant for \(kind) KMS key with key usage \(usage.rawValue). "
                                + "Valid operations are [\(valid.joined(separator: ", "))]"))
            }
        }
    }

    private func error(
        operations: KMSActionSet = KMSActionSet(.decrypt),
        context: GrantConstraints.Context? = nil, source: String? = nil, name: String? = nil,
        spec: String = "SYMMETRIC_DEFAULT"
    ) -> KMSError? {
        let terms = GrantTerms(
            grantee: Sample.alice, operations: operations,
            constraints: GrantConstraints(context: context, sourceARN: source), name: name)
        return refusal { () throws(KMSError) in
            try terms.validate(usage: .encryptDecrypt, keySpec: spec)
        }
    }

    @Test func `CreateGrant alone is no grant, and neither is nothing`() {
        #expect(
            error(operations: KMSActionSet(.createGrant))
                == .validation("Grants must not contain only the CreateGrant operation."))
        #expect(error(operations: []) != nil)
        #expect(error(operations: KMSActionSet([.createGrant, .decrypt])) == nil)
    }

    @Test func `constraints have at most 8 pairs and 384 characters`() {
        func error(
            equals: EncryptionContext? = nil, subset: EncryptionContext? = nil
        ) -> KMSError? {
            refusal { () throws(KMSError) in
                _ = try GrantConstraints(
                    encryptionContextEquals: equals, encryptionContextSubset: subset,
                    sourceARN: nil)
            }
        }
        func pairs(_ count: Int) -> EncryptionContext {
            EncryptionContext(
                Dictionary(uniqueKeysWithValues: (0..<count).map { ("k\($0)", "v") }))
        }
        let tooMany = "has 9 encryption context pairs; at most 8 are allowed."
        #expect(error(equals: pairs(8)) == nil)
        #expect(error(equals: pairs(9)) == .validation("EncryptionContextEquals \(tooMany)"))
        #expect(error(subset: pairs(9)) == .validation("EncryptionContextSubset \(tooMany)"))
        func characters(_ count: Int) -> EncryptionContext {
            EncryptionContext(["key": String(repeating: "é", count: count - 3)])
        }
        let tooLong = "has 385 characters; at most 384 are allowed."
        #expect(error(subset: characters(384)) == nil)
        #expect(error(subset: characters(385)) == .validation("EncryptionContextSubset \(tooLong)"))
        #expect(error(equals: characters(385)) == .validation("EncryptionContextEquals \(tooLong)"))
    }

    @Test func `constraints on the context are for symmetric keys`() {
        #expect(error(context: .equals(.empty), spec: "RSA_2048") != nil)
        #expect(error(spec: "RSA_2048") == nil)
        #expect(
            error(source: "arn:aws:ec2:us-east-1:111122223333:volume/v", spec: "RSA_2048") == nil)
    }

    @Test(arguments: [
        "", "arn", "arn:aws:ec2:us-east-1:111122223333:", "arn:aws:ec2:us-east-1:1111:volume/v",
        "arn:aws::us-east-1:111122223333:volume", "arn:gcp:ec2:us-east-1:111122223333:volume/v",
        "arn:aws:EC2:us-east-1:111122223333:volume/v", "xarn:aws:ec2:r:111122223333:volume/v",
    ])
    func `a source has the form of an ARN`(_ source: String) {
        #expect(error(source: source) != nil)
    }

    @Test(arguments: [
        ("a", true), ("a:b/c_d-E9", true), (String(repeating: "n", count: 256), true), ("", false),
        (String(repeating: "n", count: 257), false), ("a b", false), ("é", false),
    ])
    func `a name has 1 to 256 characters of a small alphabet`(_ name: String, _ isValid: Bool) {
        #expect((error(name: name) == nil) == isValid)
    }
}
