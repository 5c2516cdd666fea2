import KMSCore
import KMSModel
import Testing

/// Which Regions ReplicateKey takes, and names of keys that it does not.
@Suite struct ReplicaRegionTests {
    private func replicate(
        _ kms: TestKeystore, to region: String, from home: String = "us-east-1"
    ) throws -> KMSError? {
        let key = try kms.key(isMultiRegion: true, in: home)
        return try kms.refusal(
            .replicateKey, Structure([.keyID: .text(key), .replicaRegion: .text(region)]),
            in: home)
    }

    private func unknown(_ region: String) -> KMSError {
        .validation(
            "Region \(region) is not a valid Region or multi-Region keys are not supported in "
                + "Region \(region).")
    }

    private let otherPartition = KMSError.validation(
        "The replica key Region must be in the same AWS partition as the primary key Region.")

    @Test func `a replica's Region is another one of AWS's in the same partition`() throws {
        let kms = try TestKeystore()
        #expect(
            try replicate(kms, to: "us-east-1")
                == .validation("us-east-1 cannot have a replica because it contains the primary."))
        #expect(try replicate(kms, to: "us-invalid-1") == unknown("us-invalid-1"))
        for region in ["cn-north-1", "us-gov-west-1"] {
            #expect(try replicate(kms, to: region) == otherPartition)
        }
        #expect(try replicate(kms, to: "ap-east-1") == nil)
        #expect(try replicate(kms, to: "cn-northwest-1", from: "cn-north-1") == nil)
        #expect(try replicate(kms, to: "eu-west-1", from: "cn-north-1") == otherPartition)
        #expect(try replicate(kms, to: "us-gov-east-1", from: "us-gov-west-1") == nil)
    }

    @Test func `Regions of the owner's own naming replicate among themselves and to AWS's`()
        throws
    {
        let kms = try TestKeystore()
        #expect(try replicate(kms, to: "my-lab-2", from: "my-lab-1") == nil)
        #expect(try replicate(kms, to: "eu-west-1", from: "my-lab-1") == nil)
        // This one has keys by now, so it is no mistyped name.
        #expect(try replicate(kms, to: "my-lab-1") == nil)
        #expect(try replicate(kms, to: "my-lab-3") == unknown("my-lab-3"))
    }

    @Test(arguments: [
        KMSOperation.replicateKey, .updatePrimaryRegion, .enableKeyRotation, .disableKeyRotation,
        .getKeyRotationStatus, .rotateKeyOnDemand, .listKeyRotations, .disableKey,
    ])
    func `operations that manage keys take no aliases`(_ operation: KMSOperation) throws {
        let kms = try TestKeystore()
        let key = try kms.key(isMultiRegion: true)
        try kms.ask(
            .createAlias, Structure([.aliasName: .text("alias/a"), .targetKeyID: .text(key)]))
        var input = Structure()
        if operation == .replicateKey { input[.replicaRegion] = .text("eu-west-1") }
        if operation == .updatePrimaryRegion { input[.primaryRegion] = .text("eu-west-1") }
        for name in ["alias/a", "arn:aws:kms:us-east-1:111122223333:alias/a", "alias/none"] {
            #expect(
                try kms.refusal(operation, input.with(.keyID, .text(name)))
                    == .invalidARN("Key Aliases are not supported for this operation."))
        }
    }
}
