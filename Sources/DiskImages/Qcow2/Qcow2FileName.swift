/// The names by which a qcow2 file refers to other files: those of its backing file and of its external data file.
enum Qcow2FileName {
    /// The path that `bytes` name, absolute or relative to the folder of `file`. QEMU also takes descriptions in JSON and
    /// the addresses of network disks; only files can be read here.
    ///
    /// - Parameter role: what the other file is to this one, for messages.
    static func path(_ bytes: [UInt8], role: String, of file: ImageFile) throws(ImageError) -> String {
        guard let name = String(validating: bytes, as: UTF8.self), !name.isEmpty, !bytes.contains(0) else {
            throw file.corrupt("The name of the \(role) is not text.")
        }
        if name.hasPrefix("file:") {
            let path = String(name.dropFirst("file:".count))
            guard !path.isEmpty else { throw file.corrupt("The name of the \(role) is empty.") }
            return path
        }
        let colon = name.utf8.firstIndex(of: UInt8(ascii: ":"))
        let slash = name.utf8.firstIndex(of: UInt8(ascii: "/"))
        if let colon, slash.map({ colon < $0 }) ?? true {
            throw file.error(
                .unsupported,
                "The \(role) is named as \"\(name)\"; this program reads files only, by a plain path."
            )
        }
        return name
    }

    /// How to find the backing file; nil where there is none.
    static func backing(
        of file: ImageFile,
        header: Qcow2Header,
        recordedFormat: String?
    ) throws(ImageError) -> ParentReference? {
        guard header.hasBackingFile else { return nil }
        let bytes = try file.bytes(at: header.backingNameOffset, count: Int(header.backingNameLength))
        let path = try path(bytes, role: "backing file", of: file)
        guard let recordedFormat, !recordedFormat.isEmpty else {
            throw file.error(
                .unsupported,
                "The file does not record the format of its backing file \"\(path)\"; "
                    + "\"qemu-img rebase -u -b NAME -F FORMAT\" records it."
            )
        }
        let formats: [String: ImageDescription.Format] = ["qcow2": .qcow2, "raw": .raw, "vpc": .vhd, "vhdx": .vhdx]
        guard let format = formats[recordedFormat] else {
            throw file.error(
                .unsupported,
                "The backing file \"\(path)\" has the format \"\(recordedFormat)\", which this program does not read."
            )
        }
        return ParentReference(candidates: [path], identifiers: [], format: format)
    }

    /// Opens the external data file; nil where the data is in the file itself.
    ///
    /// - Throws: `parentNotFound` where it is not there; `unsupported` where the file does not name it; what opening throws.
    static func openDataFile(
        of file: ImageFile,
        header: Qcow2Header,
        recordedName: [UInt8]?,
        in files: some ImageFiles
    ) throws(ImageError) -> ImageFile? {
        guard header.hasExternalData else { return nil }
        guard let recordedName else {
            throw file.error(.unsupported, "The disk's data is in another file, and this one does not say in which.")
        }
        let path = try path(recordedName, role: "external data file", of: file)
        do throws(ImageError) {
            return try files.open(path, besides: file)
        } catch {
            guard error.code == .fileNotFound else { throw error }
            throw file.error(.parentNotFound, "The external data file \"\(path)\" is not there.")
        }
    }
}
