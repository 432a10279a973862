import DiskImages
import Testing

@testable import ChangeQuery

@Suite("What is answered where the changes can't be told")
struct OnUnavailableTests {
    private static let size: UInt64 = 1 << 20
    private static let half: UInt64 = size / 2
    private let file: ImageFile
    /// The leaf has data in its first half, the base everywhere.
    private let layers: [ScriptedLayer]

    init() throws {
        let file = try LocalFiles().open(#filePath)
        self.file = file
        layers = [
            ScriptedLayer(
                [(Self.half, .uniform(.data)), (Self.size, .uniform(.absent))],
                identifier: Self.id(1),
                file: file
            ),
            ScriptedLayer(
                [
                    (Self.half, .uniform(.absent)), (Self.half + 65_536, .uniform(.data)),
                    (Self.size, .uniform(.unmapped)),
                ],
                identifier: Self.id(2),
                file: file
            ),
        ]
    }

    private static func id(_ number: Int) -> GUID { GUID(high: 0xABCD, low: UInt64(number)) }

    private func plan(
        since: String,
        target: String? = nil,
        _ onUnavailable: Question.OnUnavailable,
        offset: UInt64 = 0,
        length: UInt64? = nil
    ) throws -> Plan {
        try Plan(
            Question(
                .changes(since: since, target: target),
                offset: offset,
                length: length,
                onUnavailable: onUnavailable
            ),
            about: layers
        )
    }

    private func ranges(_ plan: Plan) throws -> [PlainRange] {
        let cursor = RangeCursor(plan)
        var reader = BatchReader(plan)
        while let batch = try cursor.next() { reader.read(batch) }
        #expect(reader.problems == [] && reader.position == plan.window.end)
        return reader.ranges
    }

    /// No id at all, one in no form, one that is unknown.
    private static let unusable = ["", "yesterday", "{00000000-0000-abcd-0000-000000000009}", "bitmap:a"]

    @Test(arguments: unusable) func allocatedIsWhatHoldsData(since: String) throws {
        let plan = try plan(since: since, .allocated)
        #expect(plan.basis == .allocated && plan.since == "" && plan.target == "")
        let code = try #require(plan.unavailability?.code)
        #expect(code == .baselineMalformed || code == .baselineUnknown)
        #expect(try ranges(plan) == [PlainRange(start: 0, end: Self.half + 65_536, kind: .data)])
    }

    @Test(arguments: unusable) func wholeIsEverything(since: String) throws {
        let plan = try plan(since: since, .whole)
        #expect(plan.basis == .whole && plan.unavailability != nil)
        #expect(try ranges(plan) == [PlainRange(start: 0, end: Self.size, kind: .data)])
        let part = try self.plan(since: since, .whole, offset: 4_096, length: 8_192)
        #expect(try ranges(part) == [PlainRange(start: 4_096, end: 12_288, kind: .data)])
    }

    @Test(arguments: unusable) func failIsTheDefault(since: String) {
        #expect(throws: QueryError.self) { try Plan(Question(.changes(since: since, target: nil)), about: layers) }
    }

    @Test("A baseline that can be used is used", arguments: [Question.OnUnavailable.allocated, .whole])
    func nothingStandsInTheWay(onUnavailable: Question.OnUnavailable) throws {
        let plan = try plan(since: Self.id(2).description, onUnavailable)
        #expect(plan.basis == .changes && plan.unavailability == nil && plan.since == Self.id(2).description)
    }

    @Test("The answer is about the target that was asked for", arguments: [Question.OnUnavailable.allocated, .whole])
    func target(onUnavailable: Question.OnUnavailable) throws {
        let plan = try plan(since: "yesterday", target: Self.id(2).description, onUnavailable)
        #expect(plan.target == Self.id(2).description)
        let end = onUnavailable == .whole ? Self.size : Self.half + 65_536
        let start = onUnavailable == .whole ? 0 : Self.half
        #expect(try ranges(plan) == [PlainRange(start: start, end: end, kind: .data)])
        let now = try Plan(Question(.changes(since: Self.id(2).description, target: nil)), about: layers)
        #expect(plan.epoch != now.epoch)
    }

    @Test("Every other failure stays one", arguments: [Question.OnUnavailable.allocated, .whole])
    func otherFailures(onUnavailable: Question.OnUnavailable) {
        func refusal(_ since: String, _ target: String?, offset: UInt64 = 0, ifEpoch: String? = nil) -> QueryError.Code?
        {
            #expect(throws: QueryError.self) {
                try Plan(
                    Question(
                        .changes(since: since, target: target),
                        offset: offset,
                        ifEpoch: ifEpoch,
                        onUnavailable: onUnavailable
                    ),
                    about: layers
                )
            }?.code
        }
        let base = Self.id(2).description
        #expect(refusal("yesterday", "tomorrow") == .baselineMalformed)
        #expect(refusal(base, "bitmap:x") == .baselineUnknown)
        #expect(refusal(Self.id(1).description, base) == .invalidParameter)
        #expect(refusal("yesterday", nil, offset: 1) == .invalidParameter)
        #expect(refusal("yesterday", nil, offset: Self.size + 512) == .offsetOutOfRange)
        #expect(refusal("yesterday", nil, ifEpoch: "0") == .epochChanged)
    }
}
