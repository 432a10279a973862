import SwiftProtobuf
import SwiftProtobufPluginLibrary

/// A stored property of a message value: a field, or a oneof.
///
/// A oneof with one member is an optional of that member's type, the way to tell an absent number from zero. A oneof with
/// several is an enum.
enum SwiftProperty {
    case field(SwiftField)
    case optional(SwiftField, OneofDescriptor)
    case choice([SwiftField], OneofDescriptor)

    /// The properties of a message in the order of their declaration.
    static func all(of message: Descriptor) -> [SwiftProperty] {
        message.fields.compactMap { field -> SwiftProperty? in
            guard let oneof = field.containingOneof else { return .field(SwiftField(field)) }
            let members = oneof.fields.map(SwiftField.init)
            guard let first = members.first, first.descriptor === field else { return nil }
            return members.count == 1 ? .optional(first, oneof) : .choice(members, oneof)
        }
    }

    var name: String {
        switch self {
        case .field(let field), .optional(let field, _): field.name
        case .choice(_, let oneof): SwiftNames.property(oneof.name)
        }
    }

    var type: String {
        switch self {
        case .field(let field): field.type
        case .optional(let field, _): "\(field.payloadType)?"
        case .choice(_, let oneof): "\(SwiftNames.type(oneof.name))?"
        }
    }

    var defaultValue: String {
        switch self {
        case .field(let field): field.defaultValue
        case .optional, .choice: "nil"
        }
    }

    var comments: String {
        switch self {
        case .field(let field), .optional(let field, _): field.descriptor.protoSourceComments()
        case .choice(_, let oneof): oneof.protoSourceComments()
        }
    }

    func emitLoad(to printer: inout CodePrinter) {
        switch self {
        case .field(let field):
            printer.print("\(field.name) = \(field.load)")
        case .optional(let field, let oneof):
            printer.print("if \(Self.caseMember(oneof)).rawValue == \(field.descriptor.number) {")
            printer.printIndented("\(field.name) = \(field.load)")
            printer.print("}")
        case .choice(let members, let oneof):
            printer.print("switch \(Self.caseMember(oneof)).rawValue {")
            for member in members {
                printer.print("case \(member.descriptor.number):")
                if member.descriptor.type == .message {
                    printer.printIndented("\(name) = (\(member.load)).map { .\(SwiftNames.member(member.name))($0) }")
                } else {
                    printer.printIndented("\(name) = .\(SwiftNames.member(member.name))(\(member.load))")
                }
            }
            printer.print("default:")
            printer.printIndented("break")
            printer.print("}")
        }
    }

    func emitStore(to printer: inout CodePrinter) {
        switch self {
        case .field(let field):
            for statement in field.store(field.name) { printer.print(statement) }
        case .optional(let field, let oneof):
            printer.print("if let value = \(field.name) {")
            printer.printIndented("\(Self.caseMember(oneof)) = .init(rawValue: \(field.descriptor.number))")
            for statement in field.store("value") { printer.printIndented(statement) }
            printer.print("}")
        case .choice(let members, let oneof):
            printer.print("switch \(name) {")
            for member in members {
                printer.print("case .\(SwiftNames.member(member.name))(let value):")
                printer.printIndented("\(Self.caseMember(oneof)) = .init(rawValue: \(member.descriptor.number))")
                for statement in member.store("value") { printer.printIndented(statement) }
            }
            printer.print("case nil:")
            printer.printIndented("break")
            printer.print("}")
        }
    }

    /// The member of the structure that tells which member of the oneof is set: its field number, or 0.
    private static func caseMember(_ oneof: OneofDescriptor) -> String {
        "structure.pointee.\(CNames.member(oneof.name))_case"
    }
}
