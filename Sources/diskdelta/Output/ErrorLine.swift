internal import DiskDeltaProtocol

/// How a failure is told on standard output.
enum ErrorLine {
    /// - Parameters:
    ///   - disk: the disk that failed, where it is one of many.
    ///   - resumeOffset: the first byte not answered for, where the error itself names none.
    static func object(_ error: CallError, disk: String? = nil, resumeOffset: UInt64 = 0) -> [UInt8] {
        JSONWriter.object { line in
            line.field("type", "error")
            if let disk { line.field("disk", disk) }
            line.field("status", error.status.name)
            line.field("return_value", error.reason.returnValue)
            line.field("reason", error.reason.name)
            line.field("detail_code", detailCode(error.detailCode))
            line.field("message", error.message)
            line.field("resume_offset", error.resumeOffset ?? resumeOffset)
            if error.retryDelay > 0 { line.field("retry_after_ms", error.retryDelay) }
        }
    }

    private static func detailCode(_ code: UInt32) -> String {
        guard code != 0 else { return "" }
        let digits = String(code, radix: 16, uppercase: true)
        return "0x" + String(repeating: "0", count: max(0, 8 - digits.count)) + digits
    }
}
