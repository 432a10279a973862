internal import DiskDeltaProtocol
internal import DiskDeltaTLS
internal import Foundation

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

    private var otherNameText: String {
        "the certificate of \(server) is for another host: it does not name '\(expectedName)'"
    }

    func text(of error: any Error, duringHandshake: Bool) -> CallError {
        if let error = error as? CallError { return error }
        guard let error = error as? TLSError else { return broken(FailureText.of(error), duringHandshake) }
        switch error.kind {
        case .untrusted(let distrust): return unproved(unverified(distrust))
        case .noTLS where duringHandshake: return unavailable("\(server) answers without TLS")
        case .version: return unavailable("\(server) does not speak TLS 1.3")
        case .noCommonProtocol: return otherProtocol
        case .cutInHandshake: return closed
        case .cut: return duringHandshake ? closed : unavailable("the connection to \(server) broke")
        case .alert(let alert): return refused(alert) ?? broken("\(error)", duringHandshake)
        case .noTLS, .noCertificate, .unusable, .keyMismatch, .other: return broken("\(error)", duringHandshake)
        }
    }

    private func broken(_ why: String, _ duringHandshake: Bool) -> CallError {
        unavailable(
            duringHandshake
                ? "the TLS handshake with \(server) failed: \(why)" : "the connection to \(server) broke: \(why)"
        )
    }

    /// What the server's alert says of the client's certificate (RFC 8446, 6.2); nil if it says nothing of it.
    private func refused(_ alert: UInt8) -> CallError? {
        if alert == TLSError.certificateRequired, options.identity == nil {
            return unproved("\(server) asks for a certificate of the client, and none is configured")
        }
        guard let identity = options.identity else { return nil }
        let why: String
        switch alert {
        case 44: why = ": it is revoked"
        case 45: why = ": it has expired"
        // Bad, unsupported, unknown certificate; unknown authority; access denied; certificate required.
        case 42, 43, 46, 48, 49, TLSError.certificateRequired: why = ""
        default: return nil
        }
        return unproved("\(server) does not accept the certificate in \(identity.certificateFile)\(why)")
    }

    private func unverified(_ distrust: TLSError.Distrust) -> String {
        let which =
            distrust.isOwn ? "the certificate of \(server)" : "a certificate that the certificate of \(server) rests on"
        switch distrust.cause {
        case .otherName: return otherNameText
        case .expired(let time): return "\(which) has expired on \(Self.day(time))"
        case .notYetValid(let time): return "\(which) is not valid before \(Self.day(time)): compare the clocks"
        case .unknownAuthority:
            switch options.authorities {
            case .file(let path): return "the certificate of \(server) is not from an authority in \(path)"
            case .system: return "the certificate of \(server) is not from an authority that this system trusts"
            }
        case .other: return "\(which) cannot be trusted: \(distrust.text)"
        }
    }

    /// A day of the calendar, in UTC.
    private static func day(_ time: Int64) -> String {
        let date = Date(timeIntervalSince1970: TimeInterval(time))
        return date.formatted(.iso8601.year().month().day())
    }

    /// One of the two sides is not who the other lets in: trying again would not help.
    private func unproved(_ message: String) -> CallError {
        CallError(.unauthenticated, message)
    }

    private func unavailable(_ message: String) -> CallError {
        CallError(.serverUnavailable, message)
    }
}
