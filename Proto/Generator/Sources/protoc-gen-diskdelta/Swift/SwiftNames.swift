import SwiftProtobufPluginLibrary

/// The Swift names of the things of a schema.
enum SwiftNames {
    /// `limit_id` as `limitID`.
    static func property(_ field: String) -> String {
        quoted(camel(field.split(separator: "_")))
    }

    /// The value `IMAGE_FORMAT_VHDX` of an enum ImageFormat as `vhdx`.
    static func enumCase(_ value: EnumValueDescriptor) -> String {
        quoted(camel(bareName(value).split(separator: "_")))
    }

    /// The name of a value without the name of its enum: `VHDX`.
    static func bareName(_ value: EnumValueDescriptor) -> String {
        let prefix = upperSnake(value.enumType.name) + "_"
        guard value.name.hasPrefix(prefix) else { return value.name }
        return String(value.name.dropFirst(prefix.count))
    }

    /// `GetJob` as `getJob`.
    static func method(_ name: String) -> String {
        quoted(name.prefix(1).lowercased() + name.dropFirst())
    }

    /// `window` as `Window`.
    static func type(_ oneof: String) -> String {
        oneof.split(separator: "_").map(capitalized).joined()
    }

    /// The part of a generated file's name that its .proto file gives: `diskdelta/v1/server_info.proto` as `ServerInfo`.
    static func file(_ path: String) -> String {
        let name = path.split(separator: "/").last?.split(separator: ".").first ?? ""
        return name.split(separator: "_").map(capitalized).joined()
    }

    private static func camel(_ words: [Substring]) -> String {
        words.enumerated().map { $0 == 0 ? $1.lowercased() : capitalized($1) }.joined()
    }

    private static func capitalized(_ word: Substring) -> String {
        switch word.lowercased() {
        case "id": "ID"
        case "ids": "IDs"
        case let word: word.prefix(1).uppercased() + word.dropFirst()
        }
    }

    private static func upperSnake(_ name: String) -> String {
        var result = ""
        var previous: Character?
        for (index, character) in zip(name.indices, name) {
            let after = name.index(after: index)
            let startsWord = previous?.isUppercase == false || (after < name.endIndex && name[after].isLowercase)
            if character.isUppercase, previous != nil, startsWord { result += "_" }
            result += character.uppercased()
            previous = character
        }
        return result
    }

    /// A name as it stands behind a dot, where few keywords need quotes.
    static func member(_ name: String) -> String {
        let bare = name.trimmingPrefix("`").prefix { $0 != "`" }
        return ["init", "self", "Type", "Protocol"].contains(bare) ? "`\(bare)`" : String(bare)
    }

    private static func quoted(_ name: String) -> String {
        let keywords = swiftKeywordsUsedInDeclarations.union(swiftKeywordsUsedInStatements)
            .union(swiftKeywordsUsedInExpressionsAndTypes)
        return keywords.contains(name) ? "`\(name)`" : name
    }
}
