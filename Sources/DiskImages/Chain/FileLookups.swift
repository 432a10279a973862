internal import Glibc
internal import Synchronization

/// Which files were looked for to open a disk, and what was found: whether the same disk would be found now follows from that.
///
/// Every decision of opening rests on it: the file that a name leads to, the candidates for a parent that were not there, and
/// those that were and had another identity.
struct FileLookups: Sendable {
    private enum Finding: Hashable {
        case file(FileStamp)
        case nothing(ImageError.Code)

        init(_ result: Result<ImageFile, ImageError>) {
            self =
                switch result {
                case .success(let file): .file(FileStamp(file))
                case .failure(let error): .nothing(error.code)
                }
        }
    }

    private struct Lookup: Sendable {
        let path: String
        /// The file from whose folder it was looked for; nil for a name that a person or a request gave.
        let child: ImageFile?
        let finding: Finding

        func find(in files: some ImageFiles) throws(ImageError) -> ImageFile {
            if let child { try files.open(path, besides: child) } else { try files.open(path) }
        }
    }

    private var lookups: [Lookup] = []

    mutating func add(_ path: String, besides child: ImageFile?, _ result: Result<ImageFile, ImageError>) {
        lookups.append(Lookup(path: path, child: child, finding: Finding(result)))
    }

    /// Whether files were looked for one after the other. What they passed, a link or a folder, may have been exchanged between two
    /// look-ups, so that each is right and both together are not.
    var areSeveral: Bool { lookups.contains { $0.child != nil } }

    /// Whether every look-up has the same result in `files` now.
    func areRepeated(in files: some ImageFiles) -> Bool {
        lookups.allSatisfy { lookup in
            lookup.finding == Finding(Result { () throws(ImageError) in try lookup.find(in: files) })
        }
    }
}

/// Files that note what is looked for among them.
final class ObservedFiles: ImageFiles {
    private struct State {
        var lookups = FileLookups()
        var opened: [ImageFile] = []
    }

    private let files: any ImageFiles
    private let state = Mutex(State())
    /// By the clock of files.
    private let start = ImageFile.fileClock

    init(_ files: any ImageFiles) {
        self.files = files
    }

    func open(_ name: String) throws(ImageError) -> ImageFile {
        try note(name, besides: nil) { () throws(ImageError) in try files.open(name) }
    }

    func open(_ path: String, besides child: ImageFile) throws(ImageError) -> ImageFile {
        try note(path, besides: child) { () throws(ImageError) in try files.open(path, besides: child) }
    }

    /// All look-ups so far, in their order.
    var lookups: FileLookups { state.withLock(\.lookups) }

    /// Whether none of the files that were opened has changed since, or was changed so shortly before that it may not show.
    var areAtRest: Bool {
        state.withLock(\.opened).allSatisfy { file in !file.isFresh && (try? file.isUnchanged()) == true }
    }

    /// Whether all that was found was there at one moment: it would be found now, and the links that led to it are older than the
    /// first look-up, so that none of them was turned and turned back.
    var areWhereTheyWere: Bool {
        let lookups = lookups
        return !lookups.areSeveral || turnedLinks.isEmpty && lookups.areRepeated(in: files)
    }

    /// The links that may have been made since the first look-up.
    private var turnedLinks: [LinkStamp] {
        let now = ImageFile.fileClock
        return state.withLock(\.opened).flatMap(\.links).filter { $0.isMade(since: start, now: now) }
    }

    /// A file that was opened while somebody had it open for writing.
    var fileInUse: ImageFile? { state.withLock { state in state.opened.first { $0.rest == .inUse } } }

    /// A file that has changed since it was opened.
    var changedFile: ImageFile? { state.withLock { state in state.opened.first { (try? $0.isUnchanged()) != true } } }

    /// Waits until another change of the files would show in their times: some milliseconds, and not for long.
    func waitUntilChangesShow() {
        let times = state.withLock(\.opened).filter(\.isFresh).map(\.changeTime) + turnedLinks.map(\.changeTime)
        let newest = times.max() ?? 0
        for _ in 0..<20 where ImageFile.fileClock <= newest { usleep(1_000) }
    }

    private func note(
        _ path: String,
        besides child: ImageFile?,
        _ open: () throws(ImageError) -> ImageFile
    ) throws(ImageError) -> ImageFile {
        let found = Result { () throws(ImageError) in try open() }
        state.withLock { state in
            state.lookups.add(path, besides: child, found)
            if case .success(let file) = found { state.opened.append(file) }
        }
        return try found.get()
    }
}
