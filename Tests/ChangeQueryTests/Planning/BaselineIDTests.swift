import DiskImages
import Testing

@testable import ChangeQuery

/// The forms of "Baseline ids" in the contract of the command line.
@Suite("The ids of baselines")
struct BaselineIDTests {
    private static let guid = GUID(high: 0x5BFD_E23B_CE75_4303, low: 0xB54F_6C18_394F_105C)

    @Test(
        "A GUID, with or without braces, in any case",
        arguments: [
            "{5bfde23b-ce75-4303-b54f-6c18394f105c}", "5bfde23b-ce75-4303-b54f-6c18394f105c",
            "{5BFDE23B-CE75-4303-B54F-6C18394F105C}", "5BFDE23B-CE75-4303-B54F-6C18394F105C",
            "{5bFdE23b-cE75-4303-B54f-6c18394F105c}",
        ]
    )
    func guids(text: String) throws {
        #expect(try BaselineID(text) == .guid(Self.guid))
    }

    @Test func aReferencePoint() throws {
        let id = try BaselineID("rctX:5bfde23b:ce75:4303:b54f:6c18394f105c:0000000a")
        #expect(id == .referencePoint(branch: Self.guid, sequence: 10))
        let upper = try BaselineID("rctX:5BFDE23B:CE75:4303:B54F:6C18394F105C:FFFFFFFF")
        #expect(upper == .referencePoint(branch: Self.guid, sequence: .max))
    }

    @Test func names() throws {
        #expect(try BaselineID("bitmap:nightly") == .bitmap("nightly"))
        #expect(try BaselineID("bitmap:a:b c") == .bitmap("a:b c"))
        // They look alike, and a file may have both.
        #expect(try BaselineID("bitmap:caf\u{E9}") != BaselineID("bitmap:cafe\u{301}"))
        #expect(try BaselineID("snapshot:1") == .snapshot("1"))
        #expect(try BaselineID("snapshot:vor dem Update ✓") == .snapshot("vor dem Update ✓"))
        #expect(try BaselineID("backing:../base.qcow2") == .backing("../base.qcow2"))
    }

    @Test(
        "Whatever has another form",
        arguments: [
            "", " ", ":", "x", "{}", "{", "}", "now", "null",
            // GUIDs that are not quite.
            "{5bfde23b-ce75-4303-b54f-6c18394f105c", "5bfde23b-ce75-4303-b54f-6c18394f105c}",
            "{5bfde23b-ce75-4303-b54f-6c18394f105}", "{5bfde23b-ce75-4303-b54f-6c18394f105cc}",
            "5bfde23bce754303b54f6c18394f105c", "{5bfde23b-ce75-4303-b54f_6c18394f105c}",
            "{5bfde23b-ce75-4303-b54f-6c18394f105g}", " {5bfde23b-ce75-4303-b54f-6c18394f105c}",
            "{5bfde23b-ce75-4303-b54f-6c18394f105c} ", "{{5bfde23b-ce75-4303-b54f-6c18394f105c}}",
            "(5bfde23b-ce75-4303-b54f-6c18394f105c)", "{5bfde23-bce75-4303-b54f-6c18394f105c}",
            "{５bfde23b-ce75-4303-b54f-6c18394f105c}", "{+bfde23b-ce75-4303-b54f-6c18394f105c}",
            // Names that are missing, or of nothing known.
            "bitmap:", "snapshot:", "backing:", "rctX:", "bitmap", "Bitmap:a", "SNAPSHOT:a", "layer:x", ":x",
            // Reference points that are not quite.
            "rctX:5bfde23b:ce75:4303:b54f:6c18394f105c", "rctX:5bfde23b:ce75:4303:b54f:6c18394f105c:",
            "rctX:5bfde23b:ce75:4303:b54f:6c18394f105c:000000a", "rctX:5bfde23b:ce75:4303:b54f:6c18394f105c:00000000a",
            "rctX:5bfde23b:ce75:4303:b54f:6c18394f105c:0000000g", "rctX:5bfde23b:ce75:4303:b54f:6c18394f105c:+000000a",
            "rctX:5bfde23b:ce75:4303:b54f:6c18394f105c:0000000a:", "rctX:5bfde23b-ce75-4303-b54f-6c18394f105c:0000000a",
            "rctX:{5bfde23b:ce75:4303:b54f:6c18394f105c}:0000000a", "rctX:5bfde23b:ce754303:b54f:6c18394f105c:0000000a",
            "RCTX:5bfde23b:ce75:4303:b54f:6c18394f105c:0000000a", "rct:5bfde23b:ce75:4303:b54f:6c18394f105c:0000000a",
            "rctX:5bfde23b:ce75:4303:b54f:6c18394f105c:０000000a", "rctX::5bfde23b:ce75:4303:b54f:6c18394f105c:0000000",
        ]
    )
    func malformed(text: String) {
        let error = #expect(throws: QueryError.self) { try BaselineID(text) }
        #expect(error?.code == .baselineMalformed)
    }

    @Test func aLongIdIsNotRepeatedWhole() {
        let error = #expect(throws: QueryError.self) { try BaselineID(String(repeating: "x", count: 100_000)) }
        #expect(error?.message.count ?? .max < 300)
    }
}
