internal import ArgumentParser
internal import DiskDeltaProtocol

/// Which part of a disk a question is about, how finely, and what to answer with where changes cannot be told.
struct WindowOptions: ParsableArguments {
    @Option(help: "Where the window starts, in bytes or K, M, G, T of them: a multiple of the logical sector.")
    var offset: ByteCount?

    @Option(help: "The length of the window; by default it goes to the end of the disk.")
    var length: ByteCount?

    @Option(help: "The smallest piece worth telling apart: a power-of-two multiple of the logical sector.")
    var granularity: ByteCount?

    @Option(name: .customLong("if-epoch"), help: "Answer only if the disk is in this epoch.")
    var ifEpoch: String?

    @Option(
        name: .customLong("if-size"),
        help: """
            Answer only if the disk has this size: what it had when the baseline was made, say. A bitmap does not record that its \
            disk was made smaller and larger; a disk that has the same size again is not noticed.
            """
    )
    var ifSize: ByteCount?

    @OptionGroup var disk: DiskFormatOption

    @Option(
        name: .customLong("on-unavailable"),
        help: "What to answer with where the changes cannot be told: fail, allocated or whole."
    )
    var onUnavailable = Fallback.fail

    @Flag(
        name: .customLong("assume-at-rest"),
        help: "Answer although a program has the disk open for writing, or may have: you know that it writes nothing."
    )
    var assumesRest = false

    /// Throws where the granularity is 0, which on the wire would say nothing.
    func checkGranularity() throws(CallError) {
        guard granularity?.bytes != 0 else {
            throw CallError(.invalidParameter, "The granularity 0 is not a power-of-two multiple of the logical sector")
        }
    }
}
