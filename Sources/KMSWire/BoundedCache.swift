/// A dictionary of at most `capacity` entries. A new entry takes the place of one that was not
/// asked for lately (second chance: a hand goes round, and spares what was used since it last
/// came by). All operations but ``removeAll(where:)`` take constant time on average.
///
/// A value without locks: the owner guards it.
package struct BoundedCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct Slot: Sendable {
        let key: Key
        var value: Value
        var isUsed: Bool
    }

    package let capacity: Int
    private var slots: [Slot] = []
    private var places: [Key: Int] = [:]
    private var hand = 0

    package init(capacity: Int) {
        precondition(capacity > 0, "BUG: a cache for \(capacity) entries")
        self.capacity = capacity
    }

    package var count: Int { slots.count }

    /// The value of `key`, which is spared the next time the hand comes by.
    package mutating func value(for key: Key) -> Value? {
        guard let place = places[key] else { return nil }
        slots[place].isUsed = true
        return slots[place].value
    }

    package mutating func insert(_ value: Value, for key: Key) {
        if let place = places[key] {
            slots[place].value = value
            slots[place].isUsed = true
        } else if slots.count < capacity {
            places[key] = slots.count
            slots.append(Slot(key: key, value: value, isUsed: false))
        } else {
            let place = nextVictim()
            places[slots[place].key] = nil
            places[key] = place
            slots[place] = Slot(key: key, value: value, isUsed: false)
        }
    }

    package mutating func removeValue(for key: Key) {
        guard let place = places.removeValue(forKey: key) else { return }
        let last = slots.removeLast()
        if place < slots.count {
            slots[place] = last
            places[last.key] = place
        }
        if hand >= slots.count { hand = 0 }
    }

    package mutating func removeAll(where isOutdated: (Value) -> Bool) {
        for slot in slots where isOutdated(slot.value) { removeValue(for: slot.key) }
    }

    package mutating func removeAll() {
        slots = []
        places = [:]
        hand = 0
    }

    /// The place to use again; the hand stops behind it. After one round nothing is spared.
    private mutating func nextVictim() -> Int {
        while slots[hand].isUsed {
            slots[hand].isUsed = false
            advanceHand()
        }
        defer { advanceHand() }
        return hand
    }

    private mutating func advanceHand() {
        hand = hand + 1 == slots.count ? 0 : hand + 1
    }
}
