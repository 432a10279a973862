internal import SwiftProtobufPluginLibrary

/// The names that C code bears, made from the names in Proto/.
///
/// They drop the version of the package and split words where a reader does: `GetVHDSetInformation` becomes
/// `get_vhd_set_information`. The names of protoc-c's output, which follow protoc-c, come from ``CNames``.
enum CName {
    /// Starts every public name.
    static let prefix = "diskdelta"

    // MARK: The public interface

    /// `diskdelta_answer_header`.
    static func type(_ message: Descriptor) -> String {
        "\(prefix)_\(local(message.fullName, in: message.file))"
    }

    /// `diskdelta_image_format`.
    static func type(_ enumeration: EnumDescriptor) -> String {
        "\(prefix)_\(local(enumeration.fullName, in: enumeration.file))"
    }

    /// `diskdelta_range_answer_part`: which member of a oneof is set.
    static func type(_ oneof: OneofDescriptor) -> String {
        "\(type(oneof.containingType))_\(oneof.name)"
    }

    /// `DISKDELTA_IMAGE_FORMAT_VHDX`.
    static func constant(_ value: EnumValueDescriptor) -> String {
        "\(prefix.uppercased())_\(value.name)"
    }

    /// `DISKDELTA_RANGE_ANSWER_PART_HEADER`; `NOT_SET` where no member is.
    static func constant(_ oneof: OneofDescriptor, _ member: String = "not_set") -> String {
        "\(type(oneof))_\(member)".uppercased()
    }

    /// `diskdelta_image_management_list_baselines`.
    static func function(_ method: MethodDescriptor) -> String {
        "\(prefix)_\(snake(method.service.name))_\(snake(method.name))"
    }

    /// The name of a value without what all values of its enum have in common: `VHDX` for `IMAGE_FORMAT_VHDX`.
    static func short(_ value: EnumValueDescriptor) -> String {
        let common = snake(value.enumType.name).uppercased() + "_"
        return value.name.hasPrefix(common) ? String(value.name.dropFirst(common.count)) : value.name
    }

    // MARK: What only the library sees

    /// The function that makes a public structure from a received message.
    static func decode(_ message: Descriptor) -> String {
        "dd_decode_\(local(message.fullName, in: message.file))"
    }

    /// The function that makes a message to send from a public structure.
    static func encode(_ message: Descriptor) -> String {
        "dd_encode_\(local(message.fullName, in: message.file))"
    }

    // MARK: Words

    /// The words of a name in lower case with `_` between them; a row of capitals is one word.
    static func snake(_ name: String) -> String {
        let characters = Array(name)
        var result = ""
        for (index, character) in characters.enumerated() {
            if character.isUppercase, index > 0, characters[index - 1] != "_" {
                let startsWord = index + 1 < characters.count && characters[index + 1].isLowercase
                if !characters[index - 1].isUppercase || startsWord { result += "_" }
            }
            result += character.lowercased()
        }
        return result
    }

    private static func local(_ fullName: String, in file: FileDescriptor) -> String {
        fullName.dropFirst(file.package.isEmpty ? 0 : file.package.count + 1)
            .split(separator: ".")
            .map { snake(String($0)) }
            .joined(separator: "_")
    }
}
