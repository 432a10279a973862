import SwiftProtobuf
import SwiftProtobufPluginLibrary

/// An enum as a Swift structure around its number, so that a number from a newer schema survives.
struct SwiftEnum {
    private let type: EnumDescriptor

    init(_ type: EnumDescriptor) {
        self.type = type
    }

    func emit(to printer: inout CodePrinter) {
        printer.print("")
        printer.printComments(type.protoSourceComments())
        printer.print(
            "public struct \(type.name): RawRepresentable, Hashable, Sendable, CustomStringConvertible, StructuredEnum {"
        )
        printer.indent()
        printer.print("public let rawValue: Int32", "")
        printer.print("public init(rawValue: Int32) {", "    self.rawValue = rawValue", "}")
        for value in type.values {
            printer.print("")
            printer.printComments(value.protoSourceComments())
            printer.print("public static let \(SwiftNames.enumCase(value)) = Self(rawValue: \(value.number))")
        }
        emitNames(to: &printer)
        if type.hasMappings {
            emitMappings(to: &printer)
        }
        printer.outdent()
        printer.print("}")
    }

    private func emitNames(to printer: inout CodePrinter) {
        let all = type.values.map { ".\(reference($0))" }.joined(separator: ", ")
        printer.print("", "/// Every value that this version knows.", "public static let all: [Self] = [\(all)]", "")
        printer.print(
            "/// The value with a name as in the schema, without the name of the enum; nil where there is none."
        )
        printer.print("public init?(name: String) {", "    switch name {")
        for value in type.values {
            printer.print("    case \"\(SwiftNames.bareName(value))\": self = .\(reference(value))")
        }
        printer.print("    default: return nil", "    }", "}", "")
        printer.print(
            "/// The name in the schema without the name of the enum; the number where this version has no name for it."
        )
        emitSwitch("name", "String", default: "String(rawValue)", to: &printer) {
            "\"\(SwiftNames.bareName($0))\""
        }
        printer.print("", "public var description: String { name }")
    }

    private func emitMappings(to printer: inout CodePrinter) {
        printer.print("", "/// One sentence about the value.")
        emitSwitch("summary", "String", default: "\"A reason that this version does not know.\"", to: &printer) {
            "\"\(summary(of: $0))\""
        }
        printer.print("", "/// The status that goes with the reason.")
        emitSwitch("status", "Status", default: ".unknown", to: &printer) { value in
            value.mappedStatus.map { ".\(reference($0))" } ?? ".ok"
        }
        printer.print("", "/// The value that the WMI method would have returned.")
        emitSwitch("returnValue", "UInt32", default: "32768", to: &printer) { "\($0.mapping?.returnValue ?? 0)" }
        printer.print("", "/// The Win32 error code that carries the detail on Windows; 0 where there is none.")
        emitSwitch("detailCode", "UInt32", default: "0", to: &printer) { value in
            let code = value.mapping?.detailCode ?? 0
            return code == 0 ? "0" : "0x" + String(code, radix: 16, uppercase: true)
        }
        printer.print("", "/// The exit code of the command line.")
        emitSwitch("exitCode", "UInt32", default: "1", to: &printer) { "\($0.mapping?.exitCode ?? 0)" }
    }

    private func emitSwitch(
        _ name: String,
        _ result: String,
        default fallback: String,
        to printer: inout CodePrinter,
        _ value: (EnumValueDescriptor) -> String
    ) {
        printer.print("public var \(name): \(result) {", "    switch self {")
        for known in type.values {
            printer.print("    case .\(reference(known)): \(value(known))")
        }
        printer.print("    default: \(fallback)", "    }", "}")
    }

    private func reference(_ value: EnumValueDescriptor) -> String {
        SwiftNames.member(SwiftNames.enumCase(value))
    }

    /// The comment of a value on one line, as it stands in a string literal.
    private func summary(of value: EnumValueDescriptor) -> String {
        value.protoSourceComments(commentPrefix: "").split(whereSeparator: \.isWhitespace).joined(separator: " ")
            .replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
    }
}
