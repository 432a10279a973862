/// The names that protoc-c gives to the things of a schema.
///
/// They follow `CamelToLower` and `ToCamel` of protobuf-c's generator, so that the code written here fits the code
/// written there.
enum CNames {
    /// The C type of a message or enum: `Diskdelta__V1__RangeAnswer`.
    static func type(_ fullName: String) -> String {
        fullName.split(separator: ".").map(camel).joined(separator: "__")
    }

    /// The start of the names of a message's functions: `diskdelta__v1__range_answer`.
    static func functionPrefix(_ fullName: String) -> String {
        fullName.split(separator: ".").map(snake).joined(separator: "__")
    }

    /// The member of a structure for a field.
    static func member(_ field: String) -> String {
        field.lowercased()
    }

    private static func camel(_ name: Substring) -> String {
        var result = ""
        var startsWord = true
        for character in name {
            if character == "_" {
                startsWord = true
            } else {
                result += startsWord ? character.uppercased() : String(character)
                startsWord = false
            }
        }
        return result
    }

    private static func snake(_ name: Substring) -> String {
        var result = ""
        var wasUppercase = true
        for character in name {
            if character.isUppercase, !wasUppercase { result += "_" }
            result += character.lowercased()
            wasUppercase = character.isUppercase
        }
        return result
    }
}
