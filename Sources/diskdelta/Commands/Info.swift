internal import ArgumentParser
internal import DiskDeltaClient
internal import DiskDeltaProtocol

struct Info: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say what a disk is, its chain, and the baselines that changes can be asked since."
    )

    @ParentCommand var program: DiskDelta
    @OptionGroup var format: DiskFormatOption
    @OptionGroup var output: FormatOptions

    @Argument(help: "The disk to ask about.")
    var disk: String

    func run() async throws {
        try await output.format.telling { try await answer() }
    }

    private func answer() async throws {
        let request = VirtualHardDiskRequest(path: disk, imageFormat: format.onTheWire)
        let (what, points) = try await program.connection.withClient { client, options in
            let what = try await client.images.getVirtualHardDiskSettingData(request, options: options())
            let points = try await client.images.listBaselines(request, options: options())
            guard what.epoch == points.epoch else {
                throw CallError(.epochChanged, "The disk changed while it was described: ask again")
            }
            return (what, points)
        }
        let standardOutput = StandardOutput()
        switch output.format {
        case .ndjson, .json: standardOutput.write { $0 += object(what, points) + [UInt8(ascii: "\n")] }
        case .table: standardOutput.write(table(what, points))
        }
        standardOutput.flush()
    }

    private func object(_ what: VirtualHardDiskSettingData, _ points: ListBaselinesResponse) -> [UInt8] {
        JSONWriter.object { line in
            line.field("type", "info")
            line.field("schema", 1)
            line.field("disk", disk)
            line.field("format", what.format.word)
            line.field("disk_type", what.type.word)
            line.field("size", what.maxInternalSize)
            line.field("block_size", what.blockSize)
            line.field("logical_sector_size", what.logicalSectorSize)
            line.field("physical_sector_size", what.physicalSectorSize)
            line.field("virtual_disk_id", what.virtualDiskID)
            line.field("identifier", what.identifier)
            line.field("parent_path", what.parentPath)
            line.field("epoch", what.epoch)
            line.field("chain", objects: what.chain) { line, layer in
                line.field("path", layer.path)
                line.field("format", layer.format.word)
                line.field("identifier", layer.identifier)
            }
            line.field("baselines", objects: points.baselines) { line, baseline in
                line.field("id", baseline.id)
                line.field("kind", baseline.kind.word)
                line.field("path", baseline.path)
                line.field("created", baseline.created)
                line.field("granularity", baseline.granularity)
                line.field("usable", baseline.usable)
                line.field("reason", baseline.reason)
            }
            let tracking = points.tracking ?? ChangeTrackingState()
            line.field(
                "tracking",
                json: JSONWriter.object { line in
                    line.field("enabled", tracking.enabled)
                    line.field("most_recent_id", tracking.mostRecentID)
                    line.field("newer_changes", tracking.newerChanges)
                }
            )
        }
    }

    private func table(_ what: VirtualHardDiskSettingData, _ points: ListBaselinesResponse) -> String {
        var lines = [
            "disk          \(disk)",
            "format        \(what.format.word), \(what.type.word)",
            "size          \(what.maxInternalSize.asSize)"
                + (what.blockSize == 0 ? "" : " in blocks of \(what.blockSize.asSize)"),
            "sectors       \(what.logicalSectorSize) bytes logical, \(what.physicalSectorSize) physical",
            "virtual disk  \(what.virtualDiskID.isEmpty ? "-" : what.virtualDiskID)",
            "epoch         \(what.epoch)",
            "",
            "chain, leaf first",
        ]
        lines += what.chain.map { layer in
            "  \(layer.identifier.isEmpty ? layer.format.word : layer.identifier)  \(layer.path)"
        }
        lines += [
            "", points.baselines.isEmpty ? "no baselines: take a full backup" : "baselines, nearest first (--since ID)",
        ]
        lines += points.baselines.map { baseline in
            "  \(baseline.id)  \(baseline.path)" + (baseline.usable ? "" : "  not usable: \(baseline.reason)")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
