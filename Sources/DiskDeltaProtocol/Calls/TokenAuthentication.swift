/// Proves who asks by a token: adds `authorization: Bearer …` to every call (P-27).
///
/// A connection refuses to carry it where others could read it: without TLS, unless it is a Unix socket or to a loopback
/// address (P-82).
public struct TokenAuthentication: ClientInterceptor {
    /// The key under which the token travels.
    public static let key = "authorization"

    private let value: [UInt8]

    /// - Parameter token: one character or more of `A–Z a–z 0–9 - . _ ~ + / =`.
    /// - Throws: INVALID_PARAMETER where the token has none, or others. The message does not repeat the token.
    public init(_ token: String) throws(CallError) {
        guard !token.isEmpty else { throw CallError(.invalidParameter, "the token is empty") }
        guard token.utf8.allSatisfy(Self.isAllowed) else {
            throw CallError(.invalidParameter, "the token has characters other than A-Z a-z 0-9 - . _ ~ + / =")
        }
        guard token.utf8.count <= Self.maximumByteCount else {
            throw CallError(.invalidParameter, "the token has more than \(Self.maximumByteCount) characters")
        }
        value = Array("Bearer \(token)".utf8)
    }

    public func intercept(
        _ method: MethodDescriptor,
        request: some Message,
        options: CallOptions,
        next: any CallInvoker
    ) async throws(CallError) -> any OutstandingCall {
        var options = options
        guard options.metadata[Self.key] == nil else {
            throw CallError(.invalidParameter, "the metadata of the call says \(Self.key) already")
        }
        guard options.metadata.append(Self.key, value) else {
            throw CallError(.invalidParameter, "the metadata of the call is too long for the token beside it")
        }
        return try await next.open(method, request: request, options: options)
    }

    /// Half of what metadata may take, so that there is room for the rest.
    private static let maximumByteCount = 4_096

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "-._~+/=".utf8.contains(byte)
        }
    }
}
