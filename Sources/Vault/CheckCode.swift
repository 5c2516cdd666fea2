/// What a check of a vault can find. The raw values are an interface: scripts rely on them
/// (docs/check.md).
package enum CheckCode: String, CaseIterable, Sendable {
    case configMalformed = "config-malformed"
    case configChanged = "config-changed"

    case recordMissing = "record-missing"
    case recordMalformed = "record-malformed"
    case recordChanged = "record-changed"
    case recordForeign = "record-foreign"
    case recordMisplaced = "record-misplaced"
    case domainLinkWrong = "domain-link-wrong"
    case domainKeyUnusable = "domain-key-unusable"

    case nameUndecodable = "name-undecodable"
    case nameForeign = "name-foreign"
    case nameReserved = "name-reserved"
    case sidecarMissing = "sidecar-missing"
    case sidecarDamaged = "sidecar-damaged"
    case sidecarOrphan = "sidecar-orphan"
    case directoryUnmade = "directory-unmade"
    case temporaryStale = "temporary-stale"
    case temporaryWithData = "temporary-with-data"

    case sizeImpossible = "size-impossible"
    case headerMalformed = "header-malformed"
    case headerChanged = "header-changed"
    case keyUnusable = "key-unusable"
    case keyMissing = "key-missing"
    case keyVersionMissing = "key-version-missing"
    case wrappedKeyDamaged = "wrapped-key-damaged"
    case finalBlockMissing = "final-block-missing"
    case blockDamaged = "block-damaged"
    case holeUnexpected = "hole-unexpected"
    case holeUnsettled = "hole-unsettled"
    case fileIDDuplicate = "file-id-duplicate"

    case linkDamaged = "link-damaged"
    case attributeDamaged = "attribute-damaged"
    case attributeForeign = "attribute-foreign"

    case journalLeft = "journal-left"
    case journalDamaged = "journal-damaged"
    case changing = "changing"
    case notPermitted = "not-permitted"
    case unreadable = "unreadable"
}

package enum CheckSeverity: String, CaseIterable, Sendable {
    /// Nothing is wrong with the vault.
    case information
    /// `--repair` heals it without a guess.
    case repairable
    /// Data can't be read, or not be trusted, and nothing but a backup brings them back.
    case damage
}

extension CheckCode {
    /// What keeps the names in a directory from being read.
    var isOfRecord: Bool {
        let codes: [CheckCode] = [
            .recordMissing, .recordMalformed, .recordChanged, .recordForeign, .recordMisplaced,
            .domainLinkWrong,
        ]
        return codes.contains(self)
    }

    /// Entries may be there that a check did not come to.
    var hidesEntries: Bool { self == .notPermitted || self == .unreadable }

    /// What lies there was not checked, so it does not count as clean either.
    var leavesUnchecked: Bool {
        let codes: [CheckCode] = [.holeUnsettled, .changing, .notPermitted]
        return codes.contains(self)
    }

    package var severity: CheckSeverity {
        switch self {
        case .domainKeyUnusable, .nameForeign, .nameReserved, .keyUnusable, .holeUnsettled,
            .attributeForeign, .journalLeft, .changing, .notPermitted:
            .information
        case .nameUndecodable, .sidecarMissing, .sidecarDamaged, .sidecarOrphan,
            .directoryUnmade, .temporaryStale, .temporaryWithData:
            .repairable
        case .configMalformed, .configChanged, .recordMissing, .recordMalformed, .recordChanged,
            .recordForeign, .recordMisplaced, .domainLinkWrong, .sizeImpossible, .headerMalformed,
            .headerChanged, .keyMissing, .keyVersionMissing, .wrappedKeyDamaged, .finalBlockMissing,
            .blockDamaged,
            .holeUnexpected, .fileIDDuplicate, .linkDamaged, .attributeDamaged, .journalDamaged,
            .unreadable:
            .damage
        }
    }

    /// What it means for whoever owns the data.
    package var meaning: String {
        switch self {
        case .configMalformed: "the vault can't be mounted: its keyfold.json is not readable"
        case .configChanged: "the vault is refused: its keyfold.json is not as Keyfold wrote it"
        case .recordMissing, .recordMalformed, .recordChanged:
            "names in this directory can't be read and no new ones be made; what lies in its "
                + "subdirectories is not affected"
        case .recordForeign: "this directory was made in another vault or domain"
        case .recordMisplaced:
            "the directory's record is another one's: put its own back from a backup, and every name "
                + "is there again; nothing in it is moved until then"
        case .domainLinkWrong:
            "a domain begins here that was not made here: nothing in it is taken for the vault's"
        case .domainKeyUnusable:
            "the domain's key is not usable now, so below only what needs no key was checked"
        case .nameUndecodable:
            "the entry's name was changed, or it was moved here in the store; the mount does not "
                + "show it"
        case .nameForeign: "not made by Keyfold; the mount does not show it"
        case .nameReserved: "a name that Keyfold keeps for itself, of no use to this version"
        case .sidecarMissing, .sidecarDamaged:
            "the entry's long name can't be read; the mount does not show it"
        case .sidecarOrphan: "a long name of an entry that is gone"
        case .directoryUnmade:
            "a directory whose making a crash cut off: no name in it can be read, and there is no "
                + "file, record or attribute below it"
        case .temporaryStale: "left behind by a crash; it holds no data"
        case .temporaryWithData:
            "left behind by a crash; it holds data that the mount does not show"
        case .sizeImpossible:
            "the file was cut or something was appended to it; its end can't be read"
        case .headerMalformed, .headerChanged: "the file can't be opened"
        case .keyUnusable:
            "the key is not usable now, so what it opens was not checked further"
        case .keyMissing: "no such key is in this keystore: the file can't be opened with it"
        case .keyVersionMissing:
            "the keystore is older than what it should open: restore a newer backup of the keystore; "
                + "the file itself may be whole"
        case .wrappedKeyDamaged: "the wrapped key was changed or belongs to something else"
        case .finalBlockMissing:
            "the file was cut at a block's border; the blocks before can be read"
        case .blockDamaged: "these blocks can't be read; the others can"
        case .holeUnexpected:
            "blocks are zeros in a file that was written without holes; they can't be read"
        case .holeUnsettled:
            "a mount may have the file open with gaps, which its next sync or its closing settles: "
                + "check again when it is at rest"
        case .fileIDDuplicate:
            "two stored files are copies of each other or of one older file; one of them may be "
                + "an old version that was put back"
        case .linkDamaged: "the symbolic link's target can't be read"
        case .attributeDamaged: "the extended attribute can't be read"
        case .attributeForeign:
            "an extended attribute that Keyfold did not make; the mount does "
                + "not show it"
        case .journalLeft:
            "a mount that ended without warning left it: the next mount, or a repair, recovers it, and "
                + "what is found in files that it was writing may be healed by that"
        case .journalDamaged:
            "the vault is not mounted with it: it may hold what was synced last; keep a copy, then move "
                + "it out of the vault to mount without it"
        case .changing: "it was being written all the time: check again when it is at rest"
        case .notPermitted: "it was not checked: this user may not read it"
        case .unreadable: "the file system of the vault does not give it out"
        }
    }

    /// What `--repair` does about it; nil where it leaves it alone.
    package var repair: String? {
        switch self {
        case .nameUndecodable, .sidecarMissing: "moves the entry to lost+found"
        case .sidecarDamaged:
            "moves the entry to lost+found and removes the sidecar, which holds nothing but the "
                + "lost name"
        case .temporaryWithData: "moves it to lost+found"
        case .sidecarOrphan, .temporaryStale: "removes it"
        case .directoryUnmade: "removes it, with the directories below"
        case .journalLeft: "recovers it as a mount would, and cuts torn tails where it allows that"
        case .configMalformed, .configChanged, .recordMissing, .recordMalformed, .recordChanged,
            .recordForeign, .recordMisplaced, .domainLinkWrong, .domainKeyUnusable, .nameForeign,
            .nameReserved, .sizeImpossible, .headerMalformed, .headerChanged, .keyUnusable,
            .keyMissing, .keyVersionMissing, .wrappedKeyDamaged, .finalBlockMissing, .blockDamaged,
            .holeUnexpected, .holeUnsettled, .fileIDDuplicate, .linkDamaged, .attributeDamaged,
            .attributeForeign,
            .journalDamaged, .changing, .notPermitted, .unreadable:
            nil
        }
    }
}
