/// A configuration file: a line `name = value` for each setting, under the names of the flags; a list has a line for each of
/// its values. Empty lines, and lines that start with `#`, say nothing.
enum SettingsFile {
    static func parse(_ text: String, named path: String) throws(SettingsError) -> [SettingName: [String]] {
        var values: [SettingName: [String]] = [:]
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let trimmed = trim(line)
            guard !trimmed.isEmpty, !trimmed.hasPrefix("#") else { continue }
            let place = "\(path), line \(index + 1)"
            guard let equals = trimmed.firstIndex(of: "=") else {
                throw SettingsError(message: "\(place): a setting has the form name = value")
            }
            let word = trim(trimmed[..<equals])
            guard let name = SettingName(rawValue: String(word)), name != .config else {
                throw SettingsError(message: "\(place): there is no setting \"\(word)\"")
            }
            guard name.isList || values[name] == nil else {
                throw SettingsError(message: "\(place): \(word) is set a second time")
            }
            values[name, default: []].append(String(trim(trimmed[trimmed.index(after: equals)...])))
        }
        return values
    }

    private static func trim(_ text: Substring) -> Substring {
        var text = text
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return text
    }
}
