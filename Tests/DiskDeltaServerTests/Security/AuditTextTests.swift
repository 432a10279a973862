import Testing

@testable import DiskDeltaServer

@Suite("Text of peers in the audit log")
struct AuditTextTests {
    @Test("Ordinary names stay as they are")
    func ordinary() {
        for name in ["", "vms/Web Server/disk.vhdx", "vms/Müller/日本.vhdx", "a=b \"c\" \\d", "é\u{301}"] {
            #expect(AuditText.harmless(name) == name)
        }
    }

    @Test("Nothing ends the line, moves the cursor, or turns the direction")
    func hostile() {
        #expect(AuditText.harmless("a\nb\r\tc") == "a\\u{a}b\\u{d}\\u{9}c")
        #expect(AuditText.harmless("\u{1B}[2J\0\u{7F}\u{85}") == "\\u{1b}[2J\\u{0}\\u{7f}\\u{85}")
        #expect(
            AuditText.harmless("\u{2028}\u{2029}\u{202E}\u{200B}\u{FEFF}")
                == "\\u{2028}\\u{2029}\\u{202e}\\u{200b}\\u{feff}"
        )
        #expect(AuditText.harmless("\u{A0}\u{E000}\u{10FFFF}") == "\\u{a0}\\u{e000}\\u{10ffff}")
        for value in UInt32(0)...0x2FFF {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let text = AuditText.harmless(String(Character(scalar)))
            let endsALine = text.contains { $0.isNewline }
            #expect(!endsALine, "U+\(String(value, radix: 16))")
        }
    }

    @Test("Long text is cut")
    func long() {
        let longest = String(repeating: "x", count: AuditText.maximumCount)
        #expect(AuditText.harmless(longest) == longest)
        #expect(AuditText.harmless(longest + "y") == longest + "…")
        #expect(AuditText.harmless(String(repeating: "\n", count: 60_000)).utf8.count < 2_000)
    }
}
