/// Who looks after a key.
package enum KeyManager: String, Sendable, Hashable {
    case aws = "AWS"  // the service itself: `alias/aws/keyfold`
    case customer = "CUSTOMER"
}

/// What DescribeKey answers about a symmetric CMK.
package struct KeyMetadata: Sendable, Hashable {
    package var arn: KeyARN
    package var creationDate: Timestamp
    package var state: KeyState
    package var description: String
    package var manager: KeyManager
    package var currentMaterialID: KeyMaterialID
    /// The number of the current key version, from 1. Keyfold's own addition.
    package var currentVersion: UInt32

    package init(
        arn: KeyARN, creationDate: Timestamp, state: KeyState, description: String,
        manager: KeyManager, currentMaterialID: KeyMaterialID, currentVersion: UInt32
    ) {
        self.arn = arn
        self.creationDate = creationDate
        self.state = state
        self.description = description
        self.manager = manager
        self.currentMaterialID = currentMaterialID
        self.currentVersion = currentVersion
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
    package var name: AliasName
    package var target: KeyID
    package var creationDate: Timestamp
    package var lastUpdatedDate: Timestamp

    package init(
        name: AliasName, target: KeyID, creationDate: Timestamp, lastUpdatedDate: Timestamp
    ) {
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
    package var version: UInt32
    package var materialID: KeyMaterialID
    /// nil for the first material, which no rotation made.
    package var rotationDate: Timestamp?
    package var rotationType: RotationType?
    package var isCurrent: Bool

    package init(
        version: UInt32, materialID: KeyMaterialID, rotationDate: Timestamp?,
        rotationType: RotationType?, isCurrent: Bool
    ) {
        self.version = version
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
