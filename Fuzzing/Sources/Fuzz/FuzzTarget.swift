internal import DiskImages

/// A part of an image that is damaged, and what is then done with the image.
struct FuzzTarget {
    /// Where bytes of an input go.
    struct Place {
        var file = 0
        var offset: Int
        var length: Int
    }

    /// How the bytes of an input are spread over the places.
    enum Spreading {
        /// They fill one place after the other. An input that is too short leaves the rest as it was.
        case inOrder
        /// They are a list of patches: a position in all places as if they stood side by side (two bytes), a length (one
        /// byte), and so many bytes.
        case patches
    }

    enum Test {
        /// One image is opened, and all that it can tell is asked.
        case image
        /// A disk is opened with its parents, and questions are asked about it.
        case disk
    }

    var name: String
    /// The image first, or the leaf of the disk; then what it stands on.
    var files: [MemoryFile]
    var places: [Place]
    var spreading = Spreading.inOrder
    /// Makes the checksums of a damaged file right.
    var repair: (MemoryFile) -> Void = { _ in }
    var test = Test.image

    /// The input that damages nothing: where a search begins.
    var undamaged: [UInt8] {
        switch spreading {
        case .inOrder: FuzzInput.plainHead + places.flatMap { original($0) }
        case .patches: FuzzInput.plainHead
        }
    }

    private func original(_ place: Place) -> ArraySlice<UInt8> {
        files[place.file].original(place.offset..<place.offset + place.length)
    }

    /// Damages the files as `input` says, tests what comes of it, and puts them back.
    func run(_ input: FuzzInput) {
        defer { for file in files { file.restore() } }
        switch spreading {
        case .inOrder: fill(from: input.body)
        case .patches: patch(from: input.body)
        }
        if input.repairsChecksums {
            for file in files { repair(file) }
        }
        if let length = input.fileLength { files[0].resize(to: length) }
        let folder = MemoryFiles(files: files)
        do throws(ImageError) {
            switch test {
            case .image:
                var probe = ImageProbe(choice: input.choice)
                try probe.run(on: files[0].open().openImage(in: folder), in: folder)
            case .disk:
                try DiskProbe(choice: input.choice).run(files[0].name, in: folder)
            }
        } catch {
            // A refusal, which a person must be able to read.
            expect(!error.message.isEmpty && error.description.utf8.count < 1 << 20, "an error without a message")
        }
    }

    private func fill(from body: UnsafeRawBufferPointer) {
        var rest = body[...]
        for place in places {
            let bytes = rest.prefix(place.length)
            guard !bytes.isEmpty else { return }
            files[place.file].write(bytes, at: place.offset)
            rest = rest.dropFirst(bytes.count)
        }
    }

    private func patch(from body: UnsafeRawBufferPointer) {
        var rest = body[...]
        let total = places.reduce(0) { $0 + $1.length }
        while rest.count > 3 {
            let head = Array(rest.prefix(3))
            rest = rest.dropFirst(3)
            var position = (Int(head[0]) | Int(head[1]) << 8) % total
            let bytes = rest.prefix(Int(head[2]))
            rest = rest.dropFirst(bytes.count)
            for place in places {
                if position < place.length {
                    files[place.file].write(bytes.prefix(place.length - position), at: place.offset + position)
                    break
                }
                position -= place.length
            }
        }
    }
}

/// Ends the process where something does not hold: that is a finding.
func expect(_ condition: Bool, _ what: @autoclosure () -> String) {
    guard condition else { fatalError("Found \(what()).") }
}
