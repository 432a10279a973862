import DiskDeltaProtocol
import TestSupport
import Testing

/// The structures of the protocol, against the bytes that every implementation shares.
struct WireVectorTests {
    @Test func everyKindHasVectors() {
        for kind in ["preface", "header", "settings-client", "settings-server", "open", "end", "goaway"] {
            #expect(WireVector.all(kind).count > 2, "\(kind)")
        }
        #expect(WireVector.all("client").count > 30)
        #expect(WireVector.all("server").count > 20)
    }

    @Test(arguments: WireVector.all("preface"))
    func preface(_ vector: WireVector) {
        check(vector) { bytes throws(ProtocolError) in
            try Preface(decoding: bytes.span.bytes)
        } values: {
            ["major \($0.major)", "minor \($0.minor)", "features \($0.features)"]
        } encode: {
            $0.encode(into: &$1)
        }
    }

    @Test(arguments: WireVector.all("header"))
    func header(_ vector: WireVector) {
        check(vector) { bytes throws(ProtocolError) in
            try FrameHeader(decoding: bytes.span.bytes, maximumLength: 262_144)
        } values: {
            [
                "length \($0.length)", "type \($0.type.rawValue)", "flags \($0.flags)", "stream \($0.stream)",
                "aux \($0.aux)",
            ]
        } encode: {
            $0.encode(into: &$1)
        }
    }

    @Test(arguments: WireVector.all("settings-client"))
    func clientSettings(_ vector: WireVector) {
        check(vector) { bytes throws(ProtocolError) in
            try ClientSettings(SettingsEntries(decoding: bytes.span.bytes))
        } values: {
            [
                "max_frame \($0.maximumFrame)", "stream_credit \($0.streamCredit)",
                "connection_credit \($0.connectionCredit)",
            ]
        } encode: {
            $0.entries.encode(into: &$1)
        }
    }

    @Test(arguments: WireVector.all("settings-server"))
    func serverSettings(_ vector: WireVector) {
        check(vector) { bytes throws(ProtocolError) in
            try ServerSettings(SettingsEntries(decoding: bytes.span.bytes))
        } values: {
            [
                "max_frame \($0.maximumFrame)", "max_streams \($0.maximumStreams)",
                "min_ping_interval \($0.minimumPingInterval)",
            ]
        } encode: {
            $0.entries.encode(into: &$1)
        }
    }

    @Test(arguments: WireVector.all("open"))
    func open(_ vector: WireVector) {
        check(vector) { bytes throws(ProtocolError) in
            let open = try OpenPayload(decoding: bytes.span.bytes)
            return (open, request: bytes.dropFirst(open.byteCount))
        } values: {
            ["path \($0.0.path)"] + entries("metadata", $0.0.metadata) + ["request \(WireVector.digits($0.request))"]
        } encode: {
            $0.0.encode(into: &$1)
            $1.append(contentsOf: $0.request)
        }
    }

    @Test(arguments: WireVector.all("end"))
    func end(_ vector: WireVector) {
        check(vector) { bytes throws(ProtocolError) in
            try EndPayload(decoding: bytes.span.bytes)
        } values: {
            ["text \($0.text)"] + entries("trailer", $0.trailers) + ["details \(WireVector.digits($0.details))"]
        } encode: {
            $0.encode(into: &$1)
            #expect($0.byteCount == $1.count)
        }
    }

    @Test(arguments: WireVector.all("goaway"))
    func goAway(_ vector: WireVector) {
        check(vector) { bytes throws(ProtocolError) in
            try GoAwayPayload(decoding: bytes.span.bytes)
        } values: {
            ["code \($0.code.rawValue)", "text \($0.text)"]
        } encode: {
            $0.encode(into: &$1)
            #expect($0.byteCount == $1.count)
        }
    }

    /// Decodes a vector, compares what was found with what it expects, and encodes it back.
    private func check<Value>(
        _ vector: WireVector,
        decode: ([UInt8]) throws(ProtocolError) -> Value,
        values: (Value) -> [String],
        encode: (Value, inout [UInt8]) -> Void
    ) {
        do throws(ProtocolError) {
            let value = try decode(vector.bytes)
            #expect(vector.error == nil)
            let expected = vector.expected.filter { $0.word != "decode-only" }.map { "\($0.word) \($0.value)" }
            #expect(values(value) == expected)
            if vector["decode-only"] == nil {
                var bytes: [UInt8] = []
                encode(value, &bytes)
                #expect(bytes == vector.bytes)
            }
        } catch {
            #expect(vector.error == error.code.goAwayCode?.name ?? "NONE", "\(error)")
        }
    }

    private func entries(_ word: String, _ metadata: Metadata) -> [String] {
        metadata.entries.map { "\(word) \($0.key) \(WireVector.digits($0.value))" }
    }
}
