import SwiftProtobuf
import SwiftProtobufPluginLibrary

/// What a schema may not hold, and why.
///
/// Most of it is what protobuf-c cannot do or cannot do safely; the rest is what the generated code does not cover.
/// Everything is refused before anything is written, with the place in the .proto file.
enum SchemaRules {
    static func refusals(of file: FileDescriptor) -> [Refusal] {
        var refusals: [Refusal] = []
        if file.edition != .proto3 {
            refusals.append(Refusal("only proto3 is supported", line: 1, column: 1, in: file))
        }
        for message in file.messages {
            refuse(message, &refusals)
        }
        for type in file.enums where type.options.allowAlias {
            refusals.append(Refusal("\(type.name): two values with one number are not supported", at: type))
        }
        for method in file.services.flatMap(\.methods) where method.clientStreaming {
            refusals.append(Refusal("\(method.name): client streaming is not supported", at: method))
        }
        return refusals
    }

    private static func refuse(_ message: Descriptor, _ refusals: inout [Refusal]) {
        for field in message.fields {
            refuse(field, of: message, &refusals)
        }
        if let cycle = cycle(through: message) {
            let text = "\(message.name) contains itself (\(cycle)); protobuf-c unpacks by recursion without a limit"
            refusals.append(Refusal(text, at: message))
        }
        for nested in message.messages where !nested.options.mapEntry {
            if !message.fields.contains(where: { $0.type == .group && $0.messageType === nested }) {
                refusals.append(Refusal("\(nested.name): declare messages at the top level", at: nested))
            }
        }
        for nested in message.enums {
            refusals.append(Refusal("\(nested.name): declare enums at the top level", at: nested))
        }
    }

    private static func refuse(_ field: FieldDescriptor, of message: Descriptor, _ refusals: inout [Refusal]) {
        let name = "\(message.name).\(field.name)"
        if field.type == .group {
            refusals.append(Refusal("\(name): groups are not supported; protobuf-c rejects them", at: field))
        } else if field.isMap {
            refusals.append(Refusal("\(name): maps are not supported; use a repeated message", at: field))
        } else if field.containingOneof != nil, field.realContainingOneof == nil {
            let text = "\(name): optional is not supported by protobuf-c; use a oneof with one member"
            refusals.append(Refusal(text, at: field))
        } else if CNames.member(field.name) == "base" {
            let text = "\(name): a field must not be named base; protobuf-c's structures have a member of that name"
            refusals.append(Refusal(text, at: field))
        } else if keywords.contains(CNames.member(field.name)) {
            refusals.append(Refusal("\(name): a field must not be named like a keyword of C or C++", at: field))
        } else if field.isRepeated, ![.uint64, .string, .enum, .message].contains(field.type) {
            let text = "\(name): a repeated field must be of uint64, string, an enum or a message"
            refusals.append(Refusal(text, at: field))
        }
    }

    /// The shortest way from a message back to itself, through the names of fields; nil where there is none.
    private static func cycle(through message: Descriptor) -> String? {
        var seen: Set<String> = []
        var next: [(message: Descriptor, path: String)] = [(message, message.name)]
        while !next.isEmpty {
            let (current, path) = next.removeFirst()
            for field in current.fields where field.type == .message {
                guard let type = field.messageType else { continue }
                let path = "\(path).\(field.name)"
                if type.fullName == message.fullName { return path }
                if seen.insert(type.fullName).inserted { next.append((type, path)) }
            }
        }
        return nil
    }

    private static let keywords: Set<String> = [
        "alignas", "alignof", "and", "asm", "auto", "bool", "break", "case", "catch", "char", "class", "const",
        "constexpr", "continue", "decltype", "default", "delete", "do", "double", "else", "enum", "explicit", "export",
        "extern", "false", "float", "for", "friend", "goto", "if", "inline", "int", "long", "mutable", "namespace",
        "new", "noexcept", "not", "nullptr", "operator", "or", "private", "protected", "public", "register", "restrict",
        "return", "short", "signed", "sizeof", "static", "struct", "switch", "template", "this", "throw", "true", "try",
        "typedef", "typeid", "typename", "union", "unsigned", "using", "virtual", "void", "volatile", "while", "xor",
    ]
}

/// One thing that the schema may not hold.
struct Refusal: CustomStringConvertible {
    let description: String

    init(_ text: String, line: Int, column: Int, in file: FileDescriptor) {
        description = "\(file.name):\(line):\(column): \(text)"
    }

    init(_ text: String, at place: some ProvidesLocationPath & ProvidesSourceCodeLocation) {
        // A span starts with the line and the column, both counted from zero.
        let span = place.sourceCodeInfoLocation?.span ?? []
        let line = span.first.map { Int($0) + 1 } ?? 1
        let column = span.dropFirst().first.map { Int($0) + 1 } ?? 1
        self.init(text, line: line, column: column, in: place.file)
    }
}

/// The schema broke a rule. protoc prints the description.
struct RefusedSchema: Error, CustomStringConvertible {
    let refusals: [Refusal]

    var description: String {
        "\n" + refusals.map(\.description).joined(separator: "\n")
    }
}
