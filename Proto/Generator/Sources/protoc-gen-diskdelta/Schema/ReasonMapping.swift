import SwiftProtobuf
import SwiftProtobufPluginLibrary

/// The value of the option `mapping`, which `Proto/diskdelta/v1/options.proto` declares for the values of an enum.
struct ReasonMapping: SwiftProtobuf.Message, SwiftProtobuf._MessageImplementationBase {
    /// The number of a `diskdelta.v1.Status`.
    var status: Int32 = 0
    var returnValue: UInt32 = 0
    var detailCode: UInt32 = 0
    var exitCode: UInt32 = 0
    var unknownFields = UnknownStorage()

    static let protoMessageName = "diskdelta.v1.ReasonMapping"

    static let option = MessageExtension<
        OptionalMessageExtensionField<ReasonMapping>, Google_Protobuf_EnumValueOptions
    >(_protobuf_fieldNumber: 50001, fieldName: "diskdelta.v1.mapping")

    mutating func decodeMessage<D: Decoder>(decoder: inout D) throws {
        while let number = try decoder.nextFieldNumber() {
            switch number {
            case 1: try decoder.decodeSingularInt32Field(value: &status)
            case 2: try decoder.decodeSingularUInt32Field(value: &returnValue)
            case 3: try decoder.decodeSingularUInt32Field(value: &detailCode)
            case 4: try decoder.decodeSingularUInt32Field(value: &exitCode)
            default: break
            }
        }
    }

    func traverse<V: Visitor>(visitor: inout V) throws {
        try visitor.visitSingularInt32Field(value: status, fieldNumber: 1)
        try visitor.visitSingularUInt32Field(value: returnValue, fieldNumber: 2)
        try visitor.visitSingularUInt32Field(value: detailCode, fieldNumber: 3)
        try visitor.visitSingularUInt32Field(value: exitCode, fieldNumber: 4)
        try unknownFields.traverse(visitor: &visitor)
    }
}

extension EnumDescriptor {
    /// Whether the enum is a table of reasons: one of its values at least has a mapping.
    var hasMappings: Bool { values.contains { $0.mapping != nil } }
}

extension EnumValueDescriptor {
    var mapping: ReasonMapping? { options.getExtensionValue(ext: ReasonMapping.option) }

    /// The value of `diskdelta.v1.Status` that the mapping names.
    var mappedStatus: EnumValueDescriptor? {
        guard let mapping else { return nil }
        let schema = file.dependencies.compactMap { file in
            file.messages.first { $0.fullName == ReasonMapping.protoMessageName }
        }
        return schema.first?.fields.first { $0.number == 1 }?.enumType.values.first { $0.number == mapping.status }
    }
}
