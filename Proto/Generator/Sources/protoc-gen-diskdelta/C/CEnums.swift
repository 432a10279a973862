internal import SwiftProtobufPluginLibrary

/// What a reason means to each kind of caller, as its line in the .proto file says.
struct CReasonMapping {
    /// The number of the status.
    var status: Int32
    var returnValue: UInt32
    var detailCode: UInt32
    var exitCode: UInt32
}

/// Enums, the names of their values, and the table of reasons.
struct CEnums {
    let mapping: (EnumValueDescriptor) -> CReasonMapping?

    func declare(_ enumeration: EnumDescriptor, _ text: inout CText) {
        let type = CName.type(enumeration)
        text.line()
        text.comment(of: enumeration)
        text.line("typedef enum \(type) {")
        text.indented { text in
            for value in enumeration.values {
                text.comment(of: value)
                text.line("\(CName.constant(value)) = \(value.number),")
            }
        }
        text.line("} \(type);")
        text.line()
        text.comment([
            "The name of a value, as in \"\(Self.example(enumeration))\"; \"UNKNOWN\" for a number without one."
        ])
        text.line("DISKDELTA_API const char *\(type)_name(\(type) value);")
        for column in columns(of: enumeration) {
            text.line()
            text.comment([column.comment])
            text.line("DISKDELTA_API \(column.type) \(type)_\(column.name)(\(type) value);")
        }
    }

    func define(_ enumeration: EnumDescriptor, _ text: inout CText) {
        let type = CName.type(enumeration)
        define("const char *\(type)_name(\(type) value)", otherwise: "\"UNKNOWN\"", &text) { text in
            for value in enumeration.values {
                text.line("case \(CName.constant(value)):")
                text.indented { $0.line("return \"\(CName.short(value))\";") }
            }
        }
        for column in columns(of: enumeration) {
            define("\(column.type) \(type)_\(column.name)(\(type) value)", otherwise: column.otherwise, &text) { text in
                for value in enumeration.values {
                    // The first value says that there is no reason.
                    guard let mapping = mapping(value) ?? (value.number == 0 ? Self.nothing : nil) else { continue }
                    text.line("case \(CName.constant(value)):")
                    text.indented { $0.line("return \(column.value(mapping));") }
                }
            }
        }
    }

    private func define(
        _ declaration: String,
        otherwise: String,
        _ text: inout CText,
        cases: (inout CText) -> Void
    ) {
        text.line()
        text.line(declaration)
        text.line("{")
        text.indented { text in
            text.line("switch (value) {")
            cases(&text)
            text.line("default:")
            text.indented { $0.line("return \(otherwise);") }
            text.line("}")
        }
        text.line("}")
    }

    // MARK: The table of reasons

    private struct Column {
        let name: String
        let type: String
        let comment: String
        let otherwise: String
        let value: (CReasonMapping) -> String
    }

    private static let nothing = CReasonMapping(status: 0, returnValue: 0, detailCode: 0, exitCode: 0)

    private static func example(_ enumeration: EnumDescriptor) -> String {
        enumeration.values.dropFirst().first.map { CName.short($0) } ?? "UNKNOWN"
    }

    /// A reason that is newer than this library is told as a failure without a special meaning.
    private func columns(of enumeration: EnumDescriptor) -> [Column] {
        guard enumeration.values.contains(where: { mapping($0) != nil }) else { return [] }
        return [
            Column(
                name: "status",
                type: "diskdelta_status",
                comment: "The status that goes with the reason; UNKNOWN for a number that this version does not know.",
                otherwise: "DISKDELTA_STATUS_UNKNOWN",
                value: { "(diskdelta_status)\($0.status)" }
            ),
            Column(
                name: "return_value",
                type: "uint32_t",
                comment: "What Hyper-V's WMI method would have returned.",
                otherwise: "32768",
                value: { "\($0.returnValue)" }
            ),
            Column(
                name: "detail_code",
                type: "uint32_t",
                comment: "The Win32 error code that goes with the reason; 0 where there is none.",
                otherwise: "0",
                value: { Self.hexadecimal($0.detailCode) }
            ),
            Column(
                name: "exit_code",
                type: "int",
                comment: "The exit code of a program that ends for this reason.",
                otherwise: "1",
                value: { "\($0.exitCode)" }
            ),
        ]
    }

    private static func hexadecimal(_ code: UInt32) -> String {
        guard code != 0 else { return "0" }
        let digits = String(code, radix: 16, uppercase: true)
        return "0x" + String(repeating: "0", count: 8 - digits.count) + digits
    }
}
