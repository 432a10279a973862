import DiskImages

@testable import ChangeQuery

/// Most tests ask about a disk that is nothing but its layers.
extension Plan {
    init(_ question: Question, about layers: [any DiskImage]) throws(QueryError) {
        try self.init(question, about: DiskChain(layers: layers))
    }
}

extension Baseline {
    static func all(of layers: [any DiskImage]) -> [Baseline] {
        all(of: DiskChain(layers: layers))
    }
}
