internal import CFuzzing
internal import Glibc

/// Searches for inputs that break a promise: `Fuzzing/run` starts it.
///
///     Fuzz --targets               prints the names of the targets, one to a line
///     Fuzz --undamaged TARGET      prints the input that damages nothing
///     Fuzz OPTION … CORPUS …       libFuzzer; DISKDELTA_FUZZ_TARGET names the target
@main
enum Fuzz {
    /// What one input may take of memory, in bytes.
    private static let heapLimit = 64 << 20

    /// Set before the first input, and only read by libFuzzer's one thread.
    private nonisolated(unsafe) static var target: FuzzTarget?

    static func main() {
        let arguments = CommandLine.arguments
        if arguments.dropFirst().first == "--targets" {
            for target in Targets.all { print(target.name) }
        } else if arguments.count == 3, arguments[1] == "--undamaged", let target = Targets.named(arguments[2]) {
            let bytes = target.undamaged
            guard write(STDOUT_FILENO, bytes, bytes.count) == bytes.count else { exit(1) }
        } else {
            guard let name = getenv("DISKDELTA_FUZZ_TARGET"), let target = Targets.named(String(cString: name)) else {
                print("DISKDELTA_FUZZ_TARGET must name a target; --targets tells which there are.")
                exit(2)
            }
            self.target = target
            exit(search())
        }
    }

    private static func search() -> Int32 {
        var count = CommandLine.argc
        var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
        return LLVMFuzzerRunDriver(&count, &arguments) { bytes, count in
            guard let input = FuzzInput(UnsafeRawBufferPointer(start: bytes, count: count)) else { return -1 }
            cfuzzing_limit_heap(Fuzz.heapLimit)
            Fuzz.target?.run(input)
            cfuzzing_unlimit_heap()
            return 0
        }
    }
}

enum Targets {
    static var all: [FuzzTarget] {
        VHDXTargets.all + VHDXLogTargets.all + VHDTargets.all + Qcow2Targets.all + VHDSetTargets.all
    }

    static func named(_ name: String) -> FuzzTarget? {
        all.first { $0.name == name }
    }
}
