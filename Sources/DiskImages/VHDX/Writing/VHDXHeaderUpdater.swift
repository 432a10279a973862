/// Replaces the headers of a file, one after the other, so that at any moment one is valid ([MS-VHDX] 2.2.2.1).
struct VHDXHeaderUpdater {
    private var current: VHDXCurrentHeader
    private let dataWriteGUID: GUID
    private var isDone = false

    /// - Parameter dataWriteGUID: the identity that the content has from the first change on: a new one, unless the disk's
    ///   user does not see what changes.
    init(current: VHDXCurrentHeader, dataWriteGUID: GUID = .random()) {
        self.current = current
        self.dataWriteGUID = dataWriteGUID
    }

    /// Before the first modification after an opening: a new FileWriteGuid, and the DataWriteGuid. Does nothing after the
    /// first time.
    mutating func updateOnce(in storage: any ImageStorage, path: String) throws(ImageError) {
        guard !isDone else { return }
        var header = current.header
        header.fileWriteGUID = .random()
        header.dataWriteGUID = dataWriteGUID
        try replace(with: header, in: storage, path: path)
        isDone = true
    }

    /// After a log was replayed into the file: it is empty.
    mutating func emptyLog(in storage: any ImageStorage, path: String) throws(ImageError) {
        var header = current.header
        header.logGUID = .zero
        try replace(with: header, in: storage, path: path)
    }

    /// Writes both headers, the one that is not current first.
    private mutating func replace(
        with header: VHDXHeader,
        in storage: any ImageStorage,
        path: String
    ) throws(ImageError) {
        var header = header
        header.sequenceNumber = current.header.sequenceNumber
        // Two numbers are left to count up; no file gets here by being used.
        guard header.sequenceNumber < .max - 1 else {
            throw ImageError(.unsupported, "The header's sequence number cannot be counted up any more.", path: path)
        }
        for _ in 0..<2 {
            header.sequenceNumber += 1
            let slot = 1 - current.slot
            try storage.write(header.encoded(), at: VHDXFormat.headerOffsets[slot])
            try storage.synchronize()
            current = VHDXCurrentHeader(header: header, slot: slot)
        }
    }
}
