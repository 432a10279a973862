import Testing

@testable import DiskDeltaService

@Suite("The policy")
struct PolicyTests {
    private func policy(_ text: String) throws -> Policy { try Policy(text, named: "policy") }

    @Test("Each line allows something, and nothing else is allowed")
    func lines() throws {
        let policy = try policy(
            """
            # the backup servers
            allow = spiffe://example.com/backup  query  vms, archive
            allow=uid:1000 query,read-data *

            \tallow =  auditor   query\tthe long name\r
            allow = auditor manage vms
            """
        )
        #expect(policy.roots("spiffe://example.com/backup", .query) == .only(["vms", "archive"]))
        #expect(policy.roots("spiffe://example.com/backup", .readData) == .none)
        #expect(policy.roots("uid:1000", .readData) == .all)
        #expect(policy.roots("uid:1000", .manage) == .none)
        #expect(policy.roots("auditor", .query) == .only(["the long name"]))
        #expect(policy.roots("auditor", .manage) == .only(["vms"]))
        #expect(policy.roots("Auditor", .query) == .none)
        #expect(policy.roots("", .query) == .none)
        #expect(policy.allowsAnything("auditor"))
        #expect(!policy.allowsAnything("stranger"))
        #expect(policy.mentionedRoots == ["archive", "the long name", "vms"])
    }

    @Test("Everybody has what * has, besides his own")
    func everybody() throws {
        let policy = try policy("allow = * query public\nallow = a query own")
        #expect(policy.roots("a", .query) == .only(["own", "public"]))
        #expect(policy.roots("b", .query) == .only(["public"]))
        #expect(policy.roots("*", .query) == .only(["public"]))
        #expect(policy.allowsAnything("b"))
        #expect(policy.names("a"))
        #expect(!policy.names("b"))
        #expect(!policy.names("*"))
    }

    @Test("Without a policy everybody may query everything, and do nothing else")
    func none() {
        #expect(Policy.openToQueries.roots("", .query) == .all)
        #expect(Policy.openToQueries.roots("anybody", .query) == .all)
        #expect(Policy.openToQueries.roots("anybody", .readData) == .none)
        #expect(Policy.openToQueries.roots("anybody", .manage) == .none)
        #expect(!Policy.openToQueries.names("anybody"))
    }

    @Test("An empty policy allows nothing")
    func empty() throws {
        #expect(try policy("").roots("a", .query) == .none)
        #expect(try !policy("# nothing\n").allowsAnything("a"))
    }

    @Test(
        "What is wrong is told with its line",
        arguments: [
            ("allow", "line 1: a line has the form"), ("deny = a query b", "line 1: a line has the form"),
            ("\nallow = a query", "line 2: a line has the form"), ("allow = a write b", "\"write\" is not one of"),
            ("allow = a query, b", "\"\" is not one of"), ("allow = a query, read-data b", "\"\" is not one of"),
            ("allow = a* query b", "\"a*\" is no identity"), ("allow = *.example.com query b", "is no identity"),
            ("allow = a query b*", "\"b*\" is no root"), ("allow = a query *, b", "\"*\" is no root"),
            ("allow = a query b,,c", "\"\" is not the name of a root"),
            ("allow = a query b/c", "\"b/c\" is not the name"),
            ("allow = a * b", "\"*\" is not one of"), ("allow = a Query b", "\"Query\" is not one of"),
        ]
    )
    func mistakes(text: String, expected: String) throws {
        let error = try #require(throws: PolicyError.self) { try policy(text) }
        #expect(error.message.contains(expected), "\(error.message)")
        #expect(error.message.hasPrefix("policy, line "))
    }
}
