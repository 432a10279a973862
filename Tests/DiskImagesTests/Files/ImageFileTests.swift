import Foundation
import TestSupport
import Testing

@testable import DiskImages

@Suite("Files")
struct ImageFileTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func code(_ body: () throws(ImageError) -> Void) -> ImageError.Code? {
        do {
            try body()
            return nil
        } catch {
            return error.code
        }
    }

    @Test func readsInsideTheFileOnly() throws {
        try RawFile(folder.file("a"), create: true).write(Array(0..<100), at: 0)
        let file = try LocalFiles().open(folder.file("a"))
        #expect(file.size == 100)
        #expect(try file.bytes(at: 90, count: 10) == Array(90..<100))
        #expect(code { () throws(ImageError) in _ = try file.bytes(at: 91, count: 10) } == .corrupt)
        #expect(code { () throws(ImageError) in _ = try file.bytes(at: .max, count: 1) } == .corrupt)
        #expect(code { () throws(ImageError) in _ = try file.bytes(at: 0, count: 1 << 21) } == .corrupt)
    }

    @Test func aFileThatBecameShorterIsAReadFailure() throws {
        let raw = try RawFile(folder.file("a"), create: true)
        try raw.write([1, 2, 3, 4], at: 0)
        let file = try LocalFiles().open(folder.file("a"))
        try raw.truncate(to: 2)
        #expect(code { () throws(ImageError) in _ = try file.bytes(at: 0, count: 4) } == .readFailed)
    }

    @Test func whenTheNextChangeMayNotShow() {
        #expect(ImageFile.isFresh(changedAt: 5, at: 5))
        #expect(!ImageFile.isFresh(changedAt: 5, at: 6))
        // Some file systems tell finer times than the clock has steps; another machine's clock may be ahead by any time.
        #expect(ImageFile.isFresh(changedAt: 1_000_000_004, at: 5))
        #expect(!ImageFile.isFresh(changedAt: 1_000_000_005, at: 5))
        #expect(!ImageFile.isFresh(changedAt: .max, at: 5))
    }

    @Test func aChangeOfSizeOrTimeIsNoticed() throws {
        let raw = try RawFile(folder.file("a"), create: true)
        try raw.write([1, 2, 3, 4], at: 0)
        let file = try LocalFiles().open(folder.file("a"))
        #expect(try file.isUnchanged())
        var times = [timespec(tv_sec: 1, tv_nsec: 0), timespec(tv_sec: 1, tv_nsec: 1)]
        #expect(utimensat(AT_FDCWD, folder.file("a"), &times, 0) == 0)
        #expect(try !file.isUnchanged())
        let again = try LocalFiles().open(folder.file("a"))
        #expect(again.modificationTime == 1_000_000_001)
        try raw.truncate(to: 5)
        times = [timespec(tv_sec: 1, tv_nsec: 0), timespec(tv_sec: 1, tv_nsec: 1)]
        #expect(utimensat(AT_FDCWD, folder.file("a"), &times, 0) == 0)
        #expect(try !again.isUnchanged())
    }

    @Test func onlyRegularFilesAreOpened() throws {
        #expect(mkfifo(folder.file("fifo"), 0o600) == 0)
        for name in [folder.file("fifo"), folder.path, "/dev/null"] {
            #expect(code { () throws(ImageError) in _ = try LocalFiles().open(name) } == .notADisk, "\(name)")
        }
    }

    @Test func aMissingFileIsNotFound() {
        for name in [folder.file("none"), "", folder.file("none/none"), folder.file("a") + "\0.vhdx"] {
            #expect(code { () throws(ImageError) in _ = try LocalFiles().open(name) } == .fileNotFound, "\(name)")
        }
    }

    @Test func aNameIsNotCutAtAZeroByte() throws {
        _ = try RawFile(folder.file("a"), create: true)
        #expect(code { () throws(ImageError) in _ = try LocalFiles().open(folder.file("a") + "\0b") } == .fileNotFound)
    }

    @Test func parentsAreFoundFromTheFolderOfTheChild() throws {
        try FileManager.default.createDirectory(atPath: folder.file("sub"), withIntermediateDirectories: false)
        _ = try RawFile(folder.file("sub/child"), create: true)
        _ = try RawFile(folder.file("sub/beside"), create: true)
        _ = try RawFile(folder.file("above"), create: true)
        let child = try LocalFiles().open(folder.file("sub/child"))
        #expect(try LocalFiles().open("beside", besides: child).name == folder.file("sub/beside"))
        let above = try LocalFiles().open("../above", besides: child)
        #expect(above.identity == (try LocalFiles().open(folder.file("above")).identity))
        #expect(above.identity != child.identity)
    }

    /// A slash and an accent behind it are one character, and two bytes that mean different things.
    @Test func pathsAreTakenApartByteByByte() throws {
        try FileManager.default.createDirectory(atPath: folder.file("sub"), withIntermediateDirectories: false)
        let accent = "\u{301}.vhdx"
        try VHDXCreation.dynamic(virtualSize: 1 << 20).create(at: folder.file("sub/\(accent)"))
        try VHDXCreation.differencing(parent: folder.file("sub/\(accent)")).create(at: folder.file("\(accent)"))
        try VHDXCreation.differencing(parent: folder.file("\(accent)")).create(at: folder.file("sub/leaf.vhdx"))
        #expect(try DiskChain.open(folder.file("sub/leaf.vhdx"), in: LocalFiles()).layers.count == 3)
    }

    @Test func linksThatLeadInACircleLeadNowhere() throws {
        #expect(symlink(folder.file("b"), folder.file("a")) == 0)
        #expect(symlink(folder.file("a"), folder.file("b")) == 0)
        #expect(code { () throws(ImageError) in _ = try LocalFiles().open(folder.file("a")) } == .fileNotFound)
    }

    @Test func theIdentityIsThatOfTheFileAndNotOfTheName() throws {
        _ = try RawFile(folder.file("a"), create: true)
        #expect(link(folder.file("a"), folder.file("b")) == 0)
        #expect(symlink(folder.file("a"), folder.file("c")) == 0)
        let identities = try ["a", "b", "c"].map { try LocalFiles().open(folder.file($0)).identity }
        #expect(Set(identities).count == 1)
    }
}
