internal import SwiftProtobufPluginLibrary

/// The plain structures that stand for messages in public headers.
///
/// A structure that a caller fills in starts with its own size, and structures are reached through pointers wherever they
/// are nested or repeated: so a later version can add members at the end and old programs still work.
struct CStructures {
    let schema: CSchema

    func declare(_ message: Descriptor, _ text: inout CText) {
        let type = CName.type(message)
        for oneof in message.realOneofs where oneof.fields.count > 1 { declareCase(oneof, &text) }
        text.line()
        text.comment(of: message)
        text.line("struct \(type) {")
        text.indented { text in
            if schema.isSent(message) {
                text.comment(["The size of this structure, as \(type.uppercased())_INIT sets it."])
                text.line("size_t struct_size;")
            } else if message.fields.isEmpty {
                text.comment(["The message says nothing more than that it is there."])
                text.line("uint8_t reserved;")
            }
            for member in CMember.members(of: message) { declare(member, &text) }
        }
        text.line("};")
        if schema.isSent(message) {
            text.line()
            text.comment(["Starts every \(type): everything else is 0 or empty."])
            text.line("#define \(type.uppercased())_INIT {.struct_size = sizeof(struct \(type))}")
        }
        if schema.isAnswer(message) {
            text.line()
            text.comment(["Frees an answer with everything it points to. NULL is allowed."])
            text.line("DISKDELTA_API void \(type)_free(\(type) *answer);")
        }
    }

    private func declareCase(_ oneof: OneofDescriptor, _ text: inout CText) {
        text.line()
        text.comment(["Which member of \(CName.type(oneof.containingType))'s `\(oneof.name)` is set."])
        text.line("typedef enum \(CName.type(oneof)) {")
        text.indented { text in
            text.line("\(CName.constant(oneof)) = 0,")
            for field in oneof.fields { text.line("\(CName.constant(oneof, field.name)) = \(field.number),") }
        }
        text.line("} \(CName.type(oneof));")
    }

    private func declare(_ member: CMember, _ text: inout CText) {
        switch member {
        case .field(let field), .presence(let field):
            text.comment(of: field)
            if case .presence = member { text.line("bool has_\(field.name);") }
            text.line(CMember.declaration(field) + ";")
            if field.isRepeated { text.line("size_t \(field.name)_count;") }
        case .choice(let oneof):
            text.line("\(CName.type(oneof)) \(oneof.name)_case;")
            text.line("union {")
            text.indented { text in
                for field in oneof.fields {
                    text.comment(of: field)
                    text.line(CMember.declaration(field) + ";")
                }
            }
            text.line("} \(oneof.name);")
        }
    }
}
