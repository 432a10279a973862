import SwiftProtobufPluginLibrary

/// The language to write, as the parameter `target=…` names it.
enum Target: String, CaseIterable {
    case swift
    case c

    init(_ parameter: any CodeGeneratorParameter) throws(UsageError) {
        guard let pair = parameter.parsedPairs.first, parameter.parsedPairs.count == 1, pair.key == "target",
            let target = Target(rawValue: pair.value)
        else {
            throw UsageError(parameter: parameter.parameter)
        }
        self = target
    }

    /// The generated files: their paths under protoc's output directory, and their contents. The schema has passed
    /// ``SchemaRules``.
    func generate(_ files: [FileDescriptor]) -> [(path: String, content: String)] {
        switch self {
        case .swift: SwiftGenerator(files: files).generate()
        case .c: CGenerator(files: files, mapping: \.cMapping).generate()
        }
    }
}

extension EnumValueDescriptor {
    fileprivate var cMapping: CReasonMapping? {
        mapping.map {
            CReasonMapping(
                status: $0.status,
                returnValue: $0.returnValue,
                detailCode: $0.detailCode,
                exitCode: $0.exitCode
            )
        }
    }
}

/// The plugin was called with a parameter that it does not have.
struct UsageError: Error, CustomStringConvertible {
    let parameter: String

    var description: String {
        let targets = Target.allCases.map { "target=\($0.rawValue)" }.joined(separator: " or ")
        return "the parameter must be \(targets), not \"\(parameter)\""
    }
}
