import TestSupport
import Testing

@testable import DiskImages

@Suite("CRC-32C")
struct CRC32CTests {
    private func checksum(_ bytes: [UInt8]) -> UInt32 {
        var crc = CRC32C()
        crc.update(bytes.span.bytes)
        return crc.value
    }

    /// The check value of the algorithm, and two vectors of RFC 3720, B.4.
    @Test func knownVectors() {
        #expect(checksum(Array("123456789".utf8)) == 0xE306_9283)
        #expect(checksum([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
        #expect(checksum((0..<32).map { UInt8($0) }) == 0x46DD_794E)
        #expect(checksum([]) == 0)
    }

    @Test func agreesWithTheBitwiseDefinition() {
        var generator = RepeatableGenerator(seed: 1)
        for length in 0..<200 {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
            #expect(checksum(bytes) == Castagnoli.checksum(bytes))
        }
    }

    @Test func piecesGiveTheChecksumOfTheWhole() {
        let bytes = (0..<100).map { UInt8($0) }
        for cut in 0...100 {
            var crc = CRC32C()
            crc.update(bytes.span.bytes.extracting(first: cut))
            crc.update(bytes.span.bytes.extracting(droppingFirst: cut))
            #expect(crc.value == Castagnoli.checksum(bytes))
        }
    }

    @Test func theChecksumFieldCountsAsZero() {
        var bytes = (0..<64).map { UInt8($0 + 1) }
        let value = CRC32C.checksum(bytes.span.bytes, checksumField: 4)
        bytes.replaceSubrange(4..<8, with: [0, 0, 0, 0])
        #expect(value == Castagnoli.checksum(bytes))
    }
}
