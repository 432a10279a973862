import Foundation
import DiskDeltaProtocol
import DiskDeltaTransport
import Testing

@testable import DiskDeltaServer

@Suite("What is counted of calls and connections")
struct CallMetricsTests {
    private let registry = PrometheusRegistry()
    private let metrics: ServerMetrics

    init() {
        metrics = ServerMetrics(factory: registry, version: "1")
    }

    private func lines(_ prefix: String) -> [String] {
        registry.text.split(separator: "\n").map(String.init).filter { $0.hasPrefix(prefix) }
    }

    private func call(_ method: MethodDescriptor?, path: String, metadata: Metadata = Metadata()) -> InterceptedCall {
        InterceptedCall(
            path: path,
            method: method,
            context: CallContext(metadata: metadata),
            interceptors: [metrics.calls],
            at: start
        )
    }

    private let start = ContinuousClock.now

    @Test("A call about ranges, from its arrival to its end")
    func aCall() throws {
        let method = ImageManagementMethods.getVirtualDiskChanges
        let labels = "{method=\"\(method.path)\"}"
        var call = call(method, path: method.path)
        try call.begin()
        #expect(lines("diskdelta_calls_active") == ["diskdelta_calls_active\(labels) 1"])
        call.sent(bytes: 100, at: start + .milliseconds(2))
        call.sent(bytes: 1_000, at: start + .milliseconds(200))
        call.end(nil, ranges: 12, at: start + .seconds(2))
        #expect(lines("diskdelta_calls_active") == ["diskdelta_calls_active\(labels) 0"])
        #expect(lines("diskdelta_calls_started_total") == ["diskdelta_calls_started_total\(labels) 1"])
        #expect(lines("diskdelta_ranges_total") == ["diskdelta_ranges_total\(labels) 12"])
        #expect(lines("diskdelta_message_bytes") == ["diskdelta_message_bytes_sent_total\(labels) 1100"])
        #expect(
            lines("diskdelta_calls_ended_total") == [
                "diskdelta_calls_ended_total{method=\"\(method.path)\",status=\"OK\",reason=\"NONE\"} 1"
            ]
        )
        #expect(lines("diskdelta_call_duration_seconds_sum") == ["diskdelta_call_duration_seconds_sum\(labels) 2"])
        #expect(lines("diskdelta_first_message_seconds_sum") == ["diskdelta_first_message_seconds_sum\(labels) 0.002"])
        #expect(lines("diskdelta_first_batch_seconds_sum") == ["diskdelta_first_batch_seconds_sum\(labels) 0.2"])
        #expect(lines("diskdelta_calls_resumed") == ["diskdelta_calls_resumed_total\(labels) 0"])
    }

    @Test("Paths that a caller makes up are one label value")
    func unknownMethods() throws {
        for number in 0..<50 {
            var call = call(nil, path: "made.Up/Method\(number)")
            try call.begin()
            call.end(CallError(unimplemented: "made.Up/Method\(number)"), ranges: 0, at: start)
        }
        #expect(!registry.text.contains("made"))
        #expect(
            lines("diskdelta_calls_ended_total") == [
                "diskdelta_calls_ended_total{method=\"unknown\",status=\"UNIMPLEMENTED\",reason=\"UNSUPPORTED\"} 50"
            ]
        )
    }

    @Test("A resume is a repeated call about one state of a disk", arguments: [false, true], [false, true])
    func resumes(isRepeated: Bool, namesEpoch: Bool) throws {
        var metadata = Metadata()
        if isRepeated { _ = metadata.append("diskdelta-previous-attempts", Array("1".utf8)) }
        let method = ImageManagementMethods.getVirtualDiskAllocation
        var call = call(method, path: method.path, metadata: metadata)
        try call.begin()
        call.context.notes.namesEpoch = namesEpoch
        call.end(CallError(.epochChanged, ""), ranges: 0, at: start)
        let count = isRepeated && namesEpoch ? 1 : 0
        #expect(
            lines("diskdelta_calls_resumed") == ["diskdelta_calls_resumed_total{method=\"\(method.path)\"} \(count)"]
        )
    }

    @Test func connections() {
        let observer = metrics.connections
        for _ in 0..<3 { observer.connectionAccepted() }
        observer.connectionEnded()
        observer.connectionRefused()
        observer.tlsHandshakeFailed()
        for limit in CallLimit.allCases { observer.callRefused(limit) }
        observer.callRefused(.client)
        observer.streamStalled()
        observer.goAwaySent(.noError)
        observer.goAwaySent(.excessiveLoad)
        observer.connectionFailed(ProtocolError(.excessiveLoad, "too much"))
        observer.connectionFailed(ProtocolError(.foreignPeer, "HTTP"))
        for line in [
            "diskdelta_connections_accepted_total 3", "diskdelta_connections_open 2",
            "diskdelta_connections_refused_total 1",
            "diskdelta_calls_refused_total{limit=\"connection\"} 1",
            "diskdelta_calls_refused_total{limit=\"server\"} 1",
            "diskdelta_calls_refused_total{limit=\"client\"} 2",
            "diskdelta_calls_refused_total{limit=\"queue\"} 1",
            "diskdelta_tls_handshake_failures_total 1",
            "diskdelta_streams_stalled 1", "diskdelta_goaways_sent_total{code=\"NO_ERROR\"} 1",
            "diskdelta_goaways_sent_total{code=\"EXCESSIVE_LOAD\"} 1",
            "diskdelta_connections_failed_total{code=\"EXCESSIVE_LOAD\"} 1",
            "diskdelta_connections_failed_total{code=\"FOREIGN_PEER\"} 1",
        ] {
            #expect(lines(line).count == 1, "\(line)")
        }
    }

    @Test func theProcess() throws {
        metrics.process.refresh()
        func value(_ name: String) throws -> Double {
            try #require(lines(name + " ").first.flatMap { Double($0.dropFirst(name.count + 1)) })
        }
        #expect(try value("process_resident_memory_bytes") > 1_048_576.0)
        #expect(try value("process_open_fds") > 2)
        #expect(try value("process_start_time_seconds") > 1_600_000_000)
        #expect(lines("diskdelta_build_info") == ["diskdelta_build_info{version=\"1\"} 1"])
    }

    @Test("Every metric is described")
    func descriptions() throws {
        var call = call(ImageManagementMethods.getVirtualDiskChanges, path: "")
        try call.begin()
        call.end(nil, ranges: 0, at: start)
        connections()
        metrics.process.refresh()
        let told = registry.text.split(separator: "\n").filter { $0.hasPrefix("# TYPE") }.map {
            $0.split(separator: " ")[2]
        }
        #expect(Set(told.map(String.init)) == Set(ServerMetrics.descriptions.keys))
    }
}

extension CallMetricsTests {
    @Test("The handbook tells of every metric, and of no other")
    func handbook() throws {
        let file = URL(filePath: #filePath).resolvingSymlinksInPath()
            .deletingLastPathComponent().appending(path: "../../../Docs/Operations.md").standardized
        let text = try String(contentsOf: file, encoding: .utf8)
        let rows = text.matches(of: /(?m)^\| `((?:diskdelta|process)_[a-z_]+)` \| (?:counter|gauge|histogram) \|/)
        #expect(rows.count == ServerMetrics.descriptions.count)
        #expect(Set(rows.map { String($0.1) }) == Set(ServerMetrics.descriptions.keys))
    }
}
