internal import KMSWire
internal import NIOCore

/// A request's body while it comes in, to the size that it may have; on one event loop.
final class IncomingBody {
    enum Outcome {
        case taken, tooLarge, noRoom
    }

    private let budget: BodyBudget
    /// Whether anybody wants it.
    private let keeps: Bool
    private let announced: Int?
    private var bytes: [UInt8] = []
    private var count = 0

    init(_ budget: BodyBudget, keeps: Bool, announced: Int?) {
        self.budget = budget
        self.keeps = keeps
        self.announced = announced
    }

    /// Whether its announced size says so.
    var isTooLarge: Bool { announced.map { $0 > JSONCodec.maximumBodyBytes } ?? false }

    func append(_ piece: ByteBuffer) -> Outcome {
        let more = piece.readableBytes
        if keeps, !budget.grow(from: count, to: count + more) { return .noRoom }
        count += more
        if count > JSONCodec.maximumBodyBytes { return .tooLarge }
        guard keeps else { return .taken }
        // One piece of memory where that is possible, since it may hold plaintext and is wiped.
        if bytes.isEmpty { bytes.reserveCapacity(max(announced ?? 8192, more)) }
        bytes.append(contentsOf: piece.readableBytesView)
        return .taken
    }

    /// Gives all of it away, for whoever has it to wipe it and to give its size back to the budget.
    func whole() -> WipedBytes {
        defer { bytes = [] }
        return WipedBytes(bytes)
    }

    /// Nobody wants it any more.
    func giveUp() {
        if keeps { budget.give(count) }
        count = 0
        _ = whole()
    }
}
