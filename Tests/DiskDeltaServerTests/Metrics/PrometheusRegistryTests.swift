import CoreMetrics
import Metrics
import Testing

@testable import DiskDeltaServer

@Suite("The text that Prometheus reads")
struct PrometheusRegistryTests {
    private func registry(limits: PrometheusRegistry.Limits = .init()) -> PrometheusRegistry {
        PrometheusRegistry(
            [
                "calls_total": .init(help: "Calls.\nWith a \\ in it."),
                "wait_seconds": .init(help: "", bounds: [0.5, 2]),
            ],
            limits: limits
        )
    }

    @Test("Every kind, sorted by name and labels")
    func everyKind() {
        let registry = registry()
        let timer = Timer(label: "wait_seconds", dimensions: [("a", "1")], factory: registry)
        for nanoseconds in [100_000_000, 500_000_000, 600_000_000, 3_000_000_000] as [Int64] {
            timer.recordNanoseconds(nanoseconds)
        }
        Counter(label: "calls_total", dimensions: [("b", "two")], factory: registry).increment(by: 2)
        Counter(label: "calls_total", dimensions: [("b", "one")], factory: registry).increment()
        Counter(label: "calls_total", dimensions: [("b", "two")], factory: registry).increment()
        let open = Meter(label: "open", factory: registry)
        open.increment()
        open.increment()
        open.decrement()
        Gauge(label: "level", factory: registry).record(1.25)
        #expect(
            registry.text == """
                # HELP calls_total Calls.\\nWith a \\\\ in it.
                # TYPE calls_total counter
                calls_total{b="one"} 1
                calls_total{b="two"} 3
                # TYPE level gauge
                level 1.25
                # TYPE open gauge
                open 1
                # TYPE wait_seconds histogram
                wait_seconds_bucket{a="1",le="0.5"} 2
                wait_seconds_bucket{a="1",le="2"} 3
                wait_seconds_bucket{a="1",le="+Inf"} 4
                wait_seconds_sum{a="1"} 4.2
                wait_seconds_count{a="1"} 4

                """
        )
    }

    @Test("Names and values that the format does not allow are made to fit, and forge no line")
    func foreignNames() {
        let registry = registry()
        Counter(label: "7 lives.total", dimensions: [("le gume", "a\"} 1\nforged 2\\")], factory: registry).increment()
        #expect(
            registry.text == """
                # TYPE __lives_total counter
                __lives_total{le_gume="a\\"} 1\\nforged 2\\\\"} 1

                """
        )
    }

    @Test("What comes after the last allowed combination of labels is counted together")
    func boundedLabels() {
        let registry = registry(limits: .init(metrics: 2, series: 3))
        for number in 0..<100 {
            Counter(label: "calls_total", dimensions: [("peer", "\(number)")], factory: registry).increment()
        }
        Counter(label: "calls_total", dimensions: [("peer", "1")], factory: registry).increment()
        for number in 0..<100 { Meter(label: "meter_\(number)", factory: registry).set(number) }
        let lines = registry.text.split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(
            lines == [
                "calls_total{peer=\"0\"} 1", "calls_total{peer=\"1\"} 2", "calls_total{peer=\"2\"} 1",
                "calls_total{peer=\"other\"} 97", "meter_0 0",
            ]
        )
    }

    @Test("A name that means two things is told once; figures that are none are left out")
    func misuse() {
        let registry = registry()
        let counter = Counter(label: "x", factory: registry)
        counter.increment(by: 5)
        counter.increment(by: -3)
        Meter(label: "x", factory: registry).set(7)
        Recorder(label: "r", dimensions: [], aggregate: true, factory: registry).record(Double.nan)
        #expect(registry.text.contains("# TYPE x counter\nx 5\n"))
        #expect(!registry.text.contains("x 7"))
        #expect(registry.text.contains("r_count 0\n"))
    }
}
