import Foundation
import Synchronization
import TestSupport
import Testing

@testable import DiskDeltaService
@testable import DiskImages

/// A link above the files of a chain that leads elsewhere between any two look-ups: the chain is one that the link led to at some
/// moment, or there is none. It is never put together from two.
@Suite("Chains behind a link that is turned")
struct TurnedLinkTests {
    /// The files of a root, where the link is turned before some of the look-ups.
    private final class TurningFiles: ImageFiles {
        private let files: RootedFiles
        private let link: String
        /// A bit for each look-up: whether the link is turned before it.
        private let turns: Mutex<(rest: UInt32, state: Int)>

        init(_ files: RootedFiles, link: String, turns: UInt32) {
            self.files = files
            self.link = link
            self.turns = Mutex((turns, 0))
        }

        private func turn() {
            turns.withLock { turns in
                if turns.rest & 1 == 1 {
                    turns.state = 1 - turns.state
                    TurnedLinkTests.lead(link, to: turns.state)
                }
                turns.rest >>= 1
            }
        }

        func open(_ name: String) throws(ImageError) -> ImageFile {
            turn()
            return try files.open(name)
        }

        func open(_ path: String, besides child: ImageFile) throws(ImageError) -> ImageFile {
            turn()
            return try files.open(path, besides: child)
        }
    }

    private static func lead(_ link: String, to state: Int) {
        let next = link + ".next"
        #expect(symlink("v\(state)", next) == 0)
        #expect(rename(next, link) == 0)
    }

    private let folder: TemporaryFolder
    private let root: RootedFiles

    init() throws {
        folder = try TemporaryFolder()
        for state in 0...1 {
            try FileManager.default.createDirectory(
                atPath: folder.file("v\(state)"),
                withIntermediateDirectories: false
            )
            for (name, cluster, backing) in [
                ("base", 1, ""), ("middle", 3, "WAYbase.qcow2"), ("leaf", 5, "WAYmiddle.qcow2"),
            ] {
                for (kind, way) in ["beside": "", "up": "../link/", "absolute": folder.file("link/")] {
                    var builder = Qcow2Builder(size: 8 << 20)
                    builder.setData(cluster + 10 * state)
                    builder.backingName = Array(
                        backing.replacingOccurrences(of: "WAY", with: way + (backing.isEmpty ? "" : kind + "-")).utf8
                    )
                    builder.backingFormat = backing.isEmpty ? nil : "qcow2"
                    try builder.write(to: folder.file("v\(state)/\(kind)-\(name).qcow2"))
                }
            }
        }
        root = try RootedFiles([Root(name: "r", directory: folder.path)])
    }

    @Test("Whenever it is turned, no chain is made of two", arguments: ["beside", "up", "absolute"])
    func turned(way: String) throws {
        let link = folder.file("link")
        var opened = 0
        // Every way to turn the link or not before each of eight look-ups.
        for turns in UInt32(0)..<256 {
            Self.lead(link, to: 0)
            let files = TurningFiles(root, link: link, turns: turns)
            do throws(ImageError) {
                let chain = try DiskChain.open("r/link/\(way)-leaf.qcow2", in: files)
                let folders = Set(chain.layers.map { $0.file.folder?.identity })
                #expect(chain.layers.count == 3 && folders.count == 1, "turns \(turns)")
                opened += 1
            } catch {
                #expect(error.code == .changed, "turns \(turns): \(error)")
            }
        }
        #expect(opened > 0)
    }
}
