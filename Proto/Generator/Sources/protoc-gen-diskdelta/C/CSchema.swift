internal import SwiftProtobufPluginLibrary

/// The files the C library is made from, and which way each of their messages travels.
struct CSchema {
    let files: [FileDescriptor]
    private let sent: Set<String>
    private let received: Set<String>
    private let answers: Set<String>

    /// Files that only declare options are left out: nothing in them is called or travels.
    init(files: [FileDescriptor]) {
        self.files = files.filter { $0.extensions.isEmpty }
        let methods = self.files.flatMap { $0.services }.flatMap { $0.methods }
        sent = Self.reachable(from: methods.compactMap { $0.inputType })
        let answered = Self.reachable(from: methods.compactMap { $0.outputType })
        // What no method names (the details of END) is received by the library itself.
        received = Set(self.files.flatMap { $0.allMessages }.map { $0.fullName }).subtracting(sent).union(answered)
        answers = Set(methods.filter { !$0.serverStreaming }.compactMap { $0.outputType?.fullName })
    }

    /// Whether a caller fills in the message.
    func isSent(_ message: Descriptor) -> Bool { sent.contains(message.fullName) }

    /// Whether the library hands out the message.
    func isReceived(_ message: Descriptor) -> Bool { received.contains(message.fullName) }

    /// Whether the message is the whole answer of a call, which its caller owns and frees.
    func isAnswer(_ message: Descriptor) -> Bool { answers.contains(message.fullName) }

    private static func reachable(from roots: [Descriptor]) -> Set<String> {
        var names: Set<String> = []
        var open = roots
        while let message = open.popLast() {
            guard names.insert(message.fullName).inserted else { continue }
            open += message.fields.compactMap { $0.messageType }
        }
        return names
    }
}

extension FileDescriptor {
    /// `image_management` for `diskdelta/v1/image_management.proto`.
    var baseName: String {
        let last = name.split(separator: "/").last.map { String($0) } ?? name
        return last.hasSuffix(".proto") ? String(last.dropLast(6)) : last
    }

    /// The messages of the file with those nested in them.
    var allMessages: [Descriptor] {
        func flatten(_ messages: [Descriptor]) -> [Descriptor] { messages.flatMap { flatten($0.messages) + [$0] } }
        return flatten(messages)
    }

    /// The enums of the file with those nested in messages.
    var allEnums: [EnumDescriptor] {
        enums + allMessages.flatMap { $0.enums }
    }

    /// The files whose types this one uses: a file that only declares options stands for what it uses itself.
    var usedFiles: [FileDescriptor] {
        dependencies.filter { $0.package == package }.flatMap { $0.extensions.isEmpty ? [$0] : $0.usedFiles }
    }

    /// The path of protoc-c's header.
    var wireHeader: String {
        (name.hasSuffix(".proto") ? String(name.dropLast(6)) : name) + ".pb-c.h"
    }
}
