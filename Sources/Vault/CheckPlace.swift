import Platform
import SealedFormat

/// A domain as a check knows it.
struct CheckDomain: Sendable {
    let id: DomainID
    /// nil when no key opens it: then only what needs no key is checked.
    let keys: DomainKeys?
    /// False below a directory whose record does not tell: it may have begun another domain.
    var isCertain = true

    /// The same below a directory whose record is refused.
    var uncertain: CheckDomain { CheckDomain(id: id, keys: keys, isCertain: false) }
}

/// A directory that a check comes to: how it is named in the store and in the mount.
///
/// Holds no descriptor, so that any number of them can wait.
final class CheckPlace: Sendable {
    private let parent: CheckPlace?
    private let stored: FileName?
    private let plainName: String?
    /// What seals the names in it; nil when its record does not tell.
    let directoryID: DirectoryID?
    /// What seals them, and what lies in it.
    let domain: CheckDomain

    private init(
        parent: CheckPlace?, stored: FileName?, plainName: String?, directoryID: DirectoryID?,
        domain: CheckDomain
    ) {
        self.parent = parent
        self.stored = stored
        self.plainName = plainName
        self.directoryID = directoryID
        self.domain = domain
    }

    static func root(_ directoryID: DirectoryID?, of domain: CheckDomain) -> CheckPlace {
        CheckPlace(
            parent: nil, stored: nil, plainName: nil, directoryID: directoryID, domain: domain)
    }

    /// - Parameter domain: of a domain's root, the one that begins there.
    func child(
        _ stored: FileName, plainName: String?, directoryID: DirectoryID?,
        domain: CheckDomain? = nil
    ) -> CheckPlace {
        CheckPlace(
            parent: self, stored: stored, plainName: plainName, directoryID: directoryID,
            domain: domain ?? self.domain)
    }

    var isRoot: Bool { parent == nil }

    /// The root of the domain that the directory is in.
    var domainRoot: CheckPlace {
        var place = self
        while let parent = place.parent, parent.domain.id == domain.id { place = parent }
        return place
    }

    var depth: Int { storedNames.count }

    /// Opened from the root down, no link followed at any step.
    func open(below root: Descriptor) throws(Errno) -> Descriptor {
        var directory = try root.reopen(OpenFlag.directory)
        for name in storedNames {
            let next = try directory.open(name, OpenFlag.directory)
            directory = next
        }
        return directory
    }

    private var storedNames: [FileName] {
        var names: [FileName] = []
        var place: CheckPlace? = self
        while let current = place, let stored = current.stored {
            names.append(stored)
            place = current.parent
        }
        return names.reversed()
    }

    /// Of the directory itself, or of an entry in it.
    func storedPath(_ entry: FileName? = nil) -> String {
        (storedNames + (entry.map { [$0] } ?? [])).map(\.string).joined(separator: "/")
    }

    /// The same as the mount shows it; nil when a name on the way is not known.
    func plainPath(_ entry: String?) -> String? {
        guard var path = entry else { return nil }
        var place = self
        while let parent = place.parent {
            guard let name = place.plainName else { return nil }
            path = name + "/" + path
            place = parent
        }
        return path
    }
}

/// An entry that a check looks at.
struct CheckItem: Sendable {
    let place: CheckPlace
    let directory: Descriptor
    let name: FileName
}

/// Goes through a vault's directories, in batches of entries.
///
/// Holds the descriptors of the directories of one batch.
struct CheckWalk {
    /// Entries that one round hands to the threads; also how many directories it holds open.
    private static let batchEntries = 256

    private let inspector: CheckInspector
    private var waiting: [CheckPlace]
    private var current: Listing?
    /// Directories that could not be read.
    private(set) var failures: [(place: CheckPlace, errno: Errno)] = []

    private final class Listing {
        let place: CheckPlace
        let directory: Descriptor
        var stream: DirectoryStream

        init(_ place: CheckPlace, _ directory: Descriptor) {
            self.place = place
            self.directory = directory
            stream = DirectoryStream(directory)
        }
    }

    init(_ inspector: CheckInspector, start: CheckPlace) {
        self.inspector = inspector
        waiting = [start]
    }

    mutating func add(_ places: [CheckPlace]) {
        waiting += places
    }

    /// Empty when nothing waits any more.
    mutating func nextBatch() -> [CheckItem] {
        var batch: [CheckItem] = []
        while batch.count < Self.batchEntries {
            guard let listing = current ?? openNext() else { break }
            current = listing
            do throws(Errno) {
                guard let entry = try listing.stream.next() else {
                    current = nil
                    continue
                }
                if entry.name.isDots { continue }
                batch.append(
                    CheckItem(
                        place: listing.place, directory: listing.directory, name: entry.name))
            } catch {
                failures.append((listing.place, error))
                current = nil
            }
        }
        return batch
    }

    private mutating func openNext() -> Listing? {
        while let place = waiting.popLast() {
            do throws(Errno) {
                return Listing(place, try inspector.open(place))
            } catch {
                if !inspector.saysGone(error) { failures.append((place, error)) }
            }
        }
        return nil
    }
}
