import Compute
import ComputeCPU
import ComputeOpenCL
import Foundation

/// Where the arithmetic is done: the options, checked against each other and this machine. The one
/// place that chooses between the CPU backend and OpenCL devices.
struct DeviceSettings {
  let threads: Int
  private let choice: DeviceChoice
  private let precision: PrecisionChoice
  private let prefersSpeed: Bool
  /// OpenCL devices to try, the best first; none where the CPU backend was asked for.
  private let candidates: [OpenCLDeviceDescription]
  /// Why there are fewer threads than were asked for.
  private let threadRemark: String?
  /// Why no driver was asked, where `auto` goes on without.
  private let remark: String?
  /// The process that tries them.
  private let trials = DriverTrials()

  /// Finds the devices, opens none.
  ///
  /// - Parameter prefersSpeed: where the precision is left to us, half precision is taken on a device
  ///   on which it was timed and is faster; otherwise single precision always is.
  /// - Throws: `CommandFailure` where the device is not there or cannot do the precision.
  init(_ options: DeviceOptions, prefersSpeed: Bool) throws {
    try self.init(
      choice: options.device ?? .auto, precision: options.precision ?? .auto,
      prefersSpeed: prefersSpeed, threads: options.threads)
  }

  init(
    choice: DeviceChoice, precision: PrecisionChoice = .auto, prefersSpeed: Bool = false,
    threads: Int?
  ) throws {
    let count = ThreadCount(threads)
    (self.threads, threadRemark) = (count.threads, count.remark)
    self.choice = choice
    self.precision = precision
    self.prefersSpeed = prefersSpeed
    guard precision != .fp16 || choice != .cpu else {
      throw CommandFailure(
        .contradiction,
        "the CPU backend computes in fp32, --precision fp16 is for OpenCL devices; "
          + "drop --precision or give --device gpu")
    }
    // A driver that is broken may bring a process down: --device cpu asks none.
    if choice == .cpu {
      (candidates, remark) = ([], nil)
    } else {
      let survey = trials.survey()
      candidates = try OpenCLChoice(survey) { [trials] in
        DriverAdvice(survey, trials: trials).sentences
      }
      .candidates(for: choice)
      remark = survey.wasMade ? nil : survey.failure.map { "\($0)" }
    }
    guard precision != .fp16 || !candidates.isEmpty else {
      throw CommandFailure(
        .contradiction,
        "--precision fp16 is for OpenCL devices and --device auto found no GPU; the CPU backend "
          + "computes in fp32: drop --precision or give --device gpu")
    }
  }

  /// Opens the device; one that is not the CPU backend must pass a self-check first. `auto` goes on
  /// to the next where one fails.
  ///
  /// - Throws: `CommandFailure` where the device that was asked for computes wrongly, `DeviceError`
  ///   where it cannot be opened.
  func open(on console: Console) throws -> any Device {
    defer { trials.end() }
    if let threadRemark { console.warning(threadRemark) }
    switch choice {
    case .cpu: return cpu(on: console)
    case .gpu:
      guard let candidate = candidates.first else { break }
      let device = try checked(candidate, on: console)
      OpenCLChoice.remarks(on: candidate).forEach(console.warning)
      return device
    case .auto:
      if let remark { console.warning(remark) }
      for candidate in candidates {
        do {
          return try checked(candidate, on: console)
        } catch let failure as CommandFailure {
          console.warning("\(failure)")
        } catch let failure as DeviceError {
          console.warning("\(failure)")
        }
      }
    }
    return try cpuBackend(on: console)
  }

  /// What `body` makes of the device; under `auto` of the CPU backend, where the device goes wrong
  /// once the recordings are uploaded, before anything has come of it.
  func withDevice<Result>(
    on console: Console, _ body: (any Device) throws -> Result
  ) throws -> Result {
    let device = try open(on: console)
    do {
      return try body(device)
    } catch DeviceError.computesWrongly(let name, let what) where choice == .auto {
      console.clearProgress()
      console.warning("\(DeviceError.computesWrongly(device: name, what: what)). Not used")
      return try body(try cpuBackend(on: console))
    }
  }

  /// - Throws: `CommandFailure` where it cannot do the precision.
  private func cpuBackend(on console: Console) throws -> any Device {
    guard precision != .fp16 else {
      throw CommandFailure(
        .unavailable,
        "no GPU passes its self-check in fp16; drop --precision, which takes the CPU backend")
    }
    let device = cpu(on: console)
    console.note("device: \(device.name)")
    return device
  }

  private func cpu(on console: Console) -> CPUDevice {
    let device = CPUDevice(threads: threads)
    if let remark = device.remark { console.warning(remark) }
    return device
  }

  /// Opens the device without a check, for what is a check itself.
  ///
  /// - Throws: `DeviceError`.
  func openUnchecked(_ arithmetic: OpenCLDevice.Arithmetic? = nil) throws -> any Device {
    guard let candidate = candidates.first else { return CPUDevice(threads: threads) }
    return try OpenCLDevice(
      candidate,
      arithmetic: arithmetic ?? OpenCLDevice.Arithmetic(precision == .fp16 ? .fp16 : .fp32))
  }

  /// Ways to compute in half precision that the device may have besides the one that is taken.
  var otherHalfPaths: [OpenCLDevice.Arithmetic] {
    guard precision == .fp16, let candidate else { return [] }
    return OpenCLDevice.arithmetics(of: candidate).filter {
      $0.precision == .fp16 && $0.halfPath != .storage
    }
  }

  /// The OpenCL device that is tried first, if any.
  var candidate: OpenCLDeviceDescription? { candidates.first }

  /// Ways of computing to try on a device, the preferred first.
  private func arithmetics(on candidate: OpenCLDeviceDescription) -> [OpenCLDevice.Arithmetic] {
    let single = OpenCLDevice.Arithmetic(.fp32)
    let times = PrecisionTimes.kept(for: candidate)
    switch precision {
    case .fp32: return [single]
    case .fp16: return [times?.fastest(.fp16)?.arithmetic ?? OpenCLDevice.Arithmetic(.fp16)]
    case .auto:
      guard prefersSpeed, let best = times?.best?.arithmetic, best != single else {
        return [single]
      }
      return [best, single]
    }
  }

  /// An opened device that computes every operation rightly, as another process has found out: here
  /// nothing is built yet.
  ///
  /// - Throws: `CommandFailure`, `DeviceError`.
  private func checked(
    _ candidate: OpenCLDeviceDescription, on console: Console
  ) throws -> any Device {
    console.progress("checking \(candidate.name); its first start builds the kernels")
    defer { console.clearProgress() }
    var refusals: [String] = []
    for arithmetic in arithmetics(on: candidate) {
      let answer = trials.selfCheck(candidate, arithmetic)
      if let refusal = answer.refusal {
        refusals.append(arithmetic.precision == .fp32 ? refusal : "in \(arithmetic) \(refusal)")
        continue
      }
      var options = OpenCLDevice.usualOptions(for: candidate, arithmetic)
      if let tensorCores = answer.tensorCores { options.tensorCores = .known(tensorCores) }
      var device = try OpenCLDevice(candidate, options: options)
      device.afterUpload = SelfCheckReport.checkAfterUpload
      console.clearProgress()
      refusals.forEach(console.warning)
      console.note("device: \(candidate.title)\(Self.suffix(arithmetic))")
      if let path = device.halfPathSentence { console.note(path) }
      return device
    }
    throw CommandFailure(.unavailable, refusals.joined(separator: "\n"))
  }

  private static func suffix(_ arithmetic: OpenCLDevice.Arithmetic) -> String {
    arithmetic.precision == .fp32 ? "" : ", \(arithmetic)"
  }
}

/// Chooses among the OpenCL devices of a machine.
struct OpenCLChoice {
  let survey: OpenCLSurvey
  private let advice: () -> [String]

  /// - Parameter advice: what to look at where there is no device; asked for only then.
  init(_ survey: OpenCLSurvey, advice: @escaping () -> [String] = { [] }) {
    self.survey = survey
    self.advice = advice
  }

  /// Devices to try in this order: all GPUs for `auto`, the best of all for `gpu`, one for `gpu:N`.
  ///
  /// - Throws: `CommandFailure` where there is none of those asked for.
  func candidates(for choice: DeviceChoice) throws(CommandFailure) -> [OpenCLDeviceDescription] {
    let ranked = OpenCLDeviceDescription.ranked(survey.devices)
    switch choice {
    case .cpu: return []
    case .auto: return ranked.filter(\.isGPU)
    case .gpu(nil):
      guard !ranked.isEmpty else { throw CommandFailure(.unavailable, absence) }
      return ranked
    case .gpu(let index?):
      guard survey.devices.indices.contains(index) else {
        throw CommandFailure(.unavailable, survey.devices.isEmpty ? absence : outOfRange(index))
      }
      let device = survey.devices[index]
      if let fault = device.fault {
        throw CommandFailure(
          .unavailable, "\(device.title) cannot be used: \(fault). Use --device cpu")
      }
      return [device]
    }
  }

  private func outOfRange(_ index: Int) -> String {
    let last = survey.devices.count - 1
    let range =
      last == 0
      ? "the only OpenCL device is gpu:0, \(survey.devices[0].name)"
      : "OpenCL devices are gpu:0 to gpu:\(last)"
    return "found no gpu:\(index): \(range); semg-train devices lists them"
  }

  /// That there is no OpenCL device that could be used, and what was found instead.
  private var absence: String {
    if !survey.wasMade, let failure = survey.failure {
      return "found no OpenCL device (\(failure)). Use --device cpu"
    }
    var found: [String] = []
    if let failure = survey.failure { found.append("\(failure)") }
    found += survey.platforms.compactMap { platform in
      platform.fault.map { "platform \(platform.name): \($0)" }
    }
    found += survey.devices.compactMap { device in
      device.fault.map { "\(device.title): \($0)" }
    }
    found += advice()
    let details = found.isEmpty ? "" : " (" + found.joined(separator: "; ") + ")"
    return "found no OpenCL device\(details). Use --device cpu"
  }

  /// What somebody who takes the device should know.
  static func remarks(on device: OpenCLDeviceDescription) -> [String] {
    guard device.kind == .cpu else { return [] }
    return ["\(device.title) is the processor behind OpenCL: --device cpu is faster"]
  }
}

extension OpenCLDeviceDescription {
  /// For people: `NVIDIA H200 (gpu:0, NVIDIA CUDA, driver 580.65)`.
  var title: String { "\(name) (gpu:\(index), \(platformName), driver \(driver))" }

  var kindName: String {
    switch kind {
    case .gpu: "gpu"
    case .accelerator: "accelerator"
    case .cpu: "cpu"
    case .other: "other"
    }
  }
}
