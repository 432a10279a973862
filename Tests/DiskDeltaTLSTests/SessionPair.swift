import DiskDeltaTLS
import NIOCore
import TestSupport

/// A client and a server, and the wire between them in the hands of a test.
final class SessionPair {
    /// What one side has heard.
    struct Heard {
        var isOpen = false
        var plaintext: [UInt8] = []
        var end: TLSSession.End?

        var error: TLSError? {
            if case .failed(let error) = end { error } else { nil }
        }
    }

    enum Side { case client, server }

    let client: TLSSession
    let server: TLSSession
    private(set) var heardByClient = Heard()
    private(set) var heardByServer = Heard()
    /// How many bytes were sent to each.
    private(set) var sentToClient = 0
    private(set) var sentToServer = 0
    /// How long the next piece is that is delivered.
    var pieceLength: () -> Int = { .max }
    /// Changes what is on its way to a side; it is told how many bytes were before.
    var change: (Side, Int, inout [UInt8]) -> Void = { _, _, _ in }

    init(_ client: TLSContext, _ server: TLSContext, peer: String = "localhost") throws {
        self.client = try TLSSession(client, peer: TLSPeerName(peer))
        self.server = try TLSSession(server)
        try self.client.begin()
        try self.server.begin()
    }

    /// Delivers until nobody has anything to say.
    func settle() {
        var isQuiet = false
        while !isQuiet {
            isQuiet = true
            if let output = client.takeOutput() {
                isQuiet = false
                deliver(.server, output)
            }
            if let output = server.takeOutput() {
                isQuiet = false
                deliver(.client, output)
            }
        }
    }

    /// Sends bytes from one side to the other, if it can.
    func send(_ bytes: [UInt8], to side: Side) {
        let sender = side == .client ? server : client
        try? sender.send(ByteBuffer(bytes: bytes))
        settle()
    }

    func deliver(_ side: Side, _ buffer: ByteBuffer) {
        var bytes = Array(buffer.readableBytesView)
        change(side, side == .client ? sentToClient : sentToServer, &bytes)
        if side == .client { sentToClient += bytes.count } else { sentToServer += bytes.count }
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(max(1, pieceLength()))
            rest = rest.dropFirst(piece.count)
            switch side {
            case .client: Self.hear(client.receive(ByteBuffer(bytes: piece)), &heardByClient)
            case .server: Self.hear(server.receive(ByteBuffer(bytes: piece)), &heardByServer)
            }
        }
    }

    private static func hear(_ received: TLSSession.Received, _ heard: inout Heard) {
        if received.isHandshakeOver { heard.isOpen = true }
        heard.plaintext += received.plaintext.readableBytesView
        heard.end = heard.end ?? received.end
    }
}
