internal import DiskDeltaProtocol
internal import Foundation
internal import NIOSSL

/// What went wrong with TLS, in sentences that a person can act on: UNAUTHENTICATED where one side is not who it should be,
/// or does not let the other in; SERVER_UNAVAILABLE where there was nobody to talk TLS with.
struct TLSFailureText: Sendable {
    let server: Endpoint
    /// The name or address that the certificate must have.
    let expectedName: String
    let options: TLSOptions

    var timeout: CallError { unavailable("\(server) did not finish the TLS handshake in time") }

    var otherProtocol: CallError {
        unavailable(
            "\(server) speaks TLS and not DiskDelta: the protocol \(Preface.applicationProtocol) was not agreed upon"
        )
    }

    var closed: CallError { unavailable("\(server) closed the connection during the TLS handshake") }

    var otherName: CallError {
        unproved("the certificate of \(server) is for another host: it does not name '\(expectedName)'")
    }

    /// Whether a verified certificate has the name that was asked for instead of the host's. The library is content with a
    /// certificate for the address that was connected to, whatever name was expected.
    func acceptsName(of certificate: NIOSSLCertificate?) -> Bool {
        guard let expected = options.serverName?.lowercased() else { return true }
        guard let certificate else { return false }
        return certificate._subjectAlternativeNames().contains { name in
            guard name.nameType == .dnsName else { return false }
            let pattern = name.contents.withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }.lowercased()
            if pattern == expected { return true }
            // A wildcard stands for the first label and for no other (RFC 6125, 6.4.3).
            guard pattern.hasPrefix("*."), let dot = expected.firstIndex(of: "."), dot != expected.startIndex else {
                return false
            }
            return pattern.dropFirst() == expected[dot...]
        }
    }

    /// - Parameter certificate: what the server showed, where it got that far.
    func text(of error: any Error, duringHandshake: Bool, certificate: NIOSSLCertificate?) -> CallError {
        if let error = error as? CallError { return error }
        if let error = error as? NIOSSLExtraError, error == .failedToValidateHostname {
            return otherName
        }
        let details = Self.details(of: error)
        func says(_ words: String...) -> Bool { words.contains { details.contains($0) } }
        if says("CERTIFICATE_VERIFY_FAILED") { return unproved(unverified(certificate)) }
        if says("WRONG_VERSION_NUMBER", "HTTP_REQUEST") {
            return unavailable("\(server) answers without TLS")
        }
        if says("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL") {
            return unavailable("\(server) does not speak TLS 1.3")
        }
        if says("NO_APPLICATION_PROTOCOL") { return otherProtocol }
        if says("CERTIFICATE_REQUIRED") {
            return unproved("\(server) asks for a certificate of the client, and none is configured")
        }
        if let identity = options.identity,
            says(
                "ALERT_UNKNOWN_CA",
                "ALERT_BAD_CERTIFICATE",
                "ALERT_CERTIFICATE",
                "ALERT_ACCESS_DENIED",
                "UNSUPPORTED_CERT"
            )
        {
            let why = says("EXPIRED") ? ": it has expired" : says("REVOKED") ? ": it is revoked" : ""
            return unproved("\(server) does not accept the certificate in \(identity.certificateFile)\(why)")
        }
        if duringHandshake {
            let isCut = says("EOF during handshake") || error as? NIOSSLError == .uncleanShutdown
            return isCut ? closed : unavailable("the TLS handshake with \(server) failed: \(FailureText.of(error))")
        }
        if error as? NIOSSLError == .uncleanShutdown { return unavailable("the connection to \(server) broke") }
        return unavailable("the connection to \(server) broke: \(FailureText.of(error))")
    }

    private func unverified(_ certificate: NIOSSLCertificate?) -> String {
        if let certificate {
            let now = time(nil)
            if certificate.notValidAfter < now {
                return "the certificate of \(server) has expired on \(Self.day(certificate.notValidAfter))"
            }
            if certificate.notValidBefore > now {
                return "the certificate of \(server) is not valid before \(Self.day(certificate.notValidBefore)):"
                    + " compare the clocks"
            }
        }
        switch options.authorities {
        case .file(let path): return "the certificate of \(server) is not from an authority in \(path)"
        case .system: return "the certificate of \(server) is not from an authority that this system trusts"
        }
    }

    /// A day of the calendar, in UTC.
    private static func day(_ time: time_t) -> String {
        let date = Date(timeIntervalSince1970: TimeInterval(time))
        return date.formatted(.iso8601.year().month().day())
    }

    private static func details(of error: any Error) -> String {
        "\(error)"
    }

    /// One of the two sides is not who the other lets in: trying again would not help.
    private func unproved(_ message: String) -> CallError {
        CallError(.unauthenticated, message)
    }

    private func unavailable(_ message: String) -> CallError {
        CallError(.serverUnavailable, message)
    }
}
