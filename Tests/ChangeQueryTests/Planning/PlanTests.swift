import DiskImages
import Testing

@testable import ChangeQuery

@Suite("Plans")
struct PlanTests {
    private static let size: UInt64 = 1 << 20
    private let file: ImageFile
    /// The leaf, its parent and the base.
    private let layers: [ScriptedLayer]

    init() throws {
        let file = try LocalFiles().open(#filePath)
        self.file = file
        layers = (1...3).map { ScriptedLayer(.data, size: Self.size, identifier: Self.guid($0), file: file) }
    }

    private static func guid(_ number: Int) -> GUID { GUID(high: 0xABCD, low: UInt64(number)) }
    private static func id(_ number: Int) -> String { guid(number).description }

    private func changes(_ since: String, _ target: String? = nil) -> Question {
        Question(.changes(since: since, target: target))
    }

    private func refusal(_ question: Question, _ layers: [ScriptedLayer]? = nil) -> QueryError.Code? {
        #expect(throws: QueryError.self) { try Plan(question, about: layers ?? self.layers) }?.code
    }

    private func numbers(_ maps: [any SectorMap]) -> [UInt64] {
        maps.map { ($0 as? any DiskImage)?.description.identifier?.low ?? 0 }
    }

    // MARK: Baseline and target

    @Test func theLayersAboveTheBaselineAreTheAnswer() throws {
        let plan = try Plan(changes(Self.id(3)), about: layers)
        #expect(numbers(plan.span.maps) == [1, 2])
        #expect(numbers(plan.span.baseline) == [3])
        #expect(plan.since == Self.id(3))
        #expect(plan.target == "")
        #expect(plan.basis == .changes)
        #expect(plan.size == Self.size)
    }

    @Test func theTargetLimitsThemFromAbove() throws {
        let plan = try Plan(changes(Self.id(3), Self.id(2)), about: layers)
        #expect(numbers(plan.span.maps) == [2])
        #expect(numbers(plan.span.baseline) == [3])
        #expect(plan.target == Self.id(2))
    }

    @Test func theLeafsIdAsTargetMeansNow() throws {
        let plan = try Plan(changes(Self.id(2), Self.id(1)), about: layers)
        #expect(numbers(plan.span.maps) == [1])
        #expect(plan.target == Self.id(1))
    }

    @Test func anEmptyTargetIsNone() throws {
        let plan = try Plan(changes(Self.id(2), ""), about: layers)
        #expect(numbers(plan.span.maps) == [1])
        #expect(plan.target == "")
    }

    @Test("Since equal to target is complete and empty", arguments: 1...3)
    func sinceEqualToTarget(number: Int) throws {
        let plan = try Plan(changes(Self.id(number), Self.id(number)), about: layers)
        #expect(plan.span.maps.isEmpty)
        let cursor = RangeCursor(plan)
        while let batch = try cursor.next() { #expect(batch.processedEnd > 0) }
        #expect(cursor.totals.ranges == 0)
        #expect(cursor.processedEnd == Self.size)
    }

    @Test func aTargetBelowTheBaselineIsRefused() {
        #expect(refusal(changes(Self.id(2), Self.id(3))) == .invalidParameter)
        #expect(refusal(changes(Self.id(1), Self.id(2))) == .invalidParameter)
    }

    @Test func idsAreToldInTheirCanonicalForm() throws {
        let text = "00000000-0000-ABCD-0000-000000000003"
        let plan = try Plan(changes(text, "{00000000-0000-AbCd-0000-000000000002}"), about: layers)
        #expect(plan.since == "{00000000-0000-abcd-0000-000000000003}")
        #expect(plan.target == "{00000000-0000-abcd-0000-000000000002}")
    }

    @Test(
        "A well-formed id that names nothing",
        arguments: [
            "{00000000-0000-abcd-0000-000000000009}", "bitmap:a", "snapshot:a", "backing:a",
            "rctX:00000000:0000:abcd:0000:000000000003:00000001", "{00000000-0000-0000-0000-000000000000}",
        ]
    )
    func unknown(id: String) {
        #expect(refusal(changes(id)) == .baselineUnknown)
        #expect(refusal(changes(Self.id(3), id)) == .baselineUnknown)
    }

    @Test func malformed() {
        #expect(refusal(changes("")) == .baselineMalformed)
        #expect(refusal(changes("yesterday")) == .baselineMalformed)
        #expect(refusal(changes(Self.id(3), "yesterday")) == .baselineMalformed)
    }

    @Test func aLayerWithoutAnIdentityCannotBeNamed() {
        let anonymous = ScriptedLayer(.data, size: Self.size, identifier: nil, file: file)
        let zero = GUID.zero.description
        #expect(refusal(changes(zero), layers + [anonymous]) == .baselineUnknown)
    }

    @Test func anIdentityOfTwoLayersIsAmbiguous() throws {
        let twins = layers + [ScriptedLayer(.data, size: Self.size, identifier: Self.guid(2), file: file)]
        #expect(refusal(changes(Self.id(2)), twins) == .baselineAmbiguous)
        #expect(refusal(changes(Self.id(3), Self.id(2)), twins) == .baselineAmbiguous)
        #expect(try Plan(changes(Self.id(3)), about: twins).since == Self.id(3))
        let usable = Baseline.all(of: twins).map { $0.problem == nil }
        #expect(usable == [false, true, false])
    }

    @Test func baselinesAreListedNearestFirstWithoutTheLeaf() {
        #expect(Baseline.all(of: layers).map(\.id) == [Self.id(2), Self.id(3)])
        #expect(Baseline.all(of: Array(layers.prefix(1))).isEmpty)
    }

    @Test func anAllocationHasAllLayersAndNoBaseline() throws {
        let plan = try Plan(Question(.allocation), about: layers)
        #expect(numbers(plan.span.maps) == [1, 2, 3])
        #expect(plan.span.baseline.isEmpty)
        #expect(plan.basis == .allocated)
        #expect(plan.since == "" && plan.target == "")
    }

    @Test func theSizeIsThatOfTheTarget() throws {
        let larger = ScriptedLayer(.data, size: 2 * Self.size, identifier: Self.guid(7), file: file)
        let disk = [larger] + layers
        #expect(try Plan(changes(Self.id(3)), about: disk).size == 2 * Self.size)
        #expect(try Plan(changes(Self.id(3), Self.id(1)), about: disk).size == Self.size)
        var beyond = changes(Self.id(3), Self.id(1))
        beyond.offset = Self.size + 512
        #expect(refusal(beyond, disk) == .offsetOutOfRange)
    }

    // MARK: Granularity and unit

    @Test func granularity() throws {
        for granularity: UInt64 in [512, 1024, 4096, 1 << 20, 1 << 40, 1 << 63] {
            let plan = try Plan(Question(.allocation, granularity: granularity), about: layers)
            #expect(plan.granularity == granularity)
            let cursor = RangeCursor(plan)
            while try cursor.next() != nil {}
            #expect(cursor.totals.dataBytes == Self.size)
        }
        #expect(try Plan(Question(.allocation), about: layers).granularity == 512)
        for granularity: UInt64 in [0, 1, 256, 513, 1536, 3 << 20, .max] {
            #expect(refusal(Question(.allocation, granularity: granularity)) == .invalidParameter)
        }
        let coarse = [ScriptedLayer(.data, size: Self.size, identifier: nil, sector: 4096, file: file)]
        #expect(try Plan(Question(.allocation), about: coarse).granularity == 4096)
        for granularity: UInt64 in [512, 2048] {
            #expect(refusal(Question(.allocation, granularity: granularity), coarse) == .invalidParameter)
        }
    }

    @Test func theUnitIsTheLargestThatDividesEveryBoundary() throws {
        func unit(_ offset: UInt64, _ length: UInt64?, _ granularity: UInt64, size: UInt64 = Self.size) throws -> UInt64
        {
            let layer = ScriptedLayer(.data, size: size, identifier: nil, file: file)
            return try Plan(
                Question(.allocation, offset: offset, length: length, granularity: granularity),
                about: [layer]
            )
            .unit
        }
        #expect(try unit(0, nil, 512) == 512)
        #expect(try unit(0, nil, 65536) == 65536)
        #expect(try unit(4096, nil, 65536) == 4096)
        #expect(try unit(65536, 65536, 65536) == 65536)
        #expect(try unit(65536, 1024, 65536) == 1024)
        #expect(try unit(512, 65536, 65536) == 512)
        // The disk's end need not be a multiple.
        #expect(try unit(0, nil, 65536, size: (1 << 20) + 512) == 65536)
        #expect(try unit(65536, 1 << 30, 65536, size: (1 << 20) + 512) == 65536)
        // A window without any unit may start anywhere.
        #expect(try unit(1000, nil, 512, size: 1000) == 512)
        #expect(try unit(512, 0, 65536) == 65536)
    }

    // MARK: Epoch

    @Test func ifEpoch() throws {
        let epoch = try Plan(changes(Self.id(3)), about: layers).epoch.description
        for accepted in [nil, "", epoch] {
            #expect(
                try Plan(Question(.changes(since: Self.id(3), target: nil), ifEpoch: accepted), about: layers)
                    .epoch.description == epoch
            )
        }
        for other in ["x", " ", epoch.uppercased() + " ", String(epoch.dropLast()), epoch + "0"] {
            #expect(refusal(Question(.changes(since: Self.id(3), target: nil), ifEpoch: other)) == .epochChanged)
        }
    }

    @Test("The size that the disk must have is that of the target, whatever else is asked")
    func ifSize() throws {
        let size = try Plan(changes(Self.id(3)), about: layers).size
        for (accepted, offset) in [(nil, 0), (size, 0), (size, size)] as [(UInt64?, UInt64)] {
            let question = Question(.changes(since: Self.id(3), target: nil), offset: offset, ifSize: accepted)
            #expect(try Plan(question, about: layers).size == size)
        }
        for other in [0, 1, size - 512, size + 512, .max] {
            let subjects: [Question.Subject] = [
                .changes(since: Self.id(3), target: nil), .changes(since: Self.id(3), target: Self.id(2)), .allocation,
            ]
            for subject in subjects { #expect(refusal(Question(subject, ifSize: other)) == .epochChanged) }
            // A window that fitted the disk of before is not what is the matter.
            #expect(refusal(Question(.allocation, offset: size + 512, ifSize: other)) == .epochChanged)
            // Nor is it about the baseline alone, so that nothing is answered instead.
            let lost = Question(.changes(since: "x", target: nil), ifSize: other, onUnavailable: .whole)
            #expect(refusal(lost) == .epochChanged)
        }
    }

    @Test func aDiskWithoutLayersIsRefused() {
        #expect(refusal(Question(.allocation), []) == .invalidParameter)
    }
}
