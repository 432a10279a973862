/// Keeps the footers of a VHD file right while it is written to.
struct VHDFooterUpdater {
    private(set) var footer: VHDFooter
    /// Where the footer at the file's end begins; nil where it has to be made first.
    private(set) var end: UInt64?
    private let hasCopy: Bool
    private var isDone = false

    init(_ structure: VHDStructure) {
        footer = structure.footer
        end = structure.current.end
        hasCopy = structure.dynamic != nil
    }

    /// Gives the footers a later time, before the first modification after an opening, and makes one that was missing. Does
    /// nothing after the first time.
    mutating func updateOnce(in storage: any ImageStorage, path: String) throws(ImageError) {
        guard !isDone else { return }
        let now = VHDTime.now
        do {
            // A clock that went back, or two openings in one second, must not give the same time again.
            footer = try footer.with(timestamp: now > footer.timestamp ? now : footer.timestamp &+ 1)
        } catch {
            throw ImageError(.writeFailed, "The footer cannot be written: \(error).", path: path)
        }
        if let end {
            if hasCopy {
                try storage.write(footer.bytes, at: 0)
                try storage.synchronize()
            }
            // A footer of 511 bytes becomes one of 512: with a zero behind it it is the same.
            try storage.grow(to: end + VHDFormat.footerLength)
            try storage.write(footer.bytes, at: end)
        } else {
            // The copy is the only footer there is, and is left alone until there is another.
            let unit = VHDFormat.sectorSize
            try moveEnd(to: (storage.size + unit - 1) / unit * unit, in: storage)
            try storage.write(footer.bytes, at: 0)
        }
        try storage.synchronize()
        isDone = true
    }

    /// Makes the file longer, so that what is added lies before the footer, and waits for the medium. The old footer may be
    /// overwritten afterwards.
    mutating func moveEnd(to end: UInt64, in storage: any ImageStorage) throws(ImageError) {
        try storage.grow(to: end + VHDFormat.footerLength)
        try storage.write(footer.bytes, at: end)
        try storage.synchronize()
        self.end = end
    }
}
