internal import DiskDeltaProtocol
internal import Logging

/// Writes a line for each call: who asked what about which disk, and what came of it. Never a token, never a key.
struct AuditLog: ServerInterceptor {
    private let logger: Logger

    /// - Parameter logger: labelled `diskdelta.audit`.
    init(_ logger: Logger) {
        self.logger = logger
    }

    func end(_ record: CallRecord) {
        let context = record.context
        let milliseconds = record.counts.duration / .milliseconds(1)
        logger.info(
            "audit",
            metadata: [
                "identity": "\(AuditText.harmless(context.identity))",
                "peer": "\(AuditText.harmless(context.caller.peer))",
                "method": "\(AuditText.harmless(record.path))",
                "disk": "\(AuditText.harmless(context.notes.disk))",
                "status": "\(record.status.name)",
                "reason": "\(record.reason.name)",
                "messages": "\(record.counts.messages)",
                "ranges": "\(record.counts.ranges)",
                "bytes": "\(record.counts.bytes)",
                "ms": "\(Int64(milliseconds))",
            ]
        )
    }
}

/// Text that a peer has a part in, made fit for a log: nothing in it ends the line, or is seen as something else.
///
/// Where the value of one field ends is for the log's own handler to show.
enum AuditText {
    /// The longest text in characters that is kept.
    static let maximumCount = 256

    /// The text, cut where it is too long.
    ///
    /// What is no visible character of its own stands as `\u{…}`: control characters and line ends of every kind, marks that
    /// change the direction of writing, characters that do not exist.
    static func harmless(_ text: String) -> String {
        var harmless = ""
        var count = 0
        for scalar in text.unicodeScalars {
            guard count < maximumCount else { return harmless + "…" }
            count += 1
            if isVisible(scalar) {
                harmless.unicodeScalars.append(scalar)
            } else {
                harmless += "\\u{\(String(scalar.value, radix: 16))}"
            }
        }
        return harmless
    }

    private static func isVisible(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: false
        // Of all blanks only the usual one.
        case .spaceSeparator: scalar == " "
        default: true
        }
    }
}
