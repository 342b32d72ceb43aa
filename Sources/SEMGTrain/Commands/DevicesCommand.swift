import ArgumentParser
import ComputeCPU
import ComputeOpenCL
import Foundation

struct DevicesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "devices",
    abstract: "List every device, what it can do, and which one auto and gpu take.")

  @Flag(
    help: .init(
      "Every detail; opens and checks each OpenCL device and times its start; says what the "
        + "loader does not find."))
  var verbose = false
  @Option(
    help: .init("Threads. (default: one per core)", valueName: "number"),
    transform: OptionValue.number(1...1024))
  var threads: Int?
  @OptionGroup(title: "Output") var output: OutputOptions

  func run() throws {
    let console = output.console
    let drivers = DriverTrials()
    let survey = drivers.survey()
    let threads = ThreadCount(threads).threads
    let trials = verbose ? Self.trials(survey, drivers: drivers, console: console) : [:]
    let tensorCores = survey.devices.map { drivers.tensorCores(of: $0) }
    if !survey.wasMade, let failure = survey.failure { console.warning("\(failure)") }
    let preferences = DevicePreferences(survey, trials: trials)
    var lines = zip(survey.devices, tensorCores).map {
      DeviceLine(
        $0, trial: trials[$0.index], tensorCores: $1, chosenBy: preferences.choosers(of: $0))
    }
    lines.append(
      DeviceLine(
        backend: CPUDevice(threads: threads), index: lines.count,
        chosenBy: preferences.auto == nil ? ["auto"] : []))
    let findings = verbose ? Self.findings(survey, drivers: drivers) : []
    drivers.end()
    if output.json {
      try console.result(json: lines)
      findings.forEach(console.note)
      return
    }
    try console.result(DeviceLine.table(lines))
    try console.result("\n" + preferences.reasons.joined(separator: "\n"))
    guard verbose else { return }
    for (device, verdict) in zip(survey.devices, tensorCores) {
      try console.result(
        "\n" + device.details(trial: trials[device.index], tensorCores: verdict))
    }
    if !findings.isEmpty { try console.result("\n" + findings.joined(separator: "\n")) }
  }

  private static func trials(
    _ survey: OpenCLSurvey, drivers: DriverTrials, console: Console
  ) -> [Int: DeviceTrial] {
    var trials: [Int: DeviceTrial] = [:]
    for device in survey.devices {
      console.note("checking \(device.title): a driver may compile for minutes the first time")
      trials[device.index] = DeviceTrial(device, trials: drivers)
    }
    return trials
  }

  /// What the loader was told of and does not show.
  private static func findings(_ survey: OpenCLSurvey, drivers: DriverTrials) -> [String] {
    guard survey.wasMade else { return [] }
    var findings: [String] = []
    if let failure = survey.failure { findings.append("the OpenCL loader: \(failure)") }
    findings += survey.platforms.compactMap { platform in
      platform.fault.map { "platform \(platform.name) (\(platform.version)): \($0)" }
    }
    return findings + DriverAdvice(survey, trials: drivers).sentences
  }
}

/// What `auto` and `gpu` would take, and why.
struct DevicePreferences {
  /// Nil for the CPU backend.
  let auto: OpenCLDeviceDescription?
  /// Nil where there is none.
  let gpu: OpenCLDeviceDescription?
  let reasons: [String]

  /// - Parameter trials: by index, where the devices were tried.
  init(_ survey: OpenCLSurvey, trials: [Int: DeviceTrial]) {
    func passes(_ device: OpenCLDeviceDescription) -> Bool { trials[device.index]?.fault == nil }
    let choice = OpenCLChoice(survey)
    let gpus = (try? choice.candidates(for: .auto)) ?? []
    let all = (try? choice.candidates(for: .gpu(nil))) ?? []
    auto = gpus.first(where: passes)
    gpu = all.first.flatMap { passes($0) ? $0 : nil }
    let condition = trials.isEmpty ? " if it passes its self-check" : ""
    var reasons: [String] = []
    if let auto {
      let rank = gpus.count == 1 ? "the only GPU" : "the best GPU"
      reasons.append("auto takes gpu:\(auto.index)\(condition): \(rank).")
    } else if gpus.isEmpty {
      reasons.append("auto takes the CPU backend: no OpenCL device is a GPU.")
    } else {
      reasons.append("auto takes the CPU backend: no GPU passes its self-check.")
    }
    if let gpu {
      reasons.append("gpu takes gpu:\(gpu.index)\(condition): \(Self.reason(gpu)).")
    } else if let first = all.first {
      reasons.append("gpu is refused: gpu:\(first.index) fails its self-check.")
    } else {
      reasons.append("gpu is refused: there is no OpenCL device.")
    }
    if let gpu { reasons.append(Self.precision(on: gpu)) }
    self.reasons =
      reasons
      + trials.sorted { $0.key < $1.key }.flatMap { trial in
        [trial.value.fault].compactMap { $0 } + trial.value.halfFaults.compactMap { $0.fault }
      }
  }

  private static func reason(_ device: OpenCLDeviceDescription) -> String {
    switch device.kind {
    case .gpu: "the best GPU"
    case .accelerator: "an accelerator, as there is no GPU"
    case .cpu, .other:
      "the processor behind OpenCL, as there is no GPU; --device cpu is faster"
    }
  }

  /// What `--precision auto` takes there, and why.
  private static func precision(on device: OpenCLDeviceDescription) -> String {
    let place = "--precision auto takes"
    guard let times = PrecisionTimes.kept(for: device), let best = times.best else {
      let advice =
        device.kind == .cpu ? "" : "; semg-train tune --device gpu:\(device.index) times both"
      return "\(place) fp32: fp16 has not been timed on gpu:\(device.index)\(advice)."
    }
    let rival = times.fastest(best.arithmetic.precision == .fp16 ? .fp32 : .fp16)
    let beside = rival.map {
      " against \(Figure.fixed($0.milliseconds, 2)) in \($0.arithmetic)"
    }
    return "\(place) \(best.arithmetic) to train on gpu:\(device.index): "
      + "\(Figure.fixed(best.milliseconds, 2)) ms per step of \(times.batchSize)\(beside ?? "")."
  }

  func choosers(of device: OpenCLDeviceDescription) -> [String] {
    (auto?.index == device.index ? ["auto"] : []) + (gpu?.index == device.index ? ["gpu"] : [])
  }
}
