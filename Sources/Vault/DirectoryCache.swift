import Platform
import Synchronization

/// Open O_PATH descriptors of directories, the most recently used ones.
///
/// The bound keeps a tree of any size within 1,024 descriptors.
final class DirectoryCache: Sendable {
    static let capacity = 256

    private struct Slot {
        let descriptor: Descriptor
        var lastUse: UInt64
    }

    private struct State {
        var slots: [InodeID: Slot] = [:]
        var clock: UInt64 = 0
    }

    private let state = Mutex(State())

    func find(_ id: InodeID) -> Descriptor? {
        state.withLock { state in
            state.clock += 1
            guard let index = state.slots.index(forKey: id) else { return nil }
            state.slots.values[index].lastUse = state.clock
            return state.slots.values[index].descriptor
        }
    }

    func insert(_ descriptor: Descriptor, for id: InodeID) {
        // The evicted descriptors are closed after the lock was let go.
        let evicted = state.withLock { state -> [Slot] in
            state.clock += 1
            state.slots[id] = Slot(descriptor: descriptor, lastUse: state.clock)
            guard state.slots.count > Self.capacity else { return [] }
            let oldest = state.slots.sorted { $0.value.lastUse < $1.value.lastUse }
                .prefix(Self.capacity / 4)
            for slot in oldest { state.slots[slot.key] = nil }
            return oldest.map(\.value)
        }
        _ = consume evicted
    }

    func remove(_ id: InodeID) {
        let removed = state.withLock { $0.slots.removeValue(forKey: id) }
        _ = consume removed
    }

    func removeAll() {
        let removed = state.withLock { state in
            let slots = state.slots
            state.slots = [:]
            return slots
        }
        _ = consume removed
    }
}
