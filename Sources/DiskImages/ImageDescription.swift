/// What an image is, as its own metadata says.
public struct ImageDescription: Sendable {
    public enum Format: String, Sendable, CaseIterable {
        case vhdx, vhd, vhdset, qcow2, raw
    }

    public enum DiskType: String, Sendable {
        case fixed, dynamic, differencing
    }

    public var format: Format
    public var diskType: DiskType
    /// The size of the virtual disk in bytes: a multiple of the logical sector, but for a raw disk.
    public var virtualSize: UInt64
    /// The unit of allocation in bytes; 0 where the format has none.
    public var blockSize: UInt32
    /// In bytes: 512 or 4096.
    public var logicalSectorSize: UInt32
    public var physicalSectorSize: UInt32
    /// What stays the same through checkpoints and merges; nil where the format has none.
    public var virtualDiskID: GUID?
    /// The identity of this layer's content (VHDX's DataWriteGuid, VHD's UniqueId); nil where the format has none.
    public var identifier: GUID?
    /// What changes whenever the file's content may have changed: part of the disk's epoch.
    public var revision: String
    /// How to find and recognise the parent; nil for a base.
    public var parent: ParentReference?
    /// When the parent was last modified, as the child remembers it, in seconds since 1970: VHD only, and not always there.
    public var parentModificationTime: Int64?

    public init(
        format: Format,
        diskType: DiskType,
        virtualSize: UInt64,
        blockSize: UInt32,
        logicalSectorSize: UInt32,
        physicalSectorSize: UInt32,
        virtualDiskID: GUID?,
        identifier: GUID?,
        revision: String,
        parent: ParentReference?
    ) {
        self.format = format
        self.diskType = diskType
        self.virtualSize = virtualSize
        self.blockSize = blockSize
        self.logicalSectorSize = logicalSectorSize
        self.physicalSectorSize = physicalSectorSize
        self.virtualDiskID = virtualDiskID
        self.identifier = identifier
        self.revision = revision
        self.parent = parent
    }
}

/// How a differencing image finds and recognises its parent.
public struct ParentReference: Hashable, Sendable {
    /// Where the parent may be, in the order in which to look: paths with `/`, absolute or relative to the folder of the
    /// child.
    public var candidates: [String]
    /// The identities that the parent may have; none of them is zero. A parent whose `identifier` is not among them is
    /// another disk. Empty where the child's format records none: then whatever is at the place is the parent.
    public var identifiers: [GUID]
    /// The format that the child says its parent has; nil where the parent's name and content decide.
    public var format: ImageDescription.Format?

    public init(candidates: [String], identifiers: [GUID], format: ImageDescription.Format? = nil) {
        self.candidates = candidates
        self.identifiers = identifiers
        self.format = format
    }
}
