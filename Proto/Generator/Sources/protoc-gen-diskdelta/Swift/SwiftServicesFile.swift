import SwiftProtobufPluginLibrary

/// The services of a .proto file as a server sees them: the descriptors of the methods, a protocol to conform to, and the
/// registration with a router.
struct SwiftServicesFile: SwiftFile {
    private let file: FileDescriptor

    init?(_ file: FileDescriptor) {
        guard !file.services.isEmpty else { return nil }
        self.file = file
    }

    var name: String { SwiftNames.file(file.name) + "Service.generated.swift" }

    func emit(to printer: inout CodePrinter) {
        printer.printSwiftHeader(of: file)
        for service in file.services {
            emitMethods(service, to: &printer)
            emitProtocol(service, to: &printer)
            emitDefaults(service, to: &printer)
            emitRegistration(service, to: &printer)
        }
    }

    private func emitMethods(_ service: ServiceDescriptor, to printer: inout CodePrinter) {
        printer.print("", "/// The methods of `\(service.fullName)`.", "public enum \(service.name)Methods {")
        printer.indent()
        printer.print("public static let service = \"\(service.fullName)\"")
        for method in service.methods {
            printer.print("")
            printer.printComments(method.protoSourceComments())
            printer.print(
                "public static let \(SwiftNames.method(method.name)) = MethodDescriptor(",
                "    service: service,",
                "    method: \"\(method.name)\",",
                "    isServerStreaming: \(method.serverStreaming)",
                ")"
            )
        }
        let all = service.methods.map { SwiftNames.method($0.name) }.joined(separator: ", ")
        printer.print("", "public static let all: [MethodDescriptor] = [\(all)]")
        printer.outdent()
        printer.print("}")
    }

    private func emitProtocol(_ service: ServiceDescriptor, to printer: inout CodePrinter) {
        printer.print("")
        printer.printComments(service.protoSourceComments())
        if !service.protoSourceComments().isEmpty { printer.print("///") }
        printer.print(
            "/// What a server implements of `\(service.fullName)`. A method that it leaves out is refused by name."
        )
        printer.print("public protocol \(service.name)Service: Sendable {")
        printer.indent()
        for (index, method) in service.methods.enumerated() {
            if index > 0 { printer.print("") }
            printer.printComments(method.protoSourceComments())
            printer.print(signature(method))
        }
        printer.outdent()
        printer.print("}")
    }

    private func emitDefaults(_ service: ServiceDescriptor, to printer: inout CodePrinter) {
        printer.print("", "extension \(service.name)Service {")
        printer.indent()
        for (index, method) in service.methods.enumerated() {
            if index > 0 { printer.print("") }
            printer.print("public \(signature(method)) {")
            printer.print(
                "    throw CallError(unimplemented: \(service.name)Methods.\(SwiftNames.method(method.name)))"
            )
            printer.print("}")
        }
        printer.outdent()
        printer.print("}")
    }

    private func emitRegistration(_ service: ServiceDescriptor, to printer: inout CodePrinter) {
        printer.print("", "extension ServiceRouter {")
        printer.indent()
        printer.print("/// Answers the calls of `\(service.fullName)` by `service`.")
        printer.print("public mutating func register(_ service: some \(service.name)Service) {")
        printer.indent()
        for method in service.methods {
            let kind = method.serverStreaming ? "registerStreaming" : "registerUnary"
            let name = SwiftNames.method(method.name)
            printer.print("\(kind)(\(service.name)Methods.\(name)) { request, context throws(CallError) in")
            printer.printIndented("try await service.\(name)(request, context: context)")
            printer.print("}")
        }
        printer.outdent()
        printer.print("}")
        printer.outdent()
        printer.print("}")
    }

    private func signature(_ method: MethodDescriptor) -> String {
        let result = method.serverStreaming ? "any ResponseStream<\(method.outputType.name)>" : method.outputType.name
        return "func \(SwiftNames.method(method.name))(_ request: \(method.inputType.name), context: CallContext)"
            + " async throws(CallError) -> \(result)"
    }
}
