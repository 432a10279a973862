import Foundation
import Testing

/// What protobuf-c cannot do, or not safely, is refused with its place before anything is written.
@Suite(.enabled(if: Plugin.isPresent, Plugin.absence))
struct RefusalTests {
    struct Case: CustomTestStringConvertible {
        var testDescription: String
        /// The lines behind `syntax = "proto3";`, which is line 1; the first of these is line 2.
        var schema: String
        /// Line, column, and a part of the message.
        var expected: [String]

        init(_ name: String, _ schema: String, _ expected: String...) {
            testDescription = name
            self.schema = schema
            self.expected = expected
        }
    }

    static let cases = [
        Case(
            "a message inside itself",
            "message A {\n  uint32 x = 1;\n  A child = 2;\n}",
            "refused.proto:2:1: A contains itself (A.child)"
        ),
        Case(
            "two messages inside each other",
            "message A {\n  B b = 1;\n}\nmessage B {\n  repeated C c = 1;\n}\nmessage C {\n  oneof o {\n    A a = 1;\n  }\n}",
            "refused.proto:2:1: A contains itself (A.b.c.a)",
            "refused.proto:5:1: B contains itself (B.c.a.b)",
            "refused.proto:8:1: C contains itself (C.a.b.c)"
        ),
        Case(
            "a map",
            "message A {\n    map<string, uint32> m = 1;\n}",
            "refused.proto:3:5: A.m: maps are not supported"
        ),
        Case(
            "a proto3 optional",
            "message A {\n  optional uint32 o = 1;\n}",
            "refused.proto:3:3: A.o: optional is not supported"
        ),
        Case(
            "a field named base",
            "message A {\n  uint32 base = 1;\n}",
            "refused.proto:3:3: A.base: a field must not be"
        ),
        Case(
            "a field named BASE",
            "message A {\n  uint32 Base = 1;\n}",
            "refused.proto:3:3: A.Base: a field must not be"
        ),
        Case(
            "a field named like a keyword",
            "message A {\n\n  uint32 register = 1;\n}",
            "refused.proto:4:3: A.register: "
        ),
        Case(
            "client streaming",
            "message A {}\nservice S {\n  rpc One(A) returns (A);\n  rpc Two(stream A) returns (stream A);\n}",
            "refused.proto:5:3: Two: client streaming is not supported"
        ),
        Case(
            "a repeated field of another kind",
            "message A {\n  repeated bytes b = 1;\n  repeated uint32 n = 2;\n}",
            "refused.proto:3:3: A.b: a repeated field must be of uint64, string, an enum or a message",
            "refused.proto:4:3: A.n: a repeated field must be of"
        ),
        Case(
            "types inside a message",
            "message A {\n  message B {}\n  enum E {\n    X = 0;\n  }\n}",
            "refused.proto:3:3: B: declare messages at the top level",
            "refused.proto:4:3: E: declare enums at the top level"
        ),
        Case(
            "two values with one number",
            "enum E {\n  option allow_alias = true;\n  A = 0;\n  B = 0;\n}",
            "refused.proto:2:1: E: two values with one number"
        ),
    ]

    @Test(arguments: cases.indices)
    func theSchemaIsRefused(index: Int) throws {
        let refused = Self.cases[index]
        let outcome = try run("syntax = \"proto3\";\n" + refused.schema)
        #expect(outcome.status != 0)
        #expect(outcome.files.isEmpty)
        for expected in refused.expected {
            #expect(outcome.messages.contains(expected), "\(refused.testDescription): \(outcome.messages)")
        }
        let places = outcome.messages.components(separatedBy: "refused.proto:").count - 1
        #expect(places == refused.expected.count, "\(refused.testDescription): \(outcome.messages)")
    }

    @Test func proto2IsRefusedWithItsGroups() throws {
        let outcome = try run("syntax = \"proto2\";\nmessage A {\n  optional group G = 1 {\n  }\n}")
        #expect(outcome.status != 0)
        #expect(outcome.files.isEmpty)
        #expect(outcome.messages.contains("refused.proto:1:1: only proto3 is supported"))
        #expect(outcome.messages.contains("refused.proto:3:3: A.g: groups are not supported"))
    }

    @Test func aMessageUsedTwiceIsNoRecursion() throws {
        let outcome = try run("syntax = \"proto3\";\nmessage A {\n  B b = 1;\n  repeated B c = 2;\n}\nmessage B {}")
        #expect(outcome.status == 0, "\(outcome.messages)")
        #expect(outcome.files.count == 1)
    }

    private func run(_ schema: String) throws -> Plugin.Outcome {
        let folder = try TemporaryFolder()
        try schema.write(toFile: folder.file("refused.proto"), atomically: true, encoding: .utf8)
        return try Plugin.run("target=swift", ["refused.proto"], in: URL(filePath: folder.path))
    }
}
