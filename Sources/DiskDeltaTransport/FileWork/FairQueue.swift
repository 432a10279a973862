internal import DequeModule

/// Whose work is done next: a queue that is fair between clients, and within a client between its lanes.
///
/// A *lane* is one call, or whatever else wants its turns; it is a client's. What waits in a lane comes in the order in which
/// it arrived.
///
/// **Between clients** it is start-time fair queueing. A client has a time, which goes on by what his work has taken divided by
/// its weight; next comes the client with the least. One who had nothing to do for a while does not save up for later: he
/// begins at the time of the one served last. One who had more than the others does not get rid of that by leaving for a
/// moment. So in any span clients with enough work get the same, but for a few pieces of work each.
///
/// **Within a client** the lane comes first that has had least, so that a short call is over before a long one has its next
/// turn. That alone could starve a long call for as long as new ones come, so every fourth turn goes to the lane that has
/// waited longest: of `n` lanes each has a turn in `4 * n` turns of its client.
///
/// It is a value that is told what happens, and how long it took. A turn costs time in proportion to the number of clients
/// that wait, and of lanes that wait of one of them: a nanosecond or so for each, and there are no more than calls.
struct FairQueue<Element> {
    /// Names a lane from ``addLane(client:weight:)`` to ``removeLane(_:)``.
    struct LaneID: Hashable, Sendable {
        fileprivate let index: Int
    }

    private struct Lane {
        let client: Int
        let weight: Double
        /// What its work has taken, divided by the weight, in nanoseconds.
        var used = 0.0
        var running = 0
        var waiting = Deque<(ticket: UInt64, element: Element)>()

        /// What it has had, in nanoseconds, with what it is having now.
        var had: Double { used + Double(running) * FairQueue.expectation / weight }
    }

    private struct Client {
        let name: String
        /// What his work has taken, each piece divided by its weight, and what he missed by being away; in nanoseconds.
        var time: Double
        var running = 0
        var laneCount = 0
        /// The lanes in which something waits.
        var ready = Contest()
        var turns: UInt64 = 0

        var had: Double { time + Double(running) * FairQueue.expectation }
    }

    /// What work that is under way is taken for, in nanoseconds, until it says what it took: so several threads that are free
    /// at a time do not all serve the same lane.
    private static var expectation: Double { 4_000_000 }

    private var lanes = Slots<Lane>()
    private var clients = Slots<Client>()
    private var names: [String: Int] = [:]
    /// The clients who have a lane in which something waits.
    private var ready = Contest()
    /// Clients without a lane who are remembered because they have had more than others.
    private var owing: [Int] = []
    /// The time of the client who was served last; it never goes back.
    private var time = 0.0
    /// The time of the client who has had most.
    private var latest = 0.0
    private var running = 0
    private var lastTicket: UInt64 = 0

    /// How many elements wait.
    private(set) var count = 0

    init() {}

    /// How many clients are known: those with a lane, and those who are remembered.
    var clientCount: Int { names.count }
    /// How many lanes there are.
    var laneCount: Int { lanes.count }

    // MARK: Lanes

    /// - Parameter weight: What the lane gets in proportion to others: 1 for a call, less for what can wait. It is kept between
    ///   0.001 and 1,000.
    mutating func addLane(client name: String, weight: Double) -> LaneID {
        let client: Int
        if let known = names[name] {
            client = known
            owing.removeAll { $0 == known }
        } else {
            client = clients.insert(Client(name: name, time: time))
            names[name] = client
        }
        clients[client].laneCount += 1
        // A weight that is no number is the least.
        let weight = weight > 0.001 ? min(weight, 1_000) : 0.001
        return LaneID(index: lanes.insert(Lane(client: client, weight: weight)))
    }

    /// The lane must have nothing that waits or is under way.
    mutating func removeLane(_ id: LaneID) {
        let client = lanes.remove(id.index).client
        clients[client].laneCount -= 1
        guard clients[client].laneCount == 0 else { return }
        owing.append(client)
        var stillOwing: [Int] = []
        for client in owing where !forget(client) { stillOwing.append(client) }
        owing = stillOwing
    }

    /// Forgets a client who has had no more than others. False where he has.
    private mutating func forget(_ client: Int) -> Bool {
        guard clients[client].time <= time else { return false }
        names[clients.remove(client).name] = nil
        return true
    }

    // MARK: Work

    mutating func push(_ element: Element, in id: LaneID) {
        lastTicket += 1
        let client = lanes[id.index].client
        if lanes[id.index].waiting.isEmpty {
            if clients[client].ready.isEmpty {
                if clients[client].running == 0 { clients[client].time = max(clients[client].time, time) }
                ready.enter(client, had: clients[client].had, ticket: lastTicket)
            }
            clients[client].ready.enter(id.index, had: lanes[id.index].had, ticket: lastTicket)
        }
        lanes[id.index].waiting.append((lastTicket, element))
        count += 1
    }

    /// What comes next, which is then under way until ``finish(_:took:)``; nil where nothing waits.
    mutating func pop() -> (element: Element, lane: LaneID)? {
        guard let client = ready.least else { return nil }
        clients[client].turns &+= 1
        let isTurnOfTheOldest = clients[client].turns.isMultiple(of: 4)
        let next = isTurnOfTheOldest ? clients[client].ready.oldest : clients[client].ready.least
        guard let lane = next, let first = lanes[lane].waiting.popFirst() else { return nil }
        time = max(time, clients[client].time)
        lanes[lane].running += 1
        clients[client].running += 1
        running += 1
        count -= 1
        clients[client].ready.change(lane, had: lanes[lane].had, ticket: lanes[lane].waiting.first?.ticket)
        ready.change(client, had: clients[client].had, ticket: clients[client].ready.isEmpty ? nil : lastTicket)
        return (first.element, LaneID(index: lane))
    }

    /// Something that ``pop()`` gave is over, and took so long.
    mutating func finish(_ id: LaneID, took: Duration) {
        let cost = max(took / .nanoseconds(1), 0) / lanes[id.index].weight
        let client = lanes[id.index].client
        lanes[id.index].used += cost
        lanes[id.index].running -= 1
        clients[client].time += cost
        clients[client].running -= 1
        running -= 1
        latest = max(latest, clients[client].time)
        clients[client].ready.change(id.index, had: lanes[id.index].had)
        ready.change(client, had: clients[client].had)
        // Where nobody has anything to do nobody is late: what some had more than others is past.
        if running == 0, ready.isEmpty { time = latest }
    }
}

/// Those who want a turn, by what they have had and how long they wait.
private struct Contest {
    private struct Contender {
        let index: Int
        var had: Double
        /// Lower numbers have waited longer.
        var ticket: UInt64
    }

    private var contenders: [Contender] = []

    var isEmpty: Bool { contenders.isEmpty }

    /// Who has had least; of several, who has waited longest.
    var least: Int? { contenders.min { ($0.had, $0.ticket) < ($1.had, $1.ticket) }?.index }

    /// Who has waited longest.
    var oldest: Int? { contenders.min { $0.ticket < $1.ticket }?.index }

    mutating func enter(_ index: Int, had: Double, ticket: UInt64) {
        contenders.append(Contender(index: index, had: had, ticket: ticket))
    }

    /// Somebody has had more, if he is among them.
    mutating func change(_ index: Int, had: Double) {
        guard let place = contenders.firstIndex(where: { $0.index == index }) else { return }
        contenders[place].had = had
    }

    /// Somebody had a turn. He waits for another since `ticket`; nil where he does not.
    mutating func change(_ index: Int, had: Double, ticket: UInt64?) {
        guard let place = contenders.firstIndex(where: { $0.index == index }) else { return }
        if let ticket {
            contenders[place].had = had
            contenders[place].ticket = ticket
        } else {
            contenders.swapAt(place, contenders.count - 1)
            contenders.removeLast()
        }
    }
}

/// Values under small numbers, which are used again.
private struct Slots<Value> {
    private var values: [Value?] = []
    private var free: [Int] = []

    var count: Int { values.count - free.count }

    mutating func insert(_ value: Value) -> Int {
        guard let index = free.popLast() else {
            values.append(value)
            return values.count - 1
        }
        values[index] = value
        return index
    }

    mutating func remove(_ index: Int) -> Value {
        let value = self[index]
        values[index] = nil
        free.append(index)
        return value
    }

    /// The number must be that of a value there is: nobody outside this file makes one.
    subscript(index: Int) -> Value {
        get {
            guard let value = values[index] else { preconditionFailure("there is nothing under the number \(index)") }
            return value
        }
        _modify {
            guard var value = values[index] else { preconditionFailure("there is nothing under the number \(index)") }
            values[index] = nil
            defer { values[index] = value }
            yield &value
        }
    }
}
