/// Who looks after a key.
package enum KeyManager: String, Sendable, Hashable {
    case aws = "AWS"  // the service itself: `alias/aws/keyfold`
    case customer = "CUSTOMER"
}

/// The keys that share one id and material over Regions, as one of them sees it.
package struct MultiRegionView: Sendable, Hashable {
    package var isPrimary: Bool
    package var primary: KeyARN
    /// All replicas, sorted by Region.
    package var replicas: [KeyARN]

    package init(isPrimary: Bool, primary: KeyARN, replicas: [KeyARN]) {
        self.isPrimary = isPrimary
        self.primary = primary
        self.replicas = replicas
    }
}

/// How long imported material is kept.
package struct MaterialValidity: Sendable, Hashable {
    /// nil: it does not expire.
    package var validTo: Timestamp?

    package init(validTo: Timestamp?) { self.validTo = validTo }

    package var model: ExpirationModel {
        validTo == nil ? .keyMaterialDoesNotExpire : .keyMaterialExpires
    }
}

/// What DescribeKey answers about a CMK.
package struct KeyMetadata: Sendable, Hashable {
    package var arn: KeyARN
    package var creationDate: Timestamp
    package var state: KeyState
    package var description: String
    package var manager: KeyManager
    package var spec: KeySpec
    package var usage: KeyUsage
    package var origin: KeyOrigin
    /// Of symmetric keys whose material is or was here.
    package var currentMaterialID: KeyMaterialID?
    /// Of imported material that is there.
    package var validity: MaterialValidity?
    /// Of multi-Region keys.
    package var multiRegion: MultiRegionView?
    package var customKeyStoreID: String?
    /// The number of the current key version, from 1: Keyfold's own, which no answer of AWS's
    /// protocol holds; nil when it came over one.
    package var currentVersion: UInt32?

    package init(
        arn: KeyARN, creationDate: Timestamp, state: KeyState, description: String,
        manager: KeyManager, spec: KeySpec = .symmetricDefault,
        usage: KeyUsage = .encryptDecrypt, origin: KeyOrigin = .awsKms,
        currentMaterialID: KeyMaterialID? = nil
    ) {
        self.arn = arn
        self.creationDate = creationDate
        self.state = state
        self.description = description
        self.manager = manager
        self.spec = spec
        self.usage = usage
        self.origin = origin
        self.currentMaterialID = currentMaterialID
    }
}

package struct Tag: Sendable, Hashable {
    /// 1…128 characters.
    package var key: String
    /// 0…256 characters.
    package var value: String

    package init(key: String, value: String) {
        self.key = key
        self.value = value
    }
}

package struct AliasEntry: Sendable, Hashable {
    /// The Region that the alias and its key live in; "" is the keystore's default one.
    package var region: String
    package var name: AliasName
    package var target: KeyID
    package var creationDate: Timestamp
    package var lastUpdatedDate: Timestamp

    package init(
        region: String = "", name: AliasName, target: KeyID, creationDate: Timestamp,
        lastUpdatedDate: Timestamp
    ) {
        self.region = region
        self.name = name
        self.target = target
        self.creationDate = creationDate
        self.lastUpdatedDate = lastUpdatedDate
    }
}

package enum RotationType: String, Sendable, Hashable {
    case automatic = "AUTOMATIC"
    case onDemand = "ON_DEMAND"
}

/// One version of a key's material, as ListKeyRotations tells it.
package struct KeyRotation: Sendable, Hashable {
    package var materialID: KeyMaterialID
    /// nil for material that no rotation has made current.
    package var rotationDate: Timestamp?
    package var rotationType: RotationType?
    package var isCurrent: Bool

    package init(
        materialID: KeyMaterialID, rotationDate: Timestamp?, rotationType: RotationType?,
        isCurrent: Bool
    ) {
        self.materialID = materialID
        self.rotationDate = rotationDate
        self.rotationType = rotationType
        self.isCurrent = isCurrent
    }
}

package struct KeyRotationStatus: Sendable, Hashable {
    package var isEnabled: Bool
    /// 90…2560; nil while automatic rotation is off.
    package var periodDays: Int?
    package var nextRotationDate: Timestamp?

    package init(isEnabled: Bool, periodDays: Int?, nextRotationDate: Timestamp?) {
        self.isEnabled = isEnabled
        self.periodDays = periodDays
        self.nextRotationDate = nextRotationDate
    }
}
