internal import SwiftProtobufPluginLibrary

/// One function for each method: a call that answers once blocks for its answer, one that streams gives a stream and has
/// a `_next` beside it.
struct CStubs {
    func declare(_ service: ServiceDescriptor, _ text: inout CText) {
        for method in service.methods {
            text.line()
            text.comment(Self.paragraphs(CText.comment(of: method), Self.contract(method)))
            signature(method, start: "DISKDELTA_API ", end: ";", &text)
            guard method.serverStreaming else { continue }
            text.line()
            text.comment([
                "Blocks for the next message: 1 with a message that lives until the next call on this stream, 0 when the",
                "server has said that all was sent and its status is OK, -1 on any other end: see diskdelta_stream_error().",
                "Where the client never waits, DISKDELTA_WOULD_WAIT while there is nothing.",
            ])
            nextSignature(method, start: "DISKDELTA_API ", end: ";", &text)
        }
    }

    private static func contract(_ method: MethodDescriptor) -> [String] {
        guard !method.serverStreaming else {
            return ["Gives a stream to read and close, or NULL: then diskdelta_client_error() says why."]
        }
        return [
            "0 with an answer to free with \(CName.type(method.outputType))_free(), or -1: then",
            "diskdelta_client_error() says why.",
        ]
    }

    private static func paragraphs(_ first: [String], _ second: [String]) -> [String] {
        first.isEmpty ? second : first + [""] + second
    }

    func define(_ service: ServiceDescriptor, _ text: inout CText) {
        for request in distinct(service.methods.compactMap { $0.inputType }) { definePack(request, &text) }
        for response in distinct(service.methods.compactMap { $0.outputType }) { defineUnpack(response, &text) }
        for method in service.methods { define(method, &text) }
    }

    // MARK: What a call needs to know of its messages

    private func distinct(_ messages: [Descriptor]) -> [Descriptor] {
        var seen: Set<String> = []
        return messages.filter { seen.insert($0.fullName).inserted }
    }

    private func definePack(_ message: Descriptor, _ text: inout CText) {
        text.line()
        text.function(
            "static diskdelta_reason \(packName(message))",
            ["struct dd_arena *arena", "const void *from", "ProtobufCMessage **to"],
            end: ""
        )
        text.line("{")
        text.indented { text in
            text.line("\(CNames.type(message.fullName)) *message = NULL;")
            text.line("diskdelta_reason reason = \(CName.encode(message))(arena, from, &message);")
            text.line("*to = (ProtobufCMessage *)message;")
            text.line("return reason;")
        }
        text.line("}")
    }

    private func defineUnpack(_ message: Descriptor, _ text: inout CText) {
        text.line()
        text.function(
            "static const void *\(unpackName(message))",
            ["struct dd_arena *arena", "const ProtobufCMessage *from"],
            end: ""
        )
        text.line("{")
        text.indented {
            $0.line("return \(CName.decode(message))(arena, (const \(CNames.type(message.fullName)) *)from);")
        }
        text.line("}")
    }

    private func packName(_ message: Descriptor) -> String { "pack_\(CName.type(message))" }

    private func unpackName(_ message: Descriptor) -> String { "unpack_\(CName.type(message))" }

    // MARK: One method

    private func define(_ method: MethodDescriptor, _ text: inout CText) {
        let descriptor = "\(CName.snake(method.name))_method"
        text.line()
        text.line("static const struct dd_method \(descriptor) = {")
        text.indented { text in
            text.line(".path = \"\(method.service.fullName)/\(method.name)\",")
            text.line(".response = &\(CNames.functionPrefix(method.outputType.fullName))__descriptor,")
            text.line(".response_size = sizeof(\(CName.type(method.outputType))),")
            text.line(".pack = \(packName(method.inputType)),")
            text.line(".unpack = \(unpackName(method.outputType)),")
        }
        text.line("};")
        text.line()
        if method.serverStreaming {
            signature(method, &text)
            text.line("{")
            text.indented { $0.line("return dd_call_open(client, &\(descriptor), request, options);") }
            text.line("}")
            text.line()
            nextSignature(method, &text)
            text.line("{")
            text.indented { text in
                text.line("const void *message = NULL;")
                text.line("int result = dd_call_next(stream, &\(descriptor), &message);")
                text.line("*response = message;")
                text.line("return result;")
            }
        } else {
            signature(method, &text)
            text.line("{")
            text.indented { text in
                text.line("void *message = NULL;")
                text.line("int result = dd_call_unary(client, &\(descriptor), request, options, &message);")
                text.line("*response = message;")
                text.line("return result;")
            }
        }
        text.line("}")
    }

    private func signature(
        _ method: MethodDescriptor,
        start: String = "",
        end: String = "",
        _ text: inout CText
    ) {
        let arguments = [
            "diskdelta_client *client", "const \(CName.type(method.inputType)) *request",
            "const diskdelta_call_options *options",
        ]
        let name = CName.function(method)
        if method.serverStreaming {
            text.function("\(start)diskdelta_stream *\(name)", arguments, end: end)
        } else {
            text.function("\(start)int \(name)", arguments + ["\(CName.type(method.outputType)) **response"], end: end)
        }
    }

    private func nextSignature(
        _ method: MethodDescriptor,
        start: String = "",
        end: String = "",
        _ text: inout CText
    ) {
        text.function(
            "\(start)int \(CName.function(method))_next",
            ["diskdelta_stream *stream", "const \(CName.type(method.outputType)) **response"],
            end: end
        )
    }
}
