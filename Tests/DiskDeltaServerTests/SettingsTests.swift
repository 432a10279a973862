import Foundation
import Logging
import Testing

@testable import DiskDeltaServer

@Suite("Where a setting comes from")
struct SettingsTests {
    private func resolve(
        _ flags: [SettingName: [String]] = [:],
        environment: [String: String] = [:],
        file: String? = nil
    ) throws -> Settings {
        try Settings.resolve(flags: flags, environment: environment) { _ in file }
    }

    @Test("Nothing said: loopback, level info, no roots")
    func standard() throws {
        let settings = try resolve()
        #expect(settings.listen == ["127.0.0.1:7420"])
        #expect(settings.roots == [])
        #expect(settings.logLevel == .info)
        #expect(settings.logFormat == .text)
        #expect(settings.metricsListen == nil)
        #expect(!settings.isInsecure)
        #expect(settings.maximumCallsPerIdentity == 256)
    }

    @Test("How many calls one identity may have under way")
    func callsPerIdentity() throws {
        let file = "max-calls-per-identity = 3\n"
        #expect(try resolve([.config: ["x.conf"]], file: file).maximumCallsPerIdentity == 3)
        let variables = ["DISKDELTAD_MAX_CALLS_PER_IDENTITY": "1000000"]
        #expect(try resolve(environment: variables).maximumCallsPerIdentity == 1_000_000)
        #expect(try resolve([.maximumCallsPerIdentity: ["1"]]).maximumCallsPerIdentity == 1)
        for wrong in ["0", "-1", "1000001", "99999999999999999999", "many", "1.5", " 1"] {
            let error = #expect(throws: SettingsError.self) { try resolve([.maximumCallsPerIdentity: [wrong]]) }
            #expect(error?.message.contains("max-calls-per-identity") == true)
            #expect(error?.message.contains("from 1 to 1000000") == true)
        }
    }

    @Test("A flag wins over the environment, and the environment over the file")
    func order() throws {
        let file = """
            # what this host serves
            root = a=/file/a
            root = b=/file/b
            listen = unix:/file
            log-level = error
            insecure = yes
            """
        let settings = try resolve(
            [.config: ["x.conf"], .listen: ["127.0.0.1:1"]],
            environment: ["DISKDELTAD_LISTEN": "127.0.0.1:2", "DISKDELTAD_LOG_LEVEL": "debug", "OTHER": "x"],
            file: file
        )
        #expect(settings.listen == ["127.0.0.1:1"])
        #expect(settings.logLevel == .debug)
        #expect(settings.roots == ["a=/file/a", "b=/file/b"])
        #expect(settings.isInsecure)
    }

    @Test("The files of the security, from each place")
    func security() throws {
        let file = "tls-certificate = a\ntls-key = b\nclient-ca = c\ntoken-file = d\npolicy-file = e\n"
        let fromFile = try resolve([.config: ["x.conf"]], file: file)
        let fromVariables = try resolve(environment: [
            "DISKDELTAD_TLS_CERTIFICATE": "a", "DISKDELTAD_TLS_KEY": "b", "DISKDELTAD_CLIENT_CA": "c",
            "DISKDELTAD_TOKEN_FILE": "d", "DISKDELTAD_POLICY_FILE": "e",
        ])
        let fromFlags = try resolve([
            .tlsCertificate: ["a"], .tlsKey: ["b"], .clientCA: ["c"], .tokenFile: ["d"], .policyFile: ["e"],
        ])
        for settings in [fromFile, fromVariables, fromFlags] {
            #expect(settings.tlsCertificate == "a")
            #expect(settings.tlsKey == "b")
            #expect(settings.clientCA == "c")
            #expect(settings.tokenFile == "d")
            #expect(settings.policyFile == "e")
        }
        #expect(try resolve().tlsCertificate == nil)
    }

    @Test("The folder for jobs, from each place")
    func state() throws {
        #expect(try resolve().state == nil)
        #expect(try resolve([.config: ["x.conf"]], file: "state = /a").state == "/a")
        #expect(try resolve(environment: ["DISKDELTAD_STATE": "/b"]).state == "/b")
        #expect(try resolve([.state: ["/c"]], environment: ["DISKDELTAD_STATE": "/b"]).state == "/c")
    }

    @Test("Lists in the environment are separated by commas")
    func lists() throws {
        let settings = try resolve(environment: [
            "DISKDELTAD_ROOT": "a=/x,b=/y", "DISKDELTAD_LISTEN": "[::1]:0,unix:/z",
        ])
        #expect(settings.roots == ["a=/x", "b=/y"])
        #expect(settings.listen == ["[::1]:0", "unix:/z"])
    }

    @Test(
        "What is wrong is told with its place",
        arguments: [
            ("listen", "line 1: a setting has the form name = value"),
            ("\n\nlissten = x", "line 3: there is no setting \"lissten\""),
            ("config = other", "line 1: there is no setting \"config\""),
            ("log-level = info\nlog-level = debug", "line 2: log-level is set a second time"),
            ("log-level = loud", "The log level \"loud\" is not one of"),
            ("insecure = perhaps", "must be true or false"),
            ("log-format = xml", "The log format \"xml\" is not one of text, json"),
        ]
    )
    func mistakes(file: String, expected: String) throws {
        let error = try #require(throws: SettingsError.self) { try resolve([.config: ["x.conf"]], file: file) }
        #expect(error.message.contains(expected), "\(error.message)")
    }

    @Test("A configuration file that is not there stops the start")
    func missingFile() throws {
        let error = try #require(throws: SettingsError.self) { try resolve([.config: ["/no/such.conf"]]) }
        #expect(error.message.contains("/no/such.conf"))
    }
}
