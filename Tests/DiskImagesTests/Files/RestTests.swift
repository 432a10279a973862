import Foundation
import TestSupport
import Testing

@testable import DiskImages

@Suite("Files that are written to, and files at rest")
struct RestTests {
    let folder: TemporaryFolder
    let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.file("disk")
        try RawFile(path, create: true).write([UInt8](repeating: 1, count: 8_192), at: 0)
    }

    private var rest: ImageFile.Rest { get throws { try LocalFiles().open(path).rest } }

    @Test("Who only reads does not matter")
    func readers() throws {
        let reader = open(path, O_RDONLY)
        defer { close(reader) }
        let other = try LocalFiles().open(path)
        #expect(try rest == .proved)
        #expect(!other.isOpenForWriting)
    }

    @Test("A program that has the file open for writing is noticed until it closes it", arguments: [O_WRONLY, O_RDWR])
    func writers(flags: Int32) throws {
        let file = try LocalFiles().open(path)
        let writer = open(path, flags)
        #expect(try rest == .inUse)
        #expect(file.isOpenForWriting)
        close(writer)
        #expect(try rest == .proved)
        #expect(!file.isOpenForWriting)
    }

    @Test("A writer by another name of the file is noticed")
    func otherNames() throws {
        #expect(link(path, folder.file("other")) == 0)
        let writer = open(folder.file("other"), O_RDWR)
        #expect(try rest == .inUse)
        close(writer)
    }

    @Test("A program that can write through a mapping is noticed, also when it has closed the file")
    func mappings() throws {
        let writer = open(path, O_RDWR)
        let memory = try #require(mmap(nil, 4_096, PROT_READ | PROT_WRITE, MAP_SHARED, writer, 0))
        close(writer)
        #expect(try rest == .inUse)
        // The second store to a page that is already changed leaves no trace in the times.
        memory.storeBytes(of: 2, as: UInt8.self)
        let file = try LocalFiles().open(path)
        memory.storeBytes(of: 3, toByteOffset: 1, as: UInt8.self)
        #expect(try file.isUnchanged())
        #expect(file.rest == .inUse)
        munmap(memory, 4_096)
        #expect(try rest == .proved)
    }

    @Test("Looking for writers leaves no lease, no signal and no mask of signals behind")
    func nothingIsLeft() throws {
        var before = sigset_t()
        pthread_sigmask(SIG_BLOCK, nil, &before)
        let file = try LocalFiles().open(path)
        for _ in 0..<100 { #expect(!file.isOpenForWriting) }
        let writer = open(path, O_RDWR | O_NONBLOCK)
        #expect(writer >= 0)
        close(writer)
        var after = sigset_t()
        var pending = sigset_t()
        pthread_sigmask(SIG_BLOCK, nil, &after)
        sigpending(&pending)
        #expect(sigismember(&before, SIGIO) == sigismember(&after, SIGIO))
        #expect(sigismember(&pending, SIGIO) == 0)
    }

    @Test("A writer waits at most 50 ms, however often and by however many threads writers are looked for")
    func writersAreNotHeldUp() throws {
        let file = try LocalFiles().open(path)
        let isOver = Flag()
        let group = DispatchGroup()
        for _ in 0..<8 {
            Thread.detachNewThread {
                group.enter()
                while !isOver.isSet { _ = file.isOpenForWriting }
                group.leave()
            }
        }
        defer {
            isOver.set()
            group.wait()
        }
        let clock = ContinuousClock()
        var longest = Duration.zero
        for _ in 0..<2_000 {
            let time = clock.measure { close(open(path, O_RDWR)) }
            longest = max(longest, time)
        }
        #expect(longest < .milliseconds(50), "\(longest)")
    }

    private final class Flag: @unchecked Sendable {
        private let lock = NSLock()
        private var value = false
        var isSet: Bool { lock.withLock { value } }
        func set() { lock.withLock { value = true } }
    }

    @Test("Times in whole seconds prove nothing, and a file of which nothing is known is not kept")
    func coarseTimes() throws {
        let descriptor = open(path, O_RDONLY)
        defer { close(descriptor) }
        #expect(ImageFile.Standing(of: descriptor, changeTime: 1_700_000_000_000_000_000).rest == .unproved)
        #expect(ImageFile.Standing(of: descriptor, changeTime: 1_700_000_000_000_000_001).rest == .proved)
        let file = try ImageFile(
            takingDescriptor: dup(descriptor),
            name: path,
            path: path,
            folder: nil,
            standing: .unknown
        )
        #expect(file.rest == .unproved && !file.isDependable)
    }

    @Test("Two looks that lie two seconds apart and find the same show that a file is at rest")
    func looks() throws {
        let looks = FileLooks()
        let file = try LocalFiles().open(path)
        let (identity, stamp) = (file.identity, FileStamp(file))
        let start = ContinuousClock.now
        #expect(looks.look(at: identity, stamp, openedAt: start) == .seconds(2))
        #expect(looks.look(at: identity, stamp, openedAt: start + .milliseconds(1_500)) == .milliseconds(500))
        #expect(looks.look(at: identity, stamp, openedAt: start + .milliseconds(1_999)) == .milliseconds(1))
        #expect(looks.look(at: identity, stamp, openedAt: start + .seconds(2)) == nil)
        #expect(looks.look(at: identity, stamp, openedAt: start + .seconds(200)) == nil)
        // What was opened before the first look shows nothing.
        #expect(looks.look(at: identity, stamp, openedAt: start - .seconds(1)) == .seconds(2))
    }

    @Test("A change between two looks begins them anew, also one back to a state that was seen before")
    func looksAtAChangingFile() throws {
        let looks = FileLooks()
        let file = try LocalFiles().open(path)
        let first = FileStamp(file)
        try RawFile(path).write([9], at: 0)
        let second = FileStamp(try LocalFiles().open(path))
        #expect(first != second)
        let start = ContinuousClock.now
        #expect(looks.look(at: file.identity, first, openedAt: start) != nil)
        #expect(looks.look(at: file.identity, second, openedAt: start + .seconds(3)) == .seconds(2))
        #expect(looks.look(at: file.identity, first, openedAt: start + .seconds(6)) == .seconds(2))
        #expect(looks.look(at: file.identity, first, openedAt: start + .seconds(8)) == nil)
    }
}
