import Foundation

func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

func remove(_ path: String) { try? FileManager.default.removeItem(atPath: path) }

func flip(byte index: Int, of path: String) throws {
    var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    bytes[index] ^= 0x55
    try bytes.write(to: URL(fileURLWithPath: path))
}
