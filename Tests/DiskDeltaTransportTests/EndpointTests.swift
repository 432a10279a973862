import DiskDeltaTransport
import Testing

struct EndpointTests {
    @Test(arguments: [
        ("127.0.0.1:7420", Endpoint.tcp(host: "127.0.0.1", port: 7420)),
        ("localhost:0", .tcp(host: "localhost", port: 0)),
        ("[::1]:65535", .tcp(host: "::1", port: 65_535)),
        ("[fe80::1%eth0]:1", .tcp(host: "fe80::1%eth0", port: 1)),
        ("unix:/run/diskdelta.sock", .unix(path: "/run/diskdelta.sock")),
        ("unix:/a:b", .unix(path: "/a:b")),
    ])
    func anAddressIsReadAndWritten(_ text: String, _ endpoint: Endpoint) throws {
        #expect(try Endpoint(text) == endpoint)
        #expect(endpoint.description == text)
    }

    @Test(arguments: [
        "", "localhost", ":1", "host:", "host:65536", "host:-1", "host:+1", "host: 1", "host:1x", "host:000001",
        "::1:80",
        "[::1]", "[::1]80", "[]:80", "[host]:80", "a b:1", "unix:", "unix:relative",
        "unix:/" + String(repeating: "a", count: 107),
        "unix:/a\0b",
    ])
    func whatIsNoAddressIsRefused(_ text: String) {
        #expect(throws: EndpointError.self) { try Endpoint(text) }
    }

    @Test(arguments: [
        ("127.0.0.1:1", true), ("127.9.9.9:1", true), ("localhost:1", true), ("[::1]:1", true), ("unix:/a", true),
        ("0.0.0.0:1", false), ("[::]:1", false), ("127.example.org:1", false), ("127.0.0.1.example.org:1", false),
        ("127.0.0:1", false), ("127.0.0.999:1", false), ("10.0.0.1:1", false),
    ])
    func onlyLoopbackAndUnixSocketsAreLocal(_ text: String, _ isLocal: Bool) throws {
        #expect(try Endpoint(text).isLocal == isLocal)
    }
}
