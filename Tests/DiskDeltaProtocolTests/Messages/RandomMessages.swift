import DiskDeltaProtocol
import TestSupport

/// Messages with random content, and the same in protobuf's text format.
struct RandomMessages {
    private var generator: RepeatableGenerator

    init(seed: UInt64) {
        generator = RepeatableGenerator(seed: seed)
    }

    mutating func rangeAnswer() -> (value: RangeAnswer, text: String) {
        switch Int.random(in: 0..<4, using: &generator) {
        case 0:
            return (RangeAnswer(), "")
        case 1:
            let header = AnswerHeader(
                disk: string(),
                format: ImageFormat(rawValue: Int32.random(in: -2...9, using: &generator)),
                size: number(),
                since: string(),
                target: string(),
                epoch: string(),
                granularity: number(),
                basis: AnswerBasis(rawValue: Int32.random(in: 0...3, using: &generator)),
                unit: number(),
                windowOffset: number(),
                windowLength: number()
            )
            return (RangeAnswer(part: .header(header)), "header { \(Self.text(header)) }")
        case 2:
            let count = Int.random(in: 0..<300, using: &generator)
            let runs = RangeRuns(
                processedEnd: number(),
                gap: UInt64Column((0..<count).map { _ in number() }),
                length: UInt64Column((0..<count).map { _ in number() }),
                zero: bytes()
            )
            return (RangeAnswer(part: .runs(runs)), "runs { \(Self.text(runs)) }")
        default:
            let bitmap = RangeBitmap(processedEnd: number(), bits: bytes())
            let text = "bitmap { processed_end: \(bitmap.processedEnd) bits: \(Self.literal(Array(bitmap.bits))) }"
            return (RangeAnswer(part: .bitmap(bitmap)), text)
        }
    }

    mutating func serverInfo() -> (value: GetServerInfoResponse, text: String) {
        let info = GetServerInfoResponse(
            version: string(),
            identity: string(),
            formats: (0..<Int.random(in: 0..<5, using: &generator)).map { _ in
                ImageFormat(rawValue: Int32(truncatingIfNeeded: number()))
            },
            limits: generator.chance(30)
                ? nil : ServerLimits(maxFrameSize: UInt32(truncatingIfNeeded: number()), maxStreams: 1),
            methods: (0..<Int.random(in: 0..<5, using: &generator)).map { _ in string() }
        )
        var text = "version: \(Self.literal(info.version)) identity: \(Self.literal(info.identity)) "
        text += info.formats.map { "formats: \($0.rawValue) " }.joined()
        text += info.methods.map { "methods: \(Self.literal($0)) " }.joined()
        text += info.limits.map { "limits { max_frame_size: \($0.maxFrameSize) max_streams: \($0.maxStreams) }" } ?? ""
        return (info, text)
    }

    mutating func request() -> (value: GetVirtualDiskChangesRequest, text: String) {
        let request = GetVirtualDiskChangesRequest(
            path: string(),
            limitID: string(),
            byteOffset: number(),
            byteLength: generator.chance(50) ? number() : nil,
            ifEpoch: string()
        )
        var text = "path: \(Self.literal(request.path)) limit_id: \(Self.literal(request.limitID)) "
        text += "byte_offset: \(request.byteOffset) if_epoch: \(Self.literal(request.ifEpoch)) "
        text += request.byteLength.map { "byte_length: \($0)" } ?? ""
        return (request, text)
    }

    /// A number of any length in bits; often zero, which is not written.
    private mutating func number() -> UInt64 {
        generator.chance(15) ? 0 : generator.next() >> UInt64.random(in: 0..<64, using: &generator)
    }

    private mutating func string() -> String {
        let characters: [Character] = ["a", "/", "é", "\u{1F4BE}", "\"", "\\", "\n", " ", "\u{7F}", "界"]
        let count = Int.random(in: 0..<12, using: &generator)
        return String((0..<count).map { _ in characters.randomElement(using: &generator) ?? "x" })
    }

    private mutating func bytes() -> ByteColumn {
        let count = Int.random(in: 0..<200, using: &generator)
        return ByteColumn((0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
    }

    private static func text(_ header: AnswerHeader) -> String {
        """
        disk: \(literal(header.disk)) format: \(header.format.rawValue) size: \(header.size)
        since: \(literal(header.since)) target: \(literal(header.target)) epoch: \(literal(header.epoch))
        granularity: \(header.granularity) basis: \(header.basis.rawValue) unit: \(header.unit)
        window_offset: \(header.windowOffset) window_length: \(header.windowLength)
        """
    }

    private static func text(_ runs: RangeRuns) -> String {
        let gap = Array(runs.gap).map(String.init).joined(separator: ", ")
        let length = Array(runs.length).map(String.init).joined(separator: ", ")
        return
            "processed_end: \(runs.processedEnd) gap: [\(gap)] length: [\(length)] zero: \(literal(Array(runs.zero)))"
    }

    private static func literal(_ string: String) -> String {
        literal(Array(string.utf8))
    }

    /// A string or bytes with every byte in octal.
    private static func literal(_ bytes: [UInt8]) -> String {
        let digits = bytes.map { byte in
            let octal = String(byte, radix: 8)
            return "\\" + String(repeating: "0", count: 3 - octal.count) + octal
        }
        return "\"\(digits.joined())\""
    }
}
