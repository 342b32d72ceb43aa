import ArgumentParser
import Artifacts
import Compute
import ComputeOpenCL
import Foundation
import Networks
import Training

struct TuneCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tune",
    abstract: "Find the fastest kernels and precision for a GPU, for later runs.",
    discussion: """
      Times the networks' matrix products in tiles of several sizes and keeps, for this \
      device, driver and batch size, those that are fastest and agree with the plain \
      kernels. Then times training in single and in half precision, by every way that \
      passes the self-check: from then on --precision auto takes the fastest. Never \
      needed: without it sizes are chosen by rule, and auto takes fp32. What is found is \
      kept as it comes: after a run that ended early the next goes on, without the tile in \
      which the process died. Needs no recordings.
      """)

  @Option(
    help: .init("gpu or gpu:N. (default: gpu)", valueName: "device"),
    completion: .list(["gpu"]), transform: DeviceChoice.parse)
  var device: DeviceChoice?
  @Option(
    help: .init(
      "inception-se, semg-net, .keras files of networks of your own. (default: inception-se,semg-net)",
      valueName: "models"),
    completion: .list(ModelChoice.completions), transform: ModelChoice.parse)
  var models: [ModelChoice]?
  @Option(
    help: .init(
      "Samples a batch. (default: \(TrainingRecipe.standard.batchSize))", valueName: "number"),
    transform: OptionValue.number(1...65536))
  var batchSize = TrainingRecipe.standard.batchSize
  @Option(
    help: .init("causal or same. (default: causal)", valueName: "padding"),
    completion: .list(Padding.names), transform: OptionValue.choice)
  var padding: Padding?
  @Flag(help: "Keep the tiles as they are: only time single and half precision.")
  var precisionsOnly = false
  @OptionGroup(title: "Output") var output: OutputOptions

  /// Samples of the batch in which tiles are compared with the plain kernels.
  private static let comparedBatch = 8
  /// Training steps that are timed in each precision.
  private static let timedSteps = 30

  func run() throws {
    let console = output.console
    let choice = device ?? .gpu(nil)
    guard case .gpu = choice else {
      throw CommandFailure(
        .usage, "tune chooses kernels for a GPU, found --device \(choice); use gpu or gpu:N")
    }
    let settings = try DeviceSettings(choice: choice, threads: 1)
    guard let candidate = settings.candidate, candidate.kind != .cpu else {
      let found = settings.candidate.map { ": \($0.title) is the processor behind OpenCL" } ?? ""
      throw CommandFailure(
        .unavailable,
        "found no GPU to tune for\(found), whose kernels are not built for single shapes")
    }
    // Only a device that computes rightly is worth an hour of anybody's electricity.
    _ = try settings.open(on: console)
    var report = TuneReport(
      device: ParityDevice(candidate, name: candidate.name), batchSize: batchSize)
    if !precisionsOnly { try tuneTiles(candidate, into: &report, console: console) }
    try timePrecisions(candidate, into: &report, console: console)
    if output.json {
      try console.result(json: report)
    } else {
      try console.result(report.text)
    }
  }

  private func networks() throws -> [Network] {
    try ChosenModel.all(models ?? ModelChoice.ofEnsemble).map {
      try $0.network(padding: padding)
    }
  }

  private func tuneTiles(
    _ candidate: OpenCLDeviceDescription, into report: inout TuneReport, console: Console
  ) throws {
    defer { console.clearProgress() }
    let tuning = ProductTuning(candidate)
    let found = try tuning.run(networks().map(subject)) {
      console.progress("tiles of \($0)")
    }
    report.products = found.choices.map(TuneReport.Product.init)
    report.rejected += found.rejections.map(TuneReport.Rejected.init)
    report.file = try keeping("tiles") { try tuning.store(found) }
  }

  /// Times training steps by every way of computing that passes the self-check.
  private func timePrecisions(
    _ candidate: OpenCLDeviceDescription, into report: inout TuneReport, console: Console
  ) throws {
    defer { console.clearProgress() }
    let networks = try networks()
    let trials = DriverTrials()
    var times: [PrecisionTimes.Time] = []
    for arithmetic in OpenCLDevice.arithmetics(of: candidate) {
      console.progress("training in \(arithmetic)")
      do {
        let answer = trials.selfCheck(candidate, arithmetic)
        if let refusal = answer.refusal {
          report.rejected.append(.init(arithmetic, reason: refusal))
          continue
        }
        var options = OpenCLDevice.usualOptions(for: candidate, arithmetic)
        if let tensorCores = answer.tensorCores { options.tensorCores = .known(tensorCores) }
        let device = try OpenCLDevice(candidate, options: options)
        let milliseconds = try networks.map { network in
          try StepBenchmark(
            network: network, device: device, batchSize: batchSize, work: .training
          ).run(steps: Self.timedSteps, profiles: false).millisecondsPerStep
        }
        times.append(.init(arithmetic, milliseconds: milliseconds.reduce(0, +)))
      } catch let error as DeviceError {
        report.rejected.append(.init(arithmetic, reason: "\(error)"))
      }
    }
    let found = PrecisionTimes(batchSize: batchSize, times: times)
    report.take(found)
    report.precisionFile = try keeping("times") { try found.store(for: candidate) }
  }

  private func keeping(_ what: String, _ store: () throws -> URL?) throws -> String? {
    do {
      return try store()?.path
    } catch {
      throw CommandFailure(
        .cannotCreate, "the \(what) cannot be kept: \(RunDirectory.reason(of: error))")
    }
  }

  private func subject(_ network: Network) -> ProductTuning.Subject {
    func plan(batch: Int) -> Plan {
      NetworkPlan(
        network,
        options: NetworkPlanOptions(
          batchCapacity: batch, inferenceCapacity: batch, gathers: false)
      ).plan
    }
    return ProductTuning.Subject(
      timed: plan(batch: batchSize), compared: plan(batch: min(batchSize, Self.comparedBatch)))
  }
}
