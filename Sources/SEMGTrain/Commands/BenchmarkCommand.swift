import ArgumentParser
import Compute
import ComputeOpenCL
import Foundation
import Training

struct BenchmarkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "benchmark",
    abstract: "Training speed on this machine: samples per second, and where a step's time goes.",
    discussion: """
      Needs no recordings. Gathering and augmentation count; reading files does not. \
      With --inference a step gathers a batch, predicts it and reads its probabilities, \
      as evaluate does. \
      --profile shows each kernel beside what the device can do at most: bytes of the \
      tensors that it touches, each once, and operations of its matrix products, \
      against a copy and a chain of multiply-adds that were timed on the same device.
      """)

  @Option(
    help: .init(
      "inception-se, semg-net, .keras files of networks of your own. (default: inception-se,semg-net)",
      valueName: "models"),
    completion: .list(ModelChoice.completions), transform: ModelChoice.parse)
  var models: [ModelChoice]?
  @Option(
    help: .init(
      "Steps to time, after a tenth as many to warm up. (default: 60)", valueName: "number"),
    transform: OptionValue.number(1...1_000_000))
  var steps: Int?
  @Option(
    help: .init(
      "In place of --steps: warm up so long, then time so long in five blocks, and take the "
        + "median.", valueName: "number"),
    transform: OptionValue.positive)
  var seconds: Double?
  @Option(
    help: .init(
      "Samples a batch. (default: \(TrainingRecipe.standard.batchSize))", valueName: "number"),
    transform: OptionValue.number(1...65536))
  var batchSize = TrainingRecipe.standard.batchSize
  @Option(
    help: .init("causal or same. (default: causal)", valueName: "padding"),
    completion: .list(Padding.names), transform: OptionValue.choice)
  var padding: Padding?
  @Flag(help: "Time prediction in place of training; a step is a batch.")
  var inference = false
  @Flag(help: "Show where a step's time goes, kernel by kernel, in a few more steps.")
  var profile = false
  @OptionGroup(title: "Device") var device: DeviceOptions
  @OptionGroup(title: "Output") var output: OutputOptions

  private static let mostSeconds = 3600.0

  private struct Document: Encodable {
    let device: String
    let models: [String: StepBenchmark.Result]
    /// What half precision runs on, a sentence.
    var fp16Path: String?
    /// Of all models; with `--profile`, on an OpenCL device.
    var builds: BuildReport?

    enum CodingKeys: String, CodingKey {
      case device, models, builds
      case fp16Path = "fp16_path"
    }
  }

  func validate() throws {
    guard steps == nil || seconds == nil else {
      throw ValidationError("--steps and --seconds both say how long to measure: give one of them")
    }
    guard seconds ?? 0 <= Self.mostSeconds else {
      throw ValidationError("--seconds is \(seconds ?? 0), the most is \(Int(Self.mostSeconds))")
    }
  }

  func run() throws {
    let console = output.console
    try DeviceSettings(device, prefersSpeed: true).withDevice(on: console) {
      try run(on: $0, console: console)
    }
  }

  private func run(on device: any Device, console: Console) throws {
    let extent = seconds.map(StepBenchmark.Extent.seconds) ?? .steps(steps ?? 60)
    var results: [String: StepBenchmark.Result] = [:]
    for chosen in try ChosenModel.all(models ?? ModelChoice.ofEnsemble) {
      let name = chosen.model.name
      console.note("\(name): \(Self.text(extent)) of \(batchSize) samples")
      let network = try chosen.network(padding: padding)
      let benchmark = try StepBenchmark(
        network: network, device: device, batchSize: batchSize,
        work: inference ? .inference : .training)
      let result = try benchmark.run(extent, profiles: profile)
      results[name] = result
      if !output.json { try console.result(Self.text(name, result)) }
    }
    let opened = device as? OpenCLDevice
    let builds = profile ? opened.map { BuildReport($0.builds) } : nil
    if output.json {
      try console.result(
        json: Document(
          device: device.name, models: results, fp16Path: opened?.halfPathSentence,
          builds: builds))
    } else if let builds {
      try console.result(builds.rows.map { "\($0)  \($1)" }.joined(separator: "\n"))
    }
  }

  private static func text(_ extent: StepBenchmark.Extent) -> String {
    switch extent {
    case .steps(let steps): Figure.count(steps, "step")
    case .seconds(let seconds): "\(Figure.fixed(seconds, 1)) seconds in steps"
    }
  }

  private static func text(_ name: String, _ result: StepBenchmark.Result) -> String {
    let speed =
      "\(name): \(Figure.fixed(result.samplesPerSecond, 1)) samples/s, "
      + "\(Figure.fixed(result.millisecondsPerStep, 2)) ms per step"
      + (result.work == .inference ? " of prediction" : "")
    guard !result.kernels.isEmpty else { return speed }
    var table = TextTable(
      header: ["kernel", "calls", "ms per step", "share", "GB/s", "GFLOP/s", "of the limit"])
    let total = result.kernels.reduce(0) { $0 + $1.milliseconds }
    for kernel in result.kernels {
      table.append([
        kernel.name, "\(kernel.launches)", Figure.fixed(kernel.milliseconds, 3),
        Figure.percent(kernel.milliseconds / max(total, 1e-12)),
        figure(kernel.gigabytesPerSecond), figure(kernel.gigaflops),
        kernel.shareOfLimit.map(Figure.percent) ?? "-",
      ])
    }
    let limit =
      result.measuredPeaks.map {
        "the limit, as measured: \(Figure.fixed($0.gigabytesPerSecond, 1)) GB/s, "
          + "\(Figure.fixed($0.gigaflops, 0)) GFLOP/s in fp32\n\n"
      } ?? ""
    return "\(speed)\n\(limit.isEmpty ? "\n" : limit)\(table.text(within: Console.outputColumns))\n"
  }

  /// A speed, unless there is nothing to it.
  private static func figure(_ value: Double) -> String {
    value > 0 ? Figure.fixed(value, 1) : "-"
  }
}
