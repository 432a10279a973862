internal import Foundation
internal import NIOCore
internal import NIOPosix

/// Why a socket could not be had: in the system's words, without the library's.
enum FailureText {
    static func of(_ error: any Error) -> String {
        var causes: [any Error] = [error]
        if let failure = error as? NIOConnectionError {
            causes = failure.connectionErrors.map(\.error)
            // Where the name has no address, that is the cause.
            if causes.isEmpty { causes = [failure.dnsAError, failure.dnsAAAAError].compactMap(\.self) }
        }
        var texts: [String] = []
        for cause in causes {
            let text = text(ofOne: cause)
            if !texts.contains(text) { texts.append(text) }
        }
        return texts.joined(separator: "; ")
    }

    private static func text(ofOne error: any Error) -> String {
        switch error {
        case let error as IOError: String(cString: strerror(error.errnoCode))
        case SocketAddressError.unknown: "the name has no address"
        case is SocketAddressError.UnknownHost: "the name has no address"
        default: "\(error)"
        }
    }
}
