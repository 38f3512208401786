// A queue with constant amortised cost at both ends that are used. Must not know what it holds.

struct Fifo<Element> {
    private var elements: [Element] = []
    private var head = 0

    init() {}

    var count: Int { elements.count - head }
    var isEmpty: Bool { head == elements.count }
    var first: Element? { isEmpty ? nil : elements[head] }

    /// Everything that waits, oldest first.
    var all: ArraySlice<Element> { elements[head...] }

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func popFirst() -> Element? {
        guard head < elements.count else { return nil }
        let element = elements[head]
        head += 1
        if head == elements.count {
            // Of ten thousand sessions most have had their burst.
            elements.removeAll(keepingCapacity: elements.capacity <= 4)
            head = 0
        } else if head >= 32, head * 2 >= elements.count {
            elements.removeFirst(head)
            head = 0
        }
        return element
    }

    mutating func removeAll() {
        elements.removeAll()
        head = 0
    }

    mutating func removeAll(where isRemoved: (Element) -> Bool) {
        elements.removeFirst(head)
        head = 0
        elements.removeAll(where: isRemoved)
    }

    /// Oldest first.
    func forEach(_ body: (Element) -> Void) { elements[head...].forEach(body) }

    func contains(where predicate: (Element) -> Bool) -> Bool { elements[head...].contains(where: predicate) }
}

extension Fifo: Sendable where Element: Sendable {}
