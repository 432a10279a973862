internal import SwiftProtobuf
internal import SwiftProtobufPluginLibrary

/// A member of a public structure.
enum CMember {
    /// A field that is always there, 0 or empty by default.
    case field(FieldDescriptor)
    /// The only field of a oneof: it has a `has_` member beside it.
    case presence(FieldDescriptor)
    /// A oneof with several fields: a union and which of its members is set.
    case choice(OneofDescriptor)

    /// The members of a message's structure, in the order of its fields.
    static func members(of message: Descriptor) -> [CMember] {
        message.fields.compactMap { field in
            guard let oneof = field.realContainingOneof else { return .field(field) }
            if oneof.fields.count == 1 { return .presence(field) }
            return oneof.fields.first === field ? .choice(oneof) : nil
        }
    }

    /// The declaration of a field's member, without the semicolon.
    static func declaration(_ field: FieldDescriptor) -> String {
        let element = elementType(field)
        guard field.isRepeated else {
            return element.hasSuffix("*") ? element + field.name : "\(element) \(field.name)"
        }
        return element.hasSuffix("*") ? "\(element)const *\(field.name)" : "const \(element) *\(field.name)"
    }

    /// The type of a field's value, or of an element of a repeated field.
    static func elementType(_ field: FieldDescriptor) -> String {
        switch field.type {
        case .double: "double"
        case .float: "float"
        case .int64, .sint64, .sfixed64: "int64_t"
        case .uint64, .fixed64: "uint64_t"
        case .int32, .sint32, .sfixed32: "int32_t"
        case .uint32, .fixed32: "uint32_t"
        case .bool: "bool"
        case .string: "const char *"
        case .bytes: "\(CName.prefix)_bytes"
        case .enum: CName.type(field.enumType)
        case .message, .group: "const \(CName.type(field.messageType)) *"
        }
    }

    /// Whether the library's and protoc-c's arrays of the field's values are of the same type.
    static func sharesColumn(_ field: FieldDescriptor) -> Bool {
        switch field.type {
        case .bool, .bytes, .enum, .message, .group, .string: false
        default: true
        }
    }
}
