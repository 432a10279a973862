extension Column {
    /// A column that aliases memory which somebody else filled, without a copy.
    ///
    /// `owner` keeps the memory alive, and nobody changes it as long as a copy of the column exists.
    @inlinable
    public init(aliasing memory: UnsafeBufferPointer<Element>, owner: AnyObject) {
        self.init(start: memory.baseAddress, count: memory.count, owner: owner)
    }
}
