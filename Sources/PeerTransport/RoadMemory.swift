// Where the structures live that the road reads of each subscriber: close together, at lines of the cache, in large pages.
import CSlab

public enum RoadMemory {
    /// Room for `count` of these, nothing in it yet. Give back as many with `free`.
    public static func allocate<Value: ~Copyable>(
        _ type: Value.Type,
        count: Int = 1
    ) -> UnsafeMutablePointer<Value> {
        guard let place = cslab_take(bytes(type, count)) else { preconditionFailure("it aborts instead") }
        return place.bindMemory(to: type, capacity: count)
    }

    /// What is in it was deinitialized before.
    public static func free<Value: ~Copyable>(_ place: UnsafeMutablePointer<Value>?, count: Int = 1) {
        cslab_give(place, bytes(Value.self, count))
    }

    private static func bytes<Value: ~Copyable>(_ type: Value.Type, _ count: Int) -> Int {
        precondition(MemoryLayout<Value>.alignment <= Int(cslab_line))
        return MemoryLayout<Value>.stride * count
    }
}
