import SwiftProtobuf
import SwiftProtobufPluginLibrary

/// `protoc-gen-diskdelta`, the plugin of protoc that writes what protoc-c does not: stubs that know streams, message
/// values for Swift, and the table of reasons.
///
///     protoc -I Proto --diskdelta_out=target=swift:DIRECTORY FILES
///
/// The C structures that the message values read and write come from `protoc-c`.
@main
struct Generator: CodeGenerator {
    func generate(
        files: [FileDescriptor],
        parameter: any CodeGeneratorParameter,
        protoCompilerContext: any ProtoCompilerContext,
        generatorOutputs: any GeneratorOutputs
    ) throws {
        let target = try Target(parameter)
        let refusals = files.flatMap { SchemaRules.refusals(of: $0) }
        guard refusals.isEmpty else { throw RefusedSchema(refusals: refusals) }
        for file in target.generate(files) {
            try generatorOutputs.add(fileName: file.path, contents: file.content)
        }
    }

    /// `optional` is claimed so that protoc lets it through to the rule that refuses it with its place.
    let supportedFeatures: [Google_Protobuf_Compiler_CodeGeneratorResponse.Feature] = [.proto3Optional]

    let customOptionExtensions: [any AnyMessageExtension] = [ReasonMapping.option]
}
