internal import TestSupport

/// Makes the images that are damaged, with the builders of the tests.
enum Templates {
    /// What `write` makes at the path that it gets.
    static func content(_ write: (String) throws -> Void) -> [UInt8] {
        do {
            let folder = try TemporaryFolder()
            let path = folder.file("template")
            try write(path)
            let file = try RawFile(path)
            return try file.read(at: 0, count: Int(file.size))
        } catch {
            fatalError("A template cannot be made: \(error)")
        }
    }
}
