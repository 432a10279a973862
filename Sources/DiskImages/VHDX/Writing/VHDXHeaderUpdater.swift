/// Gives the headers new identities before the first modification after an opening ([MS-VHDX] 2.2.2.1).
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

    /// Writes both headers, the one that is not current first, with a new FileWriteGuid and the DataWriteGuid. Does nothing
    /// after the first time.
    mutating func updateOnce(in storage: any ImageStorage, path: String) throws(ImageError) {
        guard !isDone else { return }
        var header = current.header
        // Two numbers are left to count up; no file gets here by being used.
        guard header.sequenceNumber < .max - 1 else {
            throw ImageError(.unsupported, "The header's sequence number cannot be counted up any more.", path: path)
        }
        header.fileWriteGUID = .random()
        header.dataWriteGUID = dataWriteGUID
        for _ in 0..<2 {
            header.sequenceNumber += 1
            let slot = 1 - current.slot
            try storage.write(header.encoded(), at: VHDXFormat.headerOffsets[slot])
            try storage.synchronize()
            current = VHDXCurrentHeader(header: header, slot: slot)
        }
        isDone = true
    }
}
