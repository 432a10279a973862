internal import DiskDeltaClient

/// A picture of a window in the terminal: 256 cells, each for an equal part, the darker the more of it changed.
struct ChangeMap {
    private static let columns = 64
    private static let cells = 256
    private static let shades: [Character] = ["·", "░", "▒", "▓", "█"]

    private let start: UInt64
    private let length: UInt64
    /// The bytes that changed in each cell.
    private var data = [UInt64](repeating: 0, count: cells)
    private var zero = [UInt64](repeating: 0, count: cells)

    init(start: UInt64, length: UInt64) {
        self.start = start
        self.length = length
    }

    mutating func add(_ range: ChangedRange) {
        var position = range.offset - start
        let end = position + range.length
        while position < end {
            let cell = cellIndex(of: position)
            let part = min(end, cellStart(cell + 1)) - position
            guard part > 0 else { return }
            switch range.kind {
            case .data: data[cell] += part
            case .zero: zero[cell] += part
            }
            position += part
        }
    }

    func lines() -> [String] {
        var lines: [String] = []
        for row in stride(from: 0, to: Self.cells, by: Self.columns) {
            let picture = String((row..<row + Self.columns).map(shade))
            lines.append("\((start + cellStart(row)).asSize.leftPadded(to: 10)) │\(picture)│")
        }
        lines.append(
            "\(String(repeating: " ", count: 12))each cell \((length / UInt64(Self.cells)).asSize):"
                + " · unchanged  ░▒▓█ changed  z only zeroes"
        )
        return lines
    }

    private func shade(_ cell: Int) -> Character {
        let size = cellStart(cell + 1) - cellStart(cell)
        let changed = data[cell] + zero[cell]
        if changed == 0 || size == 0 { return Self.shades[0] }
        if data[cell] == 0 { return "z" }
        // The smallest change shows.
        return Self.shades[min(4, 1 + Int(changed.multipliedFullWidth(by: 4).low / max(1, size)))]
    }

    /// The first cell starts at 0 and the last ends at `length`; the parts differ by a byte at most.
    private func cellStart(_ cell: Int) -> UInt64 {
        let product = length.multipliedFullWidth(by: UInt64(cell))
        return UInt64(Self.cells).dividingFullWidth(product).quotient
    }

    private func cellIndex(of position: UInt64) -> Int {
        guard length > 0 else { return 0 }
        let product = position.multipliedFullWidth(by: UInt64(Self.cells))
        var cell = Int(length.dividingFullWidth(product).quotient)
        if cell + 1 < Self.cells, cellStart(cell + 1) <= position { cell += 1 }
        return min(cell, Self.cells - 1)
    }
}
