internal import CFuzzing
internal import DiskImages
internal import Glibc

/// A file that lies in memory: it is damaged for one input, and put back as it was before the next.
final class MemoryFile {
    private static let pageLength = 4_096

    let name: String
    let size: Int
    /// Reads see what is written here at once, without a system call.
    private let mapping: UnsafeMutableRawPointer
    private let descriptor: Int32
    private let original: [UInt8]
    /// Where the pages begin that hold anything but zeroes: they are what has to be put back after the file was cut short.
    private let usedPages: [Int]
    private var changed: [Range<Int>] = []
    private var end: Int

    init(name: String, content: [UInt8]) {
        let descriptor = cfuzzing_memory_file()
        guard descriptor >= 0, ftruncate(descriptor, content.count) == 0,
            let mapping = mmap(nil, max(content.count, 1), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0),
            mapping != MAP_FAILED
        else { fatalError("There is no memory for the file \(name).") }
        self.name = name
        self.mapping = mapping
        self.descriptor = descriptor
        original = content
        size = content.count
        end = content.count
        usedPages = stride(from: 0, to: content.count, by: Self.pageLength).filter { page in
            content[page..<min(page + Self.pageLength, content.count)].contains { $0 != 0 }
        }
        for page in usedPages { putBack(page..<min(page + Self.pageLength, size)) }
    }

    /// The file, opened once more.
    func open() throws(ImageError) -> ImageFile {
        try ImageFile(takingDescriptor: dup(descriptor), name: name, path: name)
    }

    subscript(offset: Int) -> UInt8 { mapping.load(fromByteOffset: offset, as: UInt8.self) }

    /// What the file held before it was damaged.
    func original(_ range: Range<Int>) -> ArraySlice<UInt8> { original[range] }

    func write(_ bytes: some Collection<UInt8>, at offset: Int) {
        guard offset >= 0, bytes.count <= size - offset else { fatalError("A write goes beyond the file \(name).") }
        changed.append(offset..<offset + bytes.count)
        UnsafeMutableRawBufferPointer(start: mapping + offset, count: bytes.count).copyBytes(from: bytes)
    }

    /// Makes the file shorter, or longer with zeroes. Nothing is written to it until it is put back.
    func resize(to length: Int) {
        guard ftruncate(descriptor, length) == 0 else { return }
        end = length
    }

    /// Makes the file what it was at the beginning.
    func restore() {
        if end != size {
            guard ftruncate(descriptor, size) == 0 else { fatalError("The file \(name) does not get its size back.") }
            for page in usedPages where page + Self.pageLength > end {
                putBack(page..<min(page + Self.pageLength, size))
            }
            end = size
        }
        for range in changed { putBack(range) }
        changed.removeAll(keepingCapacity: true)
    }

    private func putBack(_ range: Range<Int>) {
        UnsafeMutableRawBufferPointer(start: mapping + range.lowerBound, count: range.count)
            .copyBytes(from: original[range])
    }
}

/// A folder of such files.
struct MemoryFiles: ImageFiles, @unchecked Sendable {
    let files: [MemoryFile]

    func open(_ name: String) throws(ImageError) -> ImageFile {
        guard let file = files.first(where: { $0.name == name }) else {
            throw ImageError(.fileNotFound, "There is no such file.", path: name)
        }
        return try file.open()
    }

    func open(_ path: String, besides child: ImageFile) throws(ImageError) -> ImageFile {
        try open(PathParts.components(of: path).last ?? "")
    }
}
