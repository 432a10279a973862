import SwiftProtobuf
import SwiftProtobufPluginLibrary

/// A field of a message: its Swift type, and how it comes out of protobuf-c's structure and goes into it.
struct SwiftField {
    let descriptor: FieldDescriptor
    let name: String
    let type: String
    /// The value of an absent field.
    let defaultValue: String

    init(_ descriptor: FieldDescriptor) {
        self.descriptor = descriptor
        name = SwiftNames.property(descriptor.name)
        let element = Self.elementType(descriptor)
        switch (descriptor.isRepeated, descriptor.type) {
        case (true, .uint64): (type, defaultValue) = ("UInt64Column", "UInt64Column()")
        case (true, _): (type, defaultValue) = ("[\(element)]", "[]")
        case (false, .message): (type, defaultValue) = ("\(element)?", "nil")
        case (false, .enum): (type, defaultValue) = (element, "\(element)(rawValue: 0)")
        case (false, .bytes): (type, defaultValue) = (element, "ByteColumn()")
        case (false, .string): (type, defaultValue) = (element, "\"\"")
        case (false, .bool): (type, defaultValue) = (element, "false")
        default: (type, defaultValue) = (element, "0")
        }
    }

    /// The type without its optional sign, as the payload of an enum case has it.
    var payloadType: String {
        type.hasSuffix("?") ? String(type.dropLast()) : type
    }

    /// The expression that reads the field from the structure.
    var load: String {
        switch (descriptor.isRepeated, descriptor.type) {
        case (true, .uint64): "arena.column(\(member), \(memberCount))"
        case (true, .string): "try arena.strings(\(member), \(memberCount), \"\(descriptor.fullName)\")"
        case (true, .enum): "arena.numbers(\(member), \(memberCount))"
        case (true, _): "try arena.messages(\(member), \(memberCount))"
        case (false, .message): "try arena.message(\(member))"
        case (false, .enum): "\(type)(rawValue: Int32(truncatingIfNeeded: \(member).rawValue))"
        case (false, .bytes): "arena.column(\(member))"
        case (false, .string): "try arena.string(\(member), \"\(descriptor.fullName)\")"
        case (false, .bool): "\(member) != 0"
        default: member
        }
    }

    /// The statements that write `value` to the structure.
    func store(_ value: String) -> [String] {
        switch (descriptor.isRepeated, descriptor.type) {
        case (true, .uint64): ["\(memberCount) = \(value).count", "\(member) = arena.lend(\(value))"]
        case (true, .string):
            ["\(memberCount) = \(value).count", "\(member) = try arena.store(\(value), \"\(descriptor.fullName)\")"]
        case (true, .enum): ["\(memberCount) = \(value).count", "\(member) = try arena.storeNumbers(\(value))"]
        case (true, _): ["\(memberCount) = \(value).count", "\(member) = try arena.store(\(value))"]
        case (false, .message): ["\(member) = try arena.store(\(value))"]
        case (false, .enum): ["\(member) = .init(rawValue: .init(truncatingIfNeeded: \(value).rawValue))"]
        case (false, .bytes): ["\(member) = arena.lend(\(value))"]
        case (false, .string): ["\(member) = try arena.store(\(value), \"\(descriptor.fullName)\")"]
        case (false, .bool): ["\(member) = \(value) ? 1 : 0"]
        default: ["\(member) = \(value)"]
        }
    }

    private var member: String { "structure.pointee.\(CNames.member(descriptor.name))" }
    private var memberCount: String { "structure.pointee.n_\(CNames.member(descriptor.name))" }

    private static func elementType(_ field: FieldDescriptor) -> String {
        switch field.type {
        case .double: "Double"
        case .float: "Float"
        case .int32, .sint32, .sfixed32: "Int32"
        case .int64, .sint64, .sfixed64: "Int64"
        case .uint32, .fixed32: "UInt32"
        case .uint64, .fixed64: "UInt64"
        case .bool: "Bool"
        case .string: "String"
        case .bytes: "ByteColumn"
        case .enum: field.enumType.name
        case .message, .group: field.messageType.name
        }
    }
}
