internal import Foundation
public import Logging

/// How a line of the log is written.
public enum LogFormat: String, CaseIterable, Sendable {
    /// `2026-01-31T08:15:00.123Z notice "the connection ends" peer="127.0.0.1:40000"`
    case text
    /// The same as a JSON object.
    case json
}

/// Writes each event as one line on standard error.
///
/// Whatever a peer has a part in is quoted and escaped, so that no text of his can look like a line or a field of its own, or
/// do anything to a terminal. Long values are cut.
public struct LineLogHandler: LogHandler {
    public var metadataProvider: Logger.MetadataProvider?
    public var metadata: Logger.Metadata = [:]
    public var logLevel = Logger.Level.info

    private let format: LogFormat
    private let write: @Sendable (String) -> Void
    private let now: @Sendable () -> Date

    public init(format: LogFormat) {
        self.init(format: format, now: { Date() }, write: Self.writeToStandardError)
    }

    init(format: LogFormat, now: @escaping @Sendable () -> Date, write: @escaping @Sendable (String) -> Void) {
        self.format = format
        self.now = now
        self.write = write
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        var fields = metadata
        for more in [metadataProvider?.get(), event.metadata] {
            fields.merge(more ?? [:]) { $1 }
        }
        if let error = event.error { fields["error"] = "\(error)" }
        let sorted = fields.sorted { $0.key < $1.key }
        switch format {
        case .text: write(text(event, sorted))
        case .json: write(json(event, sorted))
        }
    }

    private func text(_ event: LogEvent, _ fields: [(key: String, value: Logger.MetadataValue)]) -> String {
        var line = "\(LogText.time(now())) \(event.level.rawValue) \(LogText.quote(event.message.description))"
        for (key, value) in fields {
            line += " \(LogText.key(key))=\(LogText.quote(value.description))"
        }
        return line + "\n"
    }

    private func json(_ event: LogEvent, _ fields: [(key: String, value: Logger.MetadataValue)]) -> String {
        var line = #"{"time":"\#(LogText.time(now()))","level":"\#(event.level.rawValue)","message":"#
        line += LogText.quote(event.message.description) + #","fields":{"#
        line += fields.map { "\(LogText.quote($0.key)):\(json($0.value))" }.joined(separator: ",")
        return line + "}}\n"
    }

    private func json(_ value: Logger.MetadataValue) -> String {
        switch value {
        case .array(let values): "[" + values.map { json($0) }.joined(separator: ",") + "]"
        case .dictionary(let values):
            "{"
                + values.sorted { $0.key < $1.key }.map { "\(LogText.quote($0.key)):\(json($0.value))" }
                .joined(separator: ",") + "}"
        case .string, .stringConvertible: LogText.quote(value.description)
        }
    }

    /// In one call, so that lines of several threads do not mix; a log that cannot be written stops nothing.
    @Sendable private static func writeToStandardError(_ line: String) {
        var rest = Array(line.utf8)[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { Foundation.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { return }
            rest = rest.dropFirst(written)
        }
    }
}
