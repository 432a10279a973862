import DiskImages

@testable import ChangeQuery

/// A layer that has recorded points of its past. Its maps say nothing but which they are.
final class RecordingLayer: DiskImage {
    /// A map that is known by its name.
    final class NamedMap: SectorMap {
        let name: String
        let size: UInt64
        let sectorSize: UInt32 = 512
        let granularity: UInt64

        init(_ name: String, size: UInt64, granularity: UInt64) {
            self.name = name
            self.size = size
            self.granularity = granularity
        }

        func extent(at offset: UInt64, limit: UInt64, into mask: inout SectorMask) throws(ImageError) -> LayerExtent {
            .uniform(.absent, end: limit)
        }
    }

    let name: String
    let description: ImageDescription
    let file: ImageFile
    let recordedPoints: [RecordedPoint]
    let granularity: UInt64 = 65_536

    init(
        _ name: String,
        size: UInt64,
        format: ImageDescription.Format = .qcow2,
        identifier: GUID? = nil,
        points: [RecordedPoint],
        file: ImageFile
    ) {
        self.name = name
        self.file = file
        recordedPoints = points
        description = ImageDescription(
            format: format,
            diskType: .differencing,
            virtualSize: size,
            blockSize: 65_536,
            logicalSectorSize: 512,
            physicalSectorSize: 512,
            virtualDiskID: nil,
            identifier: identifier,
            revision: "",
            parent: nil
        )
    }

    func extent(at offset: UInt64, limit: UInt64, into mask: inout SectorMask) throws(ImageError) -> LayerExtent {
        .uniform(.absent, end: limit)
    }

    func state(at snapshot: RecordedPoint) throws(ImageError) -> any SectorMap {
        NamedMap("\(name) at \(snapshot.id)", size: snapshot.size ?? size, granularity: granularity)
    }

    func changes(since point: RecordedPoint, upTo snapshot: RecordedPoint?) throws(ImageError) -> any SectorMap {
        NamedMap(
            "\(name) since \(point.id)" + (snapshot.map { " to \($0.id)" } ?? ""),
            size: snapshot.map { $0.size ?? size } ?? size,
            granularity: point.granularity
        )
    }

    /// The name of a map that belongs to a layer of this kind.
    static func name(of map: any SectorMap) -> String {
        (map as? NamedMap)?.name ?? (map as? RecordingLayer)?.name ?? "?"
    }
}
