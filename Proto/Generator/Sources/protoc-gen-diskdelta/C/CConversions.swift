internal import SwiftProtobuf
internal import SwiftProtobufPluginLibrary

/// The functions between the public structures and protoc-c's. What they make lives in an arena, and borrows strings,
/// bytes and columns of numbers from what they are given.
struct CConversions {
    let schema: CSchema

    func declare(_ message: Descriptor, _ text: inout CText) {
        if schema.isReceived(message) {
            text.line()
            text.comment(["NULL where the arena is exhausted."])
            decodeSignature(message, end: ";", &text)
        }
        if schema.isSent(message) {
            text.line()
            text.comment([
                "INVALID_PARAMETER where a struct_size is not set, RESOURCE_LIMIT where the arena is exhausted."
            ])
            encodeSignature(message, end: ";", &text)
        }
    }

    func define(_ message: Descriptor, _ text: inout CText) {
        if schema.isReceived(message) { defineDecode(message, &text) }
        if schema.isSent(message) { defineEncode(message, &text) }
        if schema.isAnswer(message) { defineFree(message, &text) }
    }

    private func defineFree(_ message: Descriptor, _ text: inout CText) {
        let type = CName.type(message)
        text.line()
        text.line("void \(type)_free(\(type) *answer)")
        text.line("{")
        text.indented { $0.line("dd_answer_free(answer);") }
        text.line("}")
    }

    // MARK: From a received message

    private func decodeSignature(_ message: Descriptor, end: String = "", _ text: inout CText) {
        text.function(
            "const \(CName.type(message)) *\(CName.decode(message))",
            ["struct dd_arena *arena", "const \(CNames.type(message.fullName)) *from"],
            end: end
        )
    }

    private func defineDecode(_ message: Descriptor, _ text: inout CText) {
        text.line()
        decodeSignature(message, &text)
        text.line("{")
        text.indented { text in
            text.line("\(CName.type(message)) *to = dd_arena_new(arena, sizeof *to);")
            text.line("if (to == NULL)")
            text.indented { $0.line("return NULL;") }
            if schema.isSent(message) { text.line("to->struct_size = sizeof *to;") }
            if message.fields.isEmpty { text.line("(void)from;") }
            for member in CMember.members(of: message) { decode(member, &text) }
            text.line("return to;")
        }
        text.line("}")
    }

    private func decode(_ member: CMember, _ text: inout CText) {
        switch member {
        case .field(let field) where field.isRepeated:
            decodeRepeated(field, &text)
        case .field(let field):
            decodeValue(field, to: "to->\(field.name)", from: "from->\(field.name)", &text)
        case .presence(let field):
            text.line("if (from->\(oneofCase(field)) == \(field.number)) {")
            text.indented { text in
                text.line("to->has_\(field.name) = true;")
                decodeValue(field, to: "to->\(field.name)", from: "from->\(field.name)", &text)
            }
            text.line("}")
        case .choice(let oneof):
            text.line("switch ((int)from->\(oneof.name)_case) {")
            for field in oneof.fields {
                text.line("case \(field.number):")
                text.indented { text in
                    text.line("to->\(oneof.name)_case = \(CName.constant(oneof, field.name));")
                    decodeValue(field, to: "to->\(oneof.name).\(field.name)", from: "from->\(field.name)", &text)
                    text.line("break;")
                }
            }
            text.line("default:")
            text.indented { $0.line("break;") }
            text.line("}")
        }
    }

    private func decodeValue(_ field: FieldDescriptor, to: String, from: String, _ text: inout CText) {
        switch field.type {
        case .bool:
            text.line("\(to) = \(from) != 0;")
        case .enum:
            text.line("\(to) = (\(CName.type(field.enumType)))\(from);")
        case .bytes:
            text.line("\(to).data = \(from).data;")
            text.line("\(to).size = \(from).len;")
        case .message, .group:
            text.line("if (\(from) != NULL) {")
            text.indented { text in
                text.line("\(to) = \(CName.decode(field.messageType))(arena, \(from));")
                text.line("if (\(to) == NULL)")
                text.indented { $0.line("return NULL;") }
            }
            text.line("}")
        default:
            text.line("\(to) = \(from);")
        }
    }

    private func decodeRepeated(_ field: FieldDescriptor, _ text: inout CText) {
        text.line("to->\(field.name)_count = from->n_\(field.name);")
        if CMember.sharesColumn(field) { return text.line("to->\(field.name) = from->\(field.name);") }
        if field.type == .string { return text.line("to->\(field.name) = (const char *const *)from->\(field.name);") }
        let element = CMember.elementType(field)
        let pointer = element.hasSuffix("*") ? "\(element)*" : "\(element) *"
        text.line("\(pointer)\(field.name) = dd_arena_array(arena, from->n_\(field.name), sizeof *\(field.name));")
        text.line("if (\(field.name) == NULL)")
        text.indented { $0.line("return NULL;") }
        text.line("for (size_t i = 0; i < from->n_\(field.name); i++) {")
        text.indented { decodeValue(field, to: "\(field.name)[i]", from: "from->\(field.name)[i]", &$0) }
        text.line("}")
        text.line("to->\(field.name) = \(field.name);")
    }

    // MARK: To a message to send

    private func encodeSignature(_ message: Descriptor, end: String = "", _ text: inout CText) {
        text.function(
            "diskdelta_reason \(CName.encode(message))",
            [
                "struct dd_arena *arena", "const \(CName.type(message)) *from",
                "\(CNames.type(message.fullName)) **to",
            ],
            end: end
        )
    }

    private func defineEncode(_ message: Descriptor, _ text: inout CText) {
        text.line()
        encodeSignature(message, &text)
        text.line("{")
        text.indented { text in
            text.line("\(CName.type(message)) given;")
            text.line("if (!dd_copy_sized(&given, sizeof given, from))")
            text.indented { $0.line("return DISKDELTA_REASON_INVALID_PARAMETER;") }
            text.line("\(CNames.type(message.fullName)) *message = dd_arena_new(arena, sizeof *message);")
            text.line("if (message == NULL)")
            text.indented { $0.line("return DISKDELTA_REASON_RESOURCE_LIMIT;") }
            text.line("\(CNames.functionPrefix(message.fullName))__init(message);")
            if message.fields.contains(where: { $0.messageType != nil }) { text.line("diskdelta_reason reason;") }
            for member in CMember.members(of: message) { encode(member, &text) }
            text.line("*to = message;")
            text.line("return DISKDELTA_REASON_NONE;")
        }
        text.line("}")
    }

    private func encode(_ member: CMember, _ text: inout CText) {
        switch member {
        case .field(let field) where field.isRepeated:
            encodeRepeated(field, &text)
        case .field(let field):
            encodeValue(field, to: "message->\(field.name)", from: "given.\(field.name)", &text)
        case .presence(let field):
            text.line("if (given.has_\(field.name)) {")
            text.indented { encodeMember(field, from: "given.\(field.name)", &$0) }
            text.line("}")
        case .choice(let oneof):
            text.line("switch (given.\(oneof.name)_case) {")
            for field in oneof.fields {
                text.line("case \(CName.constant(oneof, field.name)):")
                text.indented { text in
                    encodeMember(field, from: "given.\(oneof.name).\(field.name)", &text)
                    text.line("break;")
                }
            }
            text.line("default:")
            text.indented { $0.line("break;") }
            text.line("}")
        }
    }

    /// A field of a oneof: its number says that it is the one that is set.
    private func encodeMember(_ field: FieldDescriptor, from: String, _ text: inout CText) {
        text.line("message->\(oneofCase(field)) = \(field.number);")
        encodeValue(field, to: "message->\(field.name)", from: from, &text)
    }

    private func encodeValue(_ field: FieldDescriptor, to: String, from: String, _ text: inout CText) {
        switch field.type {
        case .string:
            text.line("\(to) = dd_wire_string(\(from));")
        case .bytes:
            text.line("\(to) = dd_wire_bytes(\(from));")
        case .enum:
            text.line("\(to) = (\(CNames.type(field.enumType.fullName)))\(from);")
        case .message, .group:
            text.line("if (\(from) != NULL) {")
            text.indented { text in
                text.line("reason = \(CName.encode(field.messageType))(arena, \(from), &\(to));")
                text.line("if (reason != DISKDELTA_REASON_NONE)")
                text.indented { $0.line("return reason;") }
            }
            text.line("}")
        default:
            text.line("\(to) = \(from);")
        }
    }

    private func encodeRepeated(_ field: FieldDescriptor, _ text: inout CText) {
        let (to, from) = ("message->\(field.name)", "given.\(field.name)")
        text.line("message->n_\(field.name) = given.\(field.name)_count;")
        if CMember.sharesColumn(field) {
            return text.line("\(to) = (\(CMember.elementType(field)) *)\(from);")
        }
        if field.type == .string { return text.line("\(to) = (char **)\(from);") }
        text.line("\(to) = dd_arena_array(arena, given.\(field.name)_count, sizeof *\(to));")
        text.line("if (\(to) == NULL)")
        text.indented { $0.line("return DISKDELTA_REASON_RESOURCE_LIMIT;") }
        text.line("for (size_t i = 0; i < given.\(field.name)_count; i++) {")
        text.indented { text in
            if field.messageType != nil {
                text.line("if (\(from)[i] == NULL)")
                text.indented { $0.line("return DISKDELTA_REASON_INVALID_PARAMETER;") }
            }
            encodeValue(field, to: "\(to)[i]", from: "\(from)[i]", &text)
        }
        text.line("}")
    }

    private func oneofCase(_ field: FieldDescriptor) -> String {
        "\(field.realContainingOneof?.name ?? "")_case"
    }
}
