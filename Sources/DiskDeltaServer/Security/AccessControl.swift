internal import DiskDeltaProtocol
internal import DiskDeltaService
internal import Foundation

/// Lets in who proves who he is and may do anything at all. What he may do with which root the services ask the policy.
struct AccessControl: ServerInterceptor {
    let security: Security

    func begin(path: String, method: MethodDescriptor?, context: inout CallContext) throws(CallError) {
        let authenticator = security.authenticator
        context.identity = try authenticator.identity(of: context.caller, context.metadata, at: Date())
        guard let policy = authenticator.policy, !policy.allowsAnything(context.identity) else { return }
        throw CallError(.accessDenied, "The policy of this server allows nothing to \(context.identity)")
    }
}
