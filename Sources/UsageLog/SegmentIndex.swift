internal import Cryptography
internal import Glibc
internal import KMSModel
internal import Platform

/// Where in a closed segment events of a key, or of a time, may be: so that a question about few
/// events need not read them all.
///
/// A file beside the segment's, `KFUSEIDX | version 4 | box`, sealed under a key of its own, with
/// the segment's id and its final head as associated data. Nothing depends on it: one that is
/// missing is made again, and what it says is only where to look.
struct SegmentIndex: Hashable, Sendable {
    static let fileSuffix = ".kfidx"
    static let temporarySuffix = ".new"
    static let magic = Array("KFUSEIDX".utf8)
    static let version: UInt32 = 1
    static let blockEvents = 256
    /// Of shorter segments there is none: reading them takes no longer.
    static let leastEvents: UInt64 = 1024
    private static let maximumBytes = 64 << 20

    /// Events that follow each other.
    struct Block: Hashable, Sendable {
        let firstSequence: UInt64
        /// Of the first record in the file.
        let offset: UInt64
        /// Before the first event.
        let chainHash: [UInt8]
        var times: ClosedRange<Int64>
        /// Numbers of resources that its events name, in the order of their first naming.
        var resources: [UInt32]
    }

    /// ARNs that events name, by number.
    var resources: [String] = []
    var blocks: [Block] = []

    static func isWorthwhile(_ record: SegmentRecord) -> Bool {
        record.version > 1 && record.isClosed && record.head.eventCount >= leastEvents
    }

    /// The sequence numbers of the blocks in which events that `filter` takes may be.
    func ranges(for filter: UsageLogFilter, eventCount: UInt64) -> [Range<UInt64>] {
        var wanted: Set<UInt32>?
        if !filter.keys.isEmpty {
            wanted = Set(
                resources.indices.filter { filter.acceptsResource(resources[$0]) }
                    .map { UInt32($0) })
        }
        var ranges: [Range<UInt64>] = []
        for (index, block) in blocks.enumerated() {
            guard filter.accepts(anyOf: block.times),
                wanted.map({ wanted in block.resources.contains(where: wanted.contains) }) ?? true
            else { continue }
            let end =
                index + 1 < blocks.count ? blocks[index + 1].firstSequence : eventCount + 1
            if let last = ranges.last, last.upperBound == block.firstSequence {
                ranges[ranges.count - 1] = last.lowerBound..<end
            } else {
                ranges.append(block.firstSequence..<end)
            }
        }
        return ranges
    }

    func block(of sequence: UInt64) -> Block? {
        blocks.first { $0.firstSequence == sequence }
    }

    // MARK: Encoding

    /// `count 4 | resources, each behind its 32-bit length | count 4 | blocks: first sequence 8,
    /// offset 8, chain hash 32, earliest 8, latest 8, count 4, numbers 4 each`.
    func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendBigEndian(UInt32(resources.count))
        for resource in resources { bytes.appendText(Array(resource.utf8)) }
        bytes.appendBigEndian(UInt32(blocks.count))
        for block in blocks {
            bytes.appendBigEndian(block.firstSequence)
            bytes.appendBigEndian(block.offset)
            bytes += block.chainHash
            bytes.appendBigEndian(block.times.lowerBound)
            bytes.appendBigEndian(block.times.upperBound)
            bytes.appendBigEndian(UInt32(block.resources.count))
            for number in block.resources { bytes.appendBigEndian(number) }
        }
        return bytes
    }

    init() {}

    init?(decoding bytes: [UInt8]) {
        var reader = ByteReader(bytes[...])
        guard let count = reader.number(UInt32.self) else { return nil }
        for _ in 0..<count {
            guard let resource = reader.text() else { return nil }
            resources.append(resource)
        }
        guard let blockCount = reader.number(UInt32.self) else { return nil }
        for _ in 0..<blockCount {
            guard let sequence = reader.number(UInt64.self), sequence > 0,
                sequence > blocks.last?.firstSequence ?? 0,
                let offset = reader.number(UInt64.self),
                let chainHash = reader.take(SegmentFormat.hashBytes),
                let first = reader.number(Int64.self), let last = reader.number(Int64.self),
                first <= last, let numberCount = reader.number(UInt32.self)
            else { return nil }
            var block = Block(
                firstSequence: sequence, offset: offset, chainHash: chainHash, times: first...last,
                resources: [])
            for _ in 0..<numberCount {
                guard let number = reader.number(UInt32.self), number < count else { return nil }
                block.resources.append(number)
            }
            blocks.append(block)
        }
        guard reader.isAtEnd else { return nil }
    }

    // MARK: File

    private static func name(_ record: SegmentRecord) -> String {
        record.id.description + fileSuffix
    }

    private static func associated(_ record: SegmentRecord) -> [UInt8] {
        var bytes = record.id.bytes
        bytes.appendBigEndian(record.head.eventCount)
        return bytes + record.head.chainHash
    }

    enum Loaded {
        case missing
        /// There is something, and it is no index of this segment.
        case invalid
        case index(SegmentIndex)
    }

    static func load(
        _ record: SegmentRecord, in directory: LogDirectory, keys: UsageLogKeys
    ) -> Loaded {
        let bytes: [UInt8]
        do throws(Errno) {
            let file = try directory.descriptor.openRegularFile(FileName(name(record)))
            let size = try file.status().sizeBytes
            guard size <= UInt64(maximumBytes) else { return .invalid }
            bytes = try file.read(count: Int(size), at: 0)
        } catch {
            // One that this user may not read says nothing.
            return error == .noSuchFileOrDirectory || error == .accessDenied ? .missing : .invalid
        }
        var reader = ByteReader(bytes[...])
        guard reader.take(8) == magic, reader.number(UInt32.self) == version else {
            return .invalid
        }
        let cipher = AESGCM256()
        cipher.use(keys.indexKey(of: record))
        guard
            let plain = try? cipher.open(
                Array(bytes.dropFirst(12)), authenticating: associated(record)),
            let index = SegmentIndex(decoding: plain)
        else { return .invalid }
        return .index(index)
    }

    /// Writes the index, whole or not at all; that it can't be written harms nothing.
    func save(_ record: SegmentRecord, in directory: LogDirectory, keys: UsageLogKeys) {
        guard SegmentIndex.isWorthwhile(record) else { return }
        let cipher = AESGCM256()
        cipher.use(keys.indexKey(of: record))
        var bytes = SegmentIndex.magic
        bytes.appendBigEndian(SegmentIndex.version)
        bytes += cipher.seal(encoded(), authenticating: SegmentIndex.associated(record))
        let name = SegmentIndex.name(record)
        let temporary = FileName(name + SegmentIndex.temporarySuffix)
        let folder = directory.descriptor
        do throws(Errno) {
            // Of a process that died, or of one that makes the same index now.
            try? folder.unlink(temporary)
            let file = try folder.openNew(temporary, mode: 0o600)
            try file.write(bytes, at: 0)
            // Else a power cut may leave the name and not the bytes.
            try file.synchronize(dataOnly: false)
            try folder.rename(temporary, to: folder, FileName(name))
        } catch {
            try? folder.unlink(temporary)
        }
    }

    /// The segment's index: the file's, or one that is made by reading the segment, and kept.
    static func loadOrMake(
        _ record: SegmentRecord, in directory: LogDirectory, keys: UsageLogKeys
    ) -> SegmentIndex? {
        guard isWorthwhile(record) else { return nil }
        if case .index(let index) = load(record, in: directory, keys: keys) { return index }
        guard let scanner = try? SegmentScanner(record, in: directory, keys: keys) else {
            return nil
        }
        scanner.collectsTally = true
        guard scanner.readToEnd() == .closed else { return nil }
        scanner.index.save(record, in: directory, keys: keys)
        return scanner.index
    }

    /// Whether a file in the log's directory may be an index of a segment.
    static func belongs(_ name: String, to segments: Set<String>) -> Bool {
        let name =
            name.hasSuffix(temporarySuffix) ? String(name.dropLast(temporarySuffix.count)) : name
        guard name.hasSuffix(fileSuffix) else { return false }
        return segments.contains(
            name.dropLast(fileSuffix.count) + SegmentFormat.fileSuffix)
    }
}

/// Makes an index event by event.
struct SegmentIndexBuilder {
    private(set) var index = SegmentIndex()
    private var numbers: [String: UInt32] = [:]
    /// Of each resource, the last block (from 1) that names it.
    private var lastBlocks: [Int] = []
    /// That the event before named last.
    private var lastNumber: UInt32?

    /// Takes the event that begins at `offset`.
    mutating func add(
        resources: [String], time: Int64, sequence: UInt64, offset: UInt64, chainHash: [UInt8]
    ) {
        let last = index.blocks.count - 1
        if last < 0
            || sequence >= index.blocks[last].firstSequence + UInt64(SegmentIndex.blockEvents)
        {
            index.blocks.append(
                SegmentIndex.Block(
                    firstSequence: sequence, offset: offset, chainHash: chainHash,
                    times: time...time, resources: []))
        } else if !index.blocks[last].times.contains(time) {
            let times = index.blocks[last].times
            index.blocks[last].times = min(times.lowerBound, time)...max(times.upperBound, time)
        }
        let block = index.blocks.count
        for resource in resources {
            let number = number(of: resource)
            if lastBlocks[Int(number)] == block { continue }
            lastBlocks[Int(number)] = block
            index.blocks[block - 1].resources.append(number)
        }
    }

    private mutating func number(of resource: String) -> UInt32 {
        if let lastNumber, index.resources[Int(lastNumber)] == resource { return lastNumber }
        if let number = numbers[resource] {
            lastNumber = number
            return number
        }
        let number = UInt32(index.resources.count)
        numbers[resource] = number
        index.resources.append(resource)
        lastBlocks.append(0)
        lastNumber = number
        return number
    }
}
