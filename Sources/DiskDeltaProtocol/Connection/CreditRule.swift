/// The numbers of section 10 of `Docs/Protocol.md`.
enum CreditRule {
    /// The least that a CREDIT frame grants, in bytes.
    static let minimumGrant: UInt32 = 1_024

    /// What no credit exceeds, in bytes.
    static let maximum: UInt32 = (1 << 31) - 1
}
