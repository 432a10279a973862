internal import DiskDeltaProtocol
internal import Foundation
internal import NIOCore
internal import NIOPosix

extension CallError {
    /// What a caller is told where connecting failed: in the system's words, without the library's.
    init(connectingTo endpoint: Endpoint, failedWith error: any Error) {
        var causes: [any Error] = [error]
        if let failure = error as? NIOConnectionError {
            causes = failure.connectionErrors.map(\.error)
            // Where the name has no address, that is the cause.
            if causes.isEmpty { causes = [failure.dnsAError, failure.dnsAAAAError].compactMap(\.self) }
        }
        var texts: [String] = []
        for cause in causes {
            let text = (cause as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(cause)"
            if !texts.contains(text) { texts.append(text) }
        }
        let reasons = texts.isEmpty ? "" : ": " + texts.joined(separator: "; ")
        self.init(.serverUnavailable, "cannot connect to \(endpoint)\(reasons)")
    }
}
