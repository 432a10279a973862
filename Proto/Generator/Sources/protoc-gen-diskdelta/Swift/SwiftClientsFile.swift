import SwiftProtobufPluginLibrary

/// The services of a .proto file as a client calls them.
struct SwiftClientsFile: SwiftFile {
    private let file: FileDescriptor

    init?(_ file: FileDescriptor) {
        guard !file.services.isEmpty else { return nil }
        self.file = file
    }

    var name: String { SwiftNames.file(file.name) + "Client.generated.swift" }

    func emit(to printer: inout CodePrinter) {
        printer.printSwiftHeader(of: file)
        for service in file.services {
            emit(service, to: &printer)
        }
    }

    private func emit(_ service: ServiceDescriptor, to printer: inout CodePrinter) {
        printer.print("")
        printer.printComments(service.protoSourceComments())
        if !service.protoSourceComments().isEmpty { printer.print("///") }
        printer.print("/// Calls the methods of `\(service.fullName)`.")
        printer.print("public struct \(service.name)Client: Sendable {")
        printer.indent()
        printer.print(
            "/// What carries the calls.",
            "public let invoker: any CallInvoker",
            "",
            "public init(_ invoker: any CallInvoker) {",
            "    self.invoker = invoker",
            "}"
        )
        for method in service.methods {
            let name = SwiftNames.method(method.name)
            let output = method.outputType.name
            printer.print("")
            printer.printComments(method.protoSourceComments())
            printer.print(
                "public func \(name)(",
                "    _ request: \(method.inputType.name),",
                "    options: CallOptions = CallOptions()",
                ") async throws(CallError) -> \(method.serverStreaming ? "TypedCall<\(output)>" : output) {",
                "    try await invoker.\(method.serverStreaming ? "stream" : "unary")"
                    + "(\(service.name)Methods.\(name), request: request, options: options)",
                "}"
            )
        }
        printer.outdent()
        printer.print("}")
    }
}
