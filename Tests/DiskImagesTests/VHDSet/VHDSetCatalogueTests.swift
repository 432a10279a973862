import Foundation
import TestSupport
import Testing

@testable import DiskImages

/// The document: what hosts print, and what is none.
@Suite("Catalogues of VHD Sets")
struct VHDSetCatalogueTests {
    private static let id = GUID(high: 0x1111_1111_1111_4111, low: 0x8111_1111_1111_1111)

    private func read(_ text: String) throws(ImageError) -> VHDSetCatalogue {
        try VHDSetCatalogue(decoding: Array(text.utf8), name: "a.vhdset.json")
    }

    private func refusal(_ text: String) -> ImageError? {
        do throws(ImageError) {
            _ = try read(text)
            return nil
        } catch {
            return error
        }
    }

    /// As `@(Get-VHDSet …; Get-VHDSnapshot …) | ConvertTo-Json` prints it.
    private static let export = #"""
        [
            {
                "Path":  "C:\\Sets\\web.vhds",
                "SnapshotIdList":  ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"],
                "AllPaths":  ["C:\\Sets\\web.vhds", "C:\\Sets\\web_A.avhdx", "C:\\Sets\\web_B.avhdx"],
                "CimSession":  {"ComputerName": null, "InstanceId": "00000000-0000-0000-0000-000000000000"},
                "IsDeleted":  false
            },
            {
                "FilePath":  "C:\\Sets\\web.vhds",
                "SnapshotId":  "{11111111-1111-4111-8111-111111111111}",
                "SnapshotPath":  "C:\\Sets\\web_A.avhdx",
                "ParentPathsList":  null,
                "CreationTime":  "\/Date(1700773125000)\/",
                "ResilientChangeTrackingId":  "rctX:5bfde23b:ce75:4303:b54f:6c18394f105c:00000001"
            }
        ]
        """#

    @Test func whatAHostPrints() throws {
        let set = try read(Self.export)
        #expect(set.path == #"C:\Sets\web.vhds"#)
        #expect(set.allPaths.map(\.location) == ["web.vhds", "web_A.avhdx", "web_B.avhdx"])
        #expect(set.leafPath == nil && !set.noSnapshotApplied)
        #expect(set.snapshots.count == 2)
        let first = try #require(set.snapshots.first)
        #expect(first.id == Self.id)
        #expect(first.snapshotPath?.location == "web_A.avhdx")
        #expect(first.parentPaths == [])
        #expect(first.created?.text == "2023-11-23T20:58:45Z")
        #expect(first.resilientChangeTrackingID == "rctX:5bfde23b:ce75:4303:b54f:6c18394f105c:00000001")
        // The second is listed, and nothing is told of it.
        #expect(set.snapshots[1] == VHDSetSnapshot(id: GUID("22222222-2222-4222-8222-222222222222") ?? .zero))
    }

    @Test func everyEncodingThatPowerShellWrites() throws {
        let expected = try read(Self.export)
        let units = Array(Self.export.utf16)
        let encodings: [[UInt8]] = [
            [0xEF, 0xBB, 0xBF] + Array(Self.export.utf8),
            [0xFF, 0xFE] + units.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] },
            [0xFE, 0xFF] + units.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] },
        ]
        for bytes in encodings {
            #expect(CatalogueText.looksLikeJSON(Array(bytes.prefix(1_024))))
            #expect(try VHDSetCatalogue(decoding: bytes, name: "a") == expected)
        }
        #expect(refusal("[\u{0}]") != nil)
        for bytes: [UInt8] in [[0xFF, 0xFE, 0x5B], [0x5B, 0xC3], [0xFF, 0xFE, 0x5B, 0, 0, 0xD8]] {
            #expect(throws: ImageError.self) { try VHDSetCatalogue(decoding: bytes, name: "a") }
        }
    }

    @Test(
        "One snapshot, told in many ways",
        arguments: [
            #"{"SnapshotId":"11111111-1111-4111-8111-111111111111","SnapshotPath":"a.vhdx"}"#,
            #"[{"snapshotid":"{11111111-1111-4111-8111-111111111111}","SNAPSHOTPATH":"./a.vhdx"}]"#,
            #"[[{"SnapshotId":"11111111-1111-4111-8111-111111111111","SnapshotPath":"D:a.vhdx"}]]"#,
            #"{"value":[{"SnapshotId":"11111111-1111-4111-8111-111111111111","SnapshotPath":"\\\\s\\a.vhdx"}],"Count":1}"#,
            #"[{"Other":[{"Deep":{}}]},{"SnapshotId":"11111111-1111-4111-8111-111111111111","SnapshotPath":"a.vhdx"}]"#,
            #"{"SnapshotId":"11111111-1111-4111-8111-111111111111","SnapshotPath":"a.vhdx","ParentPathsList":[""]}"#,
            #"{"SnapshotId":"11111111-1111-4111-8111-111111111111","SnapshotPath":"a.vhdx","CreationTime":"soon"}"#,
            #"{"SnapshotId":"11111111-1111-4111-8111-111111111111","SnapshotPath":"a.vhdx","CreationTime":17}"#,
        ]
    )
    func forms(text: String) throws {
        let set = try read(text)
        #expect(set.snapshots.count == 1)
        #expect(set.snapshots.first?.id == Self.id)
        #expect(set.snapshots.first?.snapshotPath?.location == "a.vhdx")
        #expect(set.snapshots.first?.parentPaths == [])
        #expect(set.snapshots.first?.created == nil)
    }

    @Test(
        "A time, told in many ways",
        arguments: [
            #""2023-11-23T20:58:45Z""#, #""20231123205845.000000+000""#, #""/Date(1700773125000)/""#,
            #"{"value":"/Date(1700773125000)/","DisplayHint":2,"DateTime":"Thursday, 23 November 2023 20:58:45"}"#,
        ]
    )
    func times(text: String) throws {
        let set = try read(#"{"SnapshotId":"\#(Self.id)","CreationTime":\#(text)}"#)
        #expect(set.snapshots.first?.created?.text == "2023-11-23T20:58:45Z")
    }

    @Test func listsInEveryForm() throws {
        for list in [#""a.vhdx""#, #"["a.vhdx"]"#, #"{"value":["a.vhdx"],"Count":1}"#, #"["a.vhdx",null,""]"#] {
            #expect(try read(#"{"AllPaths":\#(list)}"#).allPaths.map(\.location) == ["a.vhdx"], "\(list)")
        }
        #expect(try read(#"{"AllPaths":null,"Path":""}"#).isEmpty)
    }

    @Test(
        "What is no catalogue",
        arguments: [
            "", "[", "{}", "[]", "null", "3", #""text""#, "[{}]", #"{"Path":"x"}"#, "[1,2]", #"{"AllPaths":[1]}"#,
            #"{"AllPaths":{}}"#, #"{"SnapshotId":"nonsense"}"#, #"{"SnapshotId":7}"#, #"{"SnapshotIdList":["x"]}"#,
            #"{"SnapshotId":"11111111-1111-4111-8111-111111111111","SnapshotPath":[]}"#,
            #"{"SnapshotId":"11111111-1111-4111-8111-111111111111","SnapshotPath":".."}"#,
            #"{"SnapshotId":"11111111-1111-4111-8111-111111111111","snapshotid":""}"#,
            #"{"SnapshotId":"11111111-1111-4111-8111-111111111111","SnapshotPath":"C:\\x\\"}"#,
            #"{"AllPaths":[],"LeafPath":"a"},{}"#, #"{"AllPaths":[]} {"AllPaths":[]}"#,
            #"{"AllPaths":[],"NoSnapshotApplied":"yes"}"#,
            #"[{"AllPaths":[],"LeafPath":"a"},{"AllPaths":[],"LeafPath":"b"}]"#,
            #"[{"AllPaths":[],"Path":"C:\\a.vhds"},{"AllPaths":[],"Path":"C:\\b.vhds"}]"#,
        ]
    )
    func refused(text: String) {
        #expect(refusal(text)?.code == .corrupt)
        #expect(refusal(text)?.path == "a.vhdset.json")
    }

    /// What one program reads in one way and another in another way, or what is passed over in silence, is not a catalogue.
    @Test(
        "What is nearly JSON",
        arguments: [
            #"{"AllPaths":["a"],"AllPaths":["b"]}"#, #"{"AllPaths":[],"LeafPath":"a","LeafPath":"b"}"#,
            #"{"AllPaths":["a"],"x":{"y":1,"y":2}}"#, #"{"AllPaths":["a"],}"#, #"{"AllPaths":["a",]}"#,
            #"{"AllPaths":["a"],"x":1.2.3}"#, #"{"AllPaths":["a"],"x":-}"#, #"{"AllPaths":["a"],"x":0123}"#,
            #"{"AllPaths":["a"],"x":"\ud800"}"#, #"[{"AllPaths":["a"]},{"\ud800":1}]"#,
            #"{"AllPaths":["a"],"x\ud800":{}}"#, "{\"AllPaths\":[\"a\"],\"x\":\"\u{1}\"}",
            "{\"AllPaths\":[\"a\n\"]}", "{\"AllPaths\":[\"a\"]\u{0}}",
        ]
    )
    func nearlyJSON(text: String) {
        #expect(refusal(text)?.code == .corrupt)
    }

    @Test func aDocumentInUTF16NeedsAMark() throws {
        let units = Array(Self.export.utf16)
        let bytes = units.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }
        #expect(throws: ImageError.self) { try VHDSetCatalogue(decoding: bytes, name: "a") }
    }

    /// `ConvertTo-Json` prints a list that lies too deep as one text, and its last element alone would be another set.
    @Test(
        "A list that was printed as one text",
        arguments: [
            #"C:\\x\\a.vhds C:\\x\\b.avhdx"#, #"\\\\s\\x\\a.vhds \\\\s\\x\\b.avhdx"#, #"C:a.vhds C:b.avhdx"#,
            #"a.vhds C:\\x\\b.avhdx"#, #"C:\\x\\a.vhds D:b.avhdx"#,
        ]
    )
    func flattenedList(paths: String) {
        #expect(refusal(#"{"AllPaths":"\#(paths)"}"#)?.code == .corrupt)
        #expect(refusal(#"{"SnapshotId":"\#(Self.id)","ParentPathsList":"\#(paths)"}"#)?.code == .corrupt)
    }

    @Test func windowsPathsInEveryForm() throws {
        for path in [#"C:\\x\\my disk.avhdx"#, #"\\\\?\\C:\\x\\my disk.avhdx"#, #"\\\\?\\Volume{1}\\my disk.avhdx"#] {
            #expect(try read(#"{"AllPaths":"\#(path)"}"#).allPaths.map(\.location) == ["my disk.avhdx"], "\(path)")
        }
    }

    @Test func depthAndCountAreBounded() {
        let deep = String(repeating: "[", count: 100_000) + String(repeating: "]", count: 100_000)
        #expect(refusal(deep)?.message.contains("nested") == true)
        let wide = "[" + String(repeating: "1,", count: 200_000) + "1]"
        #expect(refusal(wide)?.message.contains("values") == true)
        let many = (0..<5_000).map { #"{"SnapshotId":"\#(GUID(high: 1, low: UInt64($0 + 1)))"}"# }
        #expect(refusal("[" + many.joined(separator: ",") + "]")?.message.contains("snapshots") == true)
    }

    /// Whatever happens to a document: a refusal, or a catalogue, and never an end of the program.
    @Test func damageIsHarmless() {
        let bytes = Array(Self.export.utf8)
        for index in bytes.indices {
            for change in [UInt8(0), 0x22, 0x5B, 0x7D, bytes[index] ^ 0x20] {
                var damaged = bytes
                damaged[index] = change
                _ = try? VHDSetCatalogue(decoding: damaged, name: "a")
            }
            _ = try? VHDSetCatalogue(decoding: Array(bytes[..<index]), name: "a")
        }
    }
}
