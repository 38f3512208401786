// What a worker has taken out of its mailbox and not done yet, in order. Knows nothing of what it means.

struct OrderQueue {
    private var waiting: ContiguousArray<Mail?> = []
    private var head = 0

    var count: Int { waiting.count - head }
    var isEmpty: Bool { waiting.isEmpty }

    mutating func add(_ mail: Mail) { waiting.append(mail) }

    mutating func next() -> Mail? {
        guard head < waiting.count else { return nil }
        let mail = waiting[head]
        waiting[head] = nil
        head += 1
        if head == waiting.count {
            // What a crowd took is given back.
            waiting.removeAll(keepingCapacity: waiting.count <= 64)
            head = 0
        } else if head >= 1024, head * 2 >= waiting.count {
            waiting.removeFirst(head)
            head = 0
        }
        return mail
    }
}
