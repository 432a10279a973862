import SwiftProtobuf
import SwiftProtobufPluginLibrary

/// A message as a Swift value that protobuf-c reads and writes.
struct SwiftMessage {
    private let message: Descriptor
    private let properties: [SwiftProperty]

    init(_ message: Descriptor) {
        self.message = message
        properties = SwiftProperty.all(of: message)
    }

    func emit(to printer: inout CodePrinter) {
        emitValue(to: &printer)
        emitStructure(to: &printer)
    }

    private func emitValue(to printer: inout CodePrinter) {
        printer.print("")
        printer.printComments(message.protoSourceComments())
        printer.print("public struct \(message.name): Message {")
        printer.indent()
        printer.print("public static let fullName = \"\(message.fullName)\"")
        for property in properties {
            if case .choice(let members, let oneof) = property {
                emitChoice(members, oneof, to: &printer)
            }
        }
        for property in properties {
            printer.print("")
            printer.printComments(property.comments)
            printer.print("public var \(property.name): \(property.type) = \(property.defaultValue)")
        }
        printer.print("", "public init() {}")
        if !properties.isEmpty {
            emitMemberwiseInit(to: &printer)
        }
        printer.print(
            "",
            "public init(decoding bytes: UnsafeRawBufferPointer) throws(MessageError) {",
            "    self = try Self.decoded(bytes)",
            "}",
            "",
            "public func prepareEncoding() throws(MessageError) -> MessageEncoding {",
            "    try MessageEncoding(self)",
            "}"
        )
        printer.outdent()
        printer.print("}")
    }

    private func emitChoice(_ members: [SwiftField], _ oneof: OneofDescriptor, to printer: inout CodePrinter) {
        printer.print("", "/// The one of these that is present.")
        printer.print("public enum \(SwiftNames.type(oneof.name)): Hashable, Sendable {")
        printer.indent()
        for member in members {
            printer.printComments(member.descriptor.protoSourceComments())
            printer.print("case \(member.name)(\(member.payloadType))")
        }
        printer.outdent()
        printer.print("}")
    }

    private func emitMemberwiseInit(to printer: inout CodePrinter) {
        let parameters = properties.map { "    \($0.name): \($0.type) = \($0.defaultValue)" }
        printer.print("", "public init(")
        printer.print(parameters.joined(separator: ",\n"))
        printer.print(") {")
        for property in properties {
            printer.printIndented("self.\(SwiftNames.member(property.name)) = \(property.name)")
        }
        printer.print("}")
    }

    private func emitStructure(to printer: inout CodePrinter) {
        let prefix = CNames.functionPrefix(message.fullName)
        printer.print("", "extension \(message.name): StructuredMessage {")
        printer.indent()
        printer.print(
            "typealias Structure = \(CNames.type(message.fullName))",
            "",
            "static func initialize(_ structure: UnsafeMutablePointer<Structure>) {",
            "    \(prefix)__init(structure)",
            "}",
            "",
            "static func unpack(",
            "    _ bytes: UnsafeRawBufferPointer,",
            "    _ allocator: UnsafeMutablePointer<ProtobufCAllocator>",
            ") -> UnsafeMutablePointer<Structure>? {",
            "    \(prefix)__unpack(allocator, bytes.count, bytes.baseAddress)",
            "}",
            ""
        )
        printer.print("init(_ structure: UnsafePointer<Structure>, in arena: MessageArena) throws(MessageError) {")
        printer.withIndentation { printer in
            for property in properties { property.emitLoad(to: &printer) }
        }
        printer.print("}", "")
        printer.print(
            "func store(in structure: UnsafeMutablePointer<Structure>, _ arena: MessageArena) throws(MessageError) {"
        )
        printer.withIndentation { printer in
            for property in properties { property.emitStore(to: &printer) }
        }
        printer.print("}")
        printer.outdent()
        printer.print("}")
    }
}
