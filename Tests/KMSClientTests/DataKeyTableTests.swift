import Cryptography
import KMSModel
import Testing

@testable import KMSClient

/// Who asks and who waits, step by step.
@Suite struct DataKeyTableTests {
    private let now = ContinuousClock.now
    private var table: DataKeyTable

    init() throws {
        table = DataKeyTable(try #require(DataKeyCache.Limits("60s,10")))
    }

    private static func success() throws -> Result<UnwrappedData, KMSError> {
        let scope = try #require(AccountScope(account: "111122223333", region: "r"))
        return .success(
            UnwrappedData(
                plaintext: .random(count: 32),
                keyARN: KeyARN(scope: scope, keyID: KeyID(high: 1, low: 2, isMultiRegion: false)),
                materialID: KeyMaterialID(bytes: [UInt8](repeating: 0, count: 32))))
    }

    private mutating func lead(_ name: [UInt8]) throws -> DataKeyTable.Flight {
        guard case .absent(let flight) = table.begin(name, now: now) else {
            throw KMSError.conflict("somebody asks already")
        }
        return flight
    }

    private mutating func follow(_ name: [UInt8]) throws -> DataKeyTable.Flight {
        guard case .underWay(let flight) = table.begin(name, now: now) else {
            throw KMSError.conflict("nobody asks")
        }
        return flight
    }

    private mutating func isReady(_ flight: DataKeyTable.Flight) -> Bool {
        if case nil = table.takeResult(of: flight) { false } else { true }
    }

    private func isSame(
        _ one: Result<UnwrappedData, KMSError>?, _ other: Result<UnwrappedData, KMSError>
    ) -> Bool {
        (try? one?.get().plaintext) === (try? other.get().plaintext)
    }

    @Test mutating func `those who come while one asks wait for its answer, each once`() throws {
        let flight = try lead([1])
        #expect(try follow([1]) == flight)
        #expect(try follow([1]) == flight)
        #expect(!isReady(flight))
        let result = try Self.success()
        table.end(flight, result, started: now)
        #expect(isSame(table.takeResult(of: flight), result))
        #expect(isSame(table.takeResult(of: flight), result))
        #expect(!isReady(flight))
        guard case .found = table.begin([1], now: now) else {
            Issue.record("the key was not kept")
            return
        }
    }

    @Test mutating func `a failure goes to those who wait, and the next one asks again`() throws {
        let flight = try lead([1])
        _ = try follow([1])
        table.end(flight, .failure(.disabled("x")), started: now)
        let next = try lead([1])
        #expect(next != flight)
        guard case .failure(.disabled("x")) = table.takeResult(of: flight) else {
            Issue.record("those who wait get the failure")
            return
        }
        #expect(table.count == 0)
    }

    @Test mutating func `different keys do not wait for each other`() throws {
        let first = try lead([1])
        #expect(try lead([2]) != first)
    }

    @Test mutating func `emptied, it lets a new request begin beside the old one`() throws {
        let old = try lead([1])
        _ = try follow([1])
        table.removeAll()
        let new = try lead([1])
        table.end(old, try Self.success(), started: now)
        #expect(table.count == 0)
        #expect(isReady(old))
        #expect(try follow([1]) == new)
        table.end(new, try Self.success(), started: now)
        #expect(table.count == 1)
    }
}
