internal import CFuzzing
internal import Glibc

/// Searches for bytes from a peer that break a promise of the protocol: `Fuzzing/run` starts it.
///
///     FuzzWire --targets           prints the names of the targets, one to a line
///     FuzzWire --undamaged TARGET  prints an input that breaks nothing
///     FuzzWire OPTION … CORPUS …   libFuzzer; DISKDELTA_FUZZ_TARGET names the target
@main
enum FuzzWire {
    private static var targets: [(name: String, run: (Operations) -> Void)] {
        [
            ("wire-server", ServerTarget.run),
            ("wire-client", ClientTarget.run),
            ("wire-payloads", PayloadTarget.run),
            ("wire-answers", AnswerTarget.run),
        ]
    }

    /// Set before the first input, and only read by libFuzzer's one thread.
    private nonisolated(unsafe) static var run: ((Operations) -> Void)?

    static func main() {
        let arguments = CommandLine.arguments
        if arguments.dropFirst().first == "--targets" {
            for target in targets { print(target.name) }
        } else if arguments.dropFirst().first == "--undamaged" {
            // Settings and times as they are, and the peer's greeting.
            let bytes: [UInt8] = [1, 1, 1, 1, 0, 1]
            guard write(STDOUT_FILENO, bytes, bytes.count) == bytes.count else { exit(1) }
        } else {
            let name = getenv("DISKDELTA_FUZZ_TARGET").map { String(cString: $0) }
            guard let target = targets.first(where: { $0.name == name }) else {
                print("DISKDELTA_FUZZ_TARGET must name a target; --targets tells which there are.")
                exit(2)
            }
            run = target.run
            exit(search())
        }
    }

    private static func search() -> Int32 {
        var count = CommandLine.argc
        var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
        return LLVMFuzzerRunDriver(&count, &arguments) { bytes, count in
            cfuzzing_limit_heap(64 << 20)
            FuzzWire.run?(Operations(UnsafeRawBufferPointer(start: bytes, count: count)))
            cfuzzing_unlimit_heap()
            return 0
        }
    }
}
