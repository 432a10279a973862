import DiskDeltaProtocol
import DiskDeltaTransport
import Testing

/// A reader that does not read stops its own answer, and no other.
@Suite(.timeLimit(.minutes(2)))
struct FlowControlTests {
    @Test func stalledCallsDoNotStopAnother() async throws {
        try await TestServer.with { test in
            let connection = try await test.connect()
            var stalled: [TypedCall<RangeAnswer>] = []
            for _ in 0..<63 { stalled.append(try await connection.start("send 1000000 100000")) }
            #expect(try await connection.run("send 300 100000") == 300)
            for call in stalled { #expect(try await call.next() == ScriptedService.message(1, size: 100_000)) }
            for call in stalled { call.cancel() }
            #expect(try await connection.run("send 30 100000") == 30)
        }
    }

    @Test func nothingIsPulledBeyondTheCredit() async throws {
        try await TestServer.with { test in
            // Two of the largest messages are covered; one that was made is pulled only when there is credit for it.
            let settings = ClientSettings(maximumFrame: 100_100, streamCredit: 200_300, connectionCredit: 200_300)
            let connection = try await test.connect(settings)
            let call = try await connection.start("send 100 100000")
            try await test.until { $0.pulled == 2 }
            // The message that is read first frees half of the credit: one more is made for each.
            for index in 1...40 {
                #expect(try await call.next() == ScriptedService.message(index, size: 100_000))
                try await test.until { $0.pulled >= index + 1 }
                #expect(test.counts.pulled <= index + 2)
            }
            call.cancel()
        }
    }

    @Test func creditReturnsForWhatNobodyReads() async throws {
        try await TestServer.with { test in
            let settings = ClientSettings(maximumFrame: 100_100, streamCredit: 200_300, connectionCredit: 200_300)
            let connection = try await test.connect(settings)
            for round in 1...20 {
                let call = try await connection.start("wait 3 90000")
                if round % 2 == 0 { _ = try await call.next() }
                if round % 3 == 0 { try await test.until { $0.pulled >= 2 } }
                call.cancel()
                // The place of the cancelled call is free a moment later.
                var count: Int?
                while count == nil {
                    try await Task.sleep(for: .milliseconds(20))
                    count = try? await connection.run("send 4 90000")
                }
                #expect(count == 4)
            }
        }
    }

    @Test func callsThatAreLetGoAreCancelled() async throws {
        try await TestServer.with { test in
            let connection = try await test.connect()
            do {
                let call = try await connection.start("wait 1 1")
                _ = try await call.next()
            }
            try await test.until { $0.cancelled == 1 }
        }
    }
}
