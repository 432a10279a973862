import Foundation
import TestSupport
import Testing

@testable import DiskDeltaServer

@Suite("What is packaged for systemd")
struct PackagingTests {
    private static let folder = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().appending(path: "../../../Packaging/systemd").standardized

    private func text(_ name: String) throws -> String {
        try String(contentsOf: Self.folder.appending(path: name), encoding: .utf8)
    }

    @Test("The example of a configuration has every setting, says nothing, and would be accepted if it did")
    func configuration() throws {
        let text = try text("diskdeltad.conf")
        #expect(try SettingsFile.parse(text, named: "example").isEmpty)
        let said = text.replacing(/(?m)^#(?=[a-z-]+ = )/, with: "")
        let values = try SettingsFile.parse(said, named: "example")
        #expect(Set(values.keys) == Set(SettingName.allCases).subtracting([.config]))
        let settings = try Settings.resolve(flags: [.config: ["example"]], environment: [:]) { _ in said }
        #expect(settings.roots == ["vms=/srv/vms"])
        #expect(settings.metricsListen == "127.0.0.1:9720")
        #expect(!settings.isInsecure)
    }

    private static let analyze = BuiltProgram("systemd-analyze", candidates: ["/usr/bin/systemd-analyze"])

    @Test(
        "systemd understands the units",
        .enabled(if: analyze.isBuilt, "systemd-analyze is not installed (Debian: systemd)")
    )
    func units() throws {
        let folder = try TemporaryFolder()
        for name in ["diskdeltad.service", "diskdeltad.socket"] {
            // It looks for the program, which need not be installed here.
            let unit = try text(name).replacing("/usr/bin/diskdeltad", with: "/bin/sh")
            try unit.write(toFile: folder.file(name), atomically: true, encoding: .utf8)
        }
        let outcome = try Self.analyze.run(
            ["verify", "--man=no", folder.file("diskdeltad.service"), folder.file("diskdeltad.socket")],
            in: folder
        )
        #expect(outcome.status == 0, "\(outcome.error)")
        // Other units of this machine may have faults of their own.
        #expect(!outcome.error.contains("diskdeltad"), "\(outcome.error)")
    }

    @Test("The service is shut in")
    func sandbox() throws {
        let lines = Set(try text("diskdeltad.service").split(separator: "\n").map(String.init))
        for line in [
            "Type=notify", "NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=CAP_LEASE",
            "AmbientCapabilities=CAP_LEASE",
            "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX", "SystemCallFilter=@system-service", "MemoryMax=4G",
            "StateDirectory=diskdeltad",
        ] {
            #expect(lines.contains(line), "\(line)")
        }
    }
}
