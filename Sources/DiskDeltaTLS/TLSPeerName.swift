internal import Glibc

/// Whom a client means: the certificate of the server must be for this name or address.
package enum TLSPeerName: Hashable, Sendable {
    /// It is sent to the server too, so that this can choose a certificate.
    case host(String)
    /// 4 or 16 bytes.
    case address([UInt8])

    /// An address, with or without a scope, or the name of a host in visible ASCII; nil if it is neither.
    package init?(_ text: String) {
        if let address = Self.address(text) {
            self = .address(address)
            return
        }
        // A name in full may have a dot at its end, which neither certificates nor the server's name have.
        let name = text.last == "." ? text.dropLast() : text[...]
        // To OpenSSL one that starts with a dot would mean every host below it, and an empty one that any will do.
        guard (1...255).contains(name.utf8.count), name.utf8.first != UInt8(ascii: "."),
            name.utf8.allSatisfy({ (0x21...0x7e).contains($0) })
        else { return nil }
        self = .host(String(name))
    }

    private static func address(_ text: String) -> [UInt8]? {
        // The scope of an address says something about this machine only.
        let address = String(text.prefix { $0 != "%" })
        guard !address.utf8.contains(0) else { return nil }
        for (family, count) in [(AF_INET, 4), (AF_INET6, 16)] {
            var bytes = [UInt8](repeating: 0, count: count)
            if inet_pton(family, address, &bytes) == 1 { return bytes }
        }
        return nil
    }
}
