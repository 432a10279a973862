import Testing

@testable import protoc_gen_diskdelta

/// The words of C names are those a reader sees.
struct CNameTests {
    @Test(arguments: [
        ("Find", "find"),
        ("GetVirtualDiskChanges", "get_virtual_disk_changes"),
        ("GetVHDSetInformation", "get_vhd_set_information"),
        ("VHDSetInformation", "vhd_set_information"),
        ("HTTPLookup", "http_lookup"),
        ("GetHTTP", "get_http"),
        ("Layer2Name", "layer2_name"),
        ("already_snake", "already_snake"),
        ("Mixed_Case", "mixed_case"),
        ("A", "a"),
        ("", ""),
    ])
    func snake(name: String, expected: String) {
        #expect(CName.snake(name) == expected)
    }
}

/// What the emitters write line by line.
struct CTextTests {
    @Test func aShortDeclarationStaysOnOneLine() {
        var text = CText()
        text.function("int f", ["int a", "int b"], end: ";")
        #expect(text.content == "int f(int a, int b);\n")
    }

    @Test func aLongDeclarationIsFilledUpToTheWidth() {
        var text = CText()
        let arguments = (0..<12).map { "unsigned long long argument_\($0)" }
        text.function("int f", arguments, end: "")
        let lines = text.content.split(separator: "\n")
        #expect(lines.first == "int f(")
        #expect(lines.count > 2)
        #expect(lines.allSatisfy { $0.count <= 120 })
        #expect(lines.dropFirst().joined(separator: " ").replacing("    ", with: "").hasSuffix("argument_11)"))
        for argument in arguments { #expect(text.content.contains(argument)) }
    }

    @Test func aCommentCanNotBeEndedFromInside() {
        var text = CText()
        text.comment(["one */ int x; /*"])
        #expect(text.content == "/* one * / int x; /* */\n")
    }

    @Test func noCommentIsNoLine() {
        var text = CText()
        text.comment([])
        #expect(text.content.isEmpty)
    }
}
