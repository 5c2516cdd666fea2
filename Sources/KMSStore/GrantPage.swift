internal import Cryptography
package import KMSModel
internal import Synchronization

/// Some of the grants of one key: one row of the database.
///
/// A key may have 50,000 grants, and a keystore very many in all. They are not opened before
/// somebody asks for those of their key: the digests of the rows vouch for them until then. A page
/// stays when its last grant goes, for the next one, and goes with its key.
struct GrantPage: Sendable {
    /// Few enough that a change writes little, enough that a keystore has few rows.
    static let capacity = 32
    /// A page's box without any grant in it, which is form and count: that it is so needs no opening.
    static let emptyBoxBytes = 5 + AESGCM256.overheadBytes

    var place: KeyPlace
    var number: UInt32
    var grants: [Grant]

    func encoded() -> [UInt8] {
        var writer = RecordWriter()
        writer.append(RecordForm.first)
        writer.append(UInt32(grants.count))
        for grant in grants { grant.append(to: &writer) }
        return writer.finish()
    }

    init(place: KeyPlace, number: UInt32, grants: [Grant]) {
        self.place = place
        self.number = number
        self.grants = grants
    }

    /// - Parameter key: whose grants these are; the row's seal says so, too.
    init(
        decoding bytes: [UInt8], place: KeyPlace, number: UInt32, key: KeyARN
    ) throws(MalformedRecord) {
        var reader = RecordReader(bytes)
        try RecordForm.expect(RecordForm.first, &reader)
        let count = try reader.number(UInt32.self)
        guard count <= UInt32(GrantPage.capacity) else { throw MalformedRecord() }
        var grants: [Grant] = []
        for _ in 0..<count { grants.append(try Grant(&reader, key: key)) }
        try reader.finish()
        self.init(place: place, number: number, grants: grants)
    }
}

/// The grants of one key: rows that are opened at their first use, by whichever thread.
final class GrantShelf: Sendable {
    let rows: [UInt32: StoredRow]
    let hasGrants: Bool
    private let keys: KeystoreKeys?
    private let contents = Mutex<Contents?>(nil)

    struct Contents: Sendable {
        var index = GrantIndex()
        /// Which page holds a grant.
        var pages: [UInt32: [GrantID]] = [:]
    }

    init(_ rows: [UInt32: StoredRow], keys: KeystoreKeys) {
        self.rows = rows
        hasGrants = rows.values.contains { $0.box.count > GrantPage.emptyBoxBytes }
        self.keys = keys
    }

    /// Of a key that is being made.
    init() {
        rows = [:]
        hasGrants = false
        keys = nil
    }

    /// - Throws: when a row is not what this keystore wrote: its digest was right, so that is a
    ///   defect and no tampering.
    func contents(of key: KeyARN, at place: KeyPlace) throws(MalformedRecord) -> Contents {
        try contents.withLock { contents throws(MalformedRecord) in
            if let contents { return contents }
            var opened = Contents()
            guard let keys, !rows.isEmpty else { return opened }
            let sealer = RecordSealer(keys)
            for (number, row) in rows {
                let page = sealer.open(row) { bytes throws(MalformedRecord) in
                    try GrantPage(decoding: bytes, place: place, number: number, key: key)
                }
                guard let page else { throw MalformedRecord() }
                opened.pages[number] = page.grants.map(\.id)
                for grant in page.grants { opened.index.insert(grant) }
            }
            contents = opened
            return opened
        }
    }
}

extension KeyEntry {
    package var hasGrants: Bool { shelf.hasGrants }

    /// All grants of the key.
    package func grants() throws(KeystoreError) -> GrantIndex { try grantContents().index }

    func grantContents() throws(KeystoreError) -> GrantShelf.Contents {
        do throws(MalformedRecord) {
            return try shelf.contents(of: arn, at: record.place)
        } catch {
            throw .tampered(path: "", what: "the grants of the key \(record.id) are damaged")
        }
    }
}

// MARK: - Changes

/// What a change does to the grants of one key.
package struct GrantChange: Sendable {
    package var key: KeyEntry
    package var added: [Grant]
    package var removed: [GrantID]

    package init(key: KeyEntry, added: [Grant] = [], removed: [GrantID] = []) {
        self.key = key
        self.added = added
        self.removed = removed
    }

    /// The pages that differ then.
    func pages() throws(KeystoreError) -> [GrantPage] {
        let contents = try key.grantContents()
        let gone = Set(removed)
        var changed: [UInt32: [GrantID]] = [:]
        for (number, ids) in contents.pages where ids.contains(where: gone.contains) {
            changed[number] = ids.filter { !gone.contains($0) }
        }
        var index = contents.index
        for grant in added {
            index.insert(grant)
            let number = room(in: contents.pages.merging(changed) { $1 })
            changed[number, default: contents.pages[number] ?? []].append(grant.id)
        }
        return changed.map { number, ids in
            GrantPage(place: key.record.place, number: number, grants: ids.compactMap { index[$0] })
        }
    }

    /// The first page with room, or a new one.
    private func room(in pages: [UInt32: [GrantID]]) -> UInt32 {
        let open = pages.filter { $0.value.count < GrantPage.capacity }.keys.min()
        if let open { return open }
        var number: UInt32 = 0
        while pages[number] != nil { number += 1 }
        return number
    }
}

// MARK: - One grant

extension Grant {
    fileprivate func append(to writer: inout RecordWriter) {
        writer.append(id.bytes)
        writer.append(terms.grantee.arn)
        writer.append(terms.retiringPrincipal?.arn)
        // By their names: numbers would change when AWS adds an operation.
        let operations = terms.operations.grantOperationNames
        writer.append(UInt32(operations.count))
        for operation in operations { writer.append(operation) }
        switch terms.constraints.context {
        case nil: writer.append(UInt8(0))
        case .equals(let pairs):
            writer.append(UInt8(1))
            pairs.append(to: &writer)
        case .subset(let pairs):
            writer.append(UInt8(2))
            pairs.append(to: &writer)
        }
        writer.append(terms.constraints.sourceARN)
        writer.append(terms.name)
        writer.append(creationDate)
        writer.append(issuingAccount.description)
        writer.append(parent != nil)
        if let parent { writer.append(parent.bytes) }
    }

    fileprivate init(_ reader: inout RecordReader, key: KeyARN) throws(MalformedRecord) {
        guard let id = GrantID(bytes: try reader.byteString()),
            let grantee = Principal(try reader.text())
        else { throw MalformedRecord() }
        let retiring = try reader.optionalText()
        var names: [String] = []
        for _ in 0..<(try reader.number(UInt32.self)) { names.append(try reader.text()) }
        let context: GrantConstraints.Context?
        switch try reader.number(UInt8.self) {
        case 0: context = nil
        case 1: context = .equals(try EncryptionContext(&reader))
        case 2: context = .subset(try EncryptionContext(&reader))
        default: throw MalformedRecord()
        }
        let constraints = GrantConstraints(
            context: context, sourceARN: try reader.optionalText())
        let name = try reader.optionalText()
        let creationDate = try reader.time()
        guard let operations = try? KMSActionSet(grantOperations: names),
            let account = AccountID(try reader.text())
        else { throw MalformedRecord() }
        var retiringPrincipal: Principal?
        if let retiring {
            guard let principal = Principal(retiring) else { throw MalformedRecord() }
            retiringPrincipal = principal
        }
        var parent: GrantID?
        if try reader.flag() {
            guard let id = GrantID(bytes: try reader.byteString()) else { throw MalformedRecord() }
            parent = id
        }
        self.init(
            id: id, key: key,
            terms: GrantTerms(
                grantee: grantee, retiringPrincipal: retiringPrincipal, operations: operations,
                constraints: constraints, name: name),
            creationDate: creationDate, issuingAccount: account, parent: parent)
    }
}

extension EncryptionContext {
    fileprivate func append(to writer: inout RecordWriter) {
        writer.append(UInt32(pairs.count))
        for pair in pairs {
            writer.append(pair.name)
            writer.append(pair.value)
        }
    }

    fileprivate init(_ reader: inout RecordReader) throws(MalformedRecord) {
        var pairs: [Pair] = []
        for _ in 0..<(try reader.number(UInt32.self)) {
            pairs.append(Pair(name: try reader.text(), value: try reader.text()))
        }
        self.init(pairs: pairs)
    }
}
