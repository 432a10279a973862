import SwiftProtobufPluginLibrary

/// One generated Swift file of a .proto file.
protocol SwiftFile {
    /// nil where the .proto file has nothing for this file.
    init?(_ file: FileDescriptor)

    var name: String { get }

    func emit(to printer: inout CodePrinter)
}

/// Makes the generated part of the Swift library: for each .proto file its messages (`NAME.generated.swift`), and where it
/// has services what a server (`NAMEService.generated.swift`) and a client (`NAMEClient.generated.swift`) needs of them.
struct SwiftGenerator {
    let files: [FileDescriptor]

    /// The generated files: their paths below the folder of generated Swift code, and their contents.
    func generate() -> [(path: String, content: String)] {
        let kinds: [any SwiftFile.Type] = [SwiftMessagesFile.self, SwiftServicesFile.self, SwiftClientsFile.self]
        return files.flatMap { file in
            kinds.compactMap { $0.init(file) }.map { file in
                var printer = CodePrinter(indent: "    ".unicodeScalars, addNewlines: true)
                file.emit(to: &printer)
                return (file.name, printer.content)
            }
        }
    }
}
