internal import CoreMetrics

/// What a server measures. `Docs/Operations.md` has the table of it.
///
/// No label has a value that a peer chose: methods are those of the server, statuses, reasons and codes those of the protocol.
struct ServerMetrics: Sendable {
    let calls: CallMetrics
    let connections: ConnectionMetrics
    let process: ProcessMetrics

    init(factory: any MetricsFactory, version: String) {
        calls = CallMetrics(factory: factory)
        connections = ConnectionMetrics(factory: factory)
        process = ProcessMetrics(factory: factory, version: version)
    }

    static let descriptions: [String: PrometheusRegistry.Description] = [
        "diskdelta_build_info": .init(help: "1, with the version as a label."),
        "diskdelta_call_duration_seconds": .init(help: "From the arrival of a call to its end."),
        "diskdelta_calls_active": .init(help: "Calls that are under way."),
        "diskdelta_calls_ended_total": .init(help: "Calls that are over, by how they ended."),
        "diskdelta_calls_refused_total": .init(
            help: "Calls that were refused before anything of them was done: there were too many, by the limit of it."
        ),
        "diskdelta_calls_resumed_total": .init(
            help: "Calls that go on with an answer that broke before: repeated, and about one state of a disk."
        ),
        "diskdelta_calls_started_total": .init(help: "Calls that arrived."),
        "diskdelta_connections_accepted_total": .init(help: "Connections that were accepted."),
        "diskdelta_connections_failed_total": .init(
            help:
                "Connections that ended because the client broke a rule or asked for too much, by the code it was told."
        ),
        "diskdelta_connections_open": .init(help: "Connections that are open."),
        "diskdelta_connections_refused_total": .init(help: "Connections that were closed as soon as they were opened."),
        "diskdelta_first_batch_seconds": .init(help: "From the arrival of a call about ranges to its first batch."),
        "diskdelta_first_message_seconds": .init(help: "From the arrival of a call to its first message."),
        "diskdelta_goaways_sent_total": .init(help: "GOAWAY frames that were sent, by their code."),
        "diskdelta_message_bytes_sent_total": .init(
            help: "Bytes of messages that were sent, counted when a call ends."
        ),
        "diskdelta_ranges_total": .init(help: "Ranges that were found, counted when a call ends."),
        "diskdelta_serving": .init(help: "1 while calls are taken up, 0 while the server stops."),
        "diskdelta_streams_stalled": .init(help: "Calls that wait because their client does not read."),
        "diskdelta_tls_handshake_failures_total": .init(help: "Connections on which TLS could not be agreed upon."),
        "process_open_fds": .init(help: "File descriptors that are open."),
        "process_resident_memory_bytes": .init(help: "Memory that is resident, in bytes."),
        "process_start_time_seconds": .init(help: "When the process started, in seconds since 1970."),
    ]
}
