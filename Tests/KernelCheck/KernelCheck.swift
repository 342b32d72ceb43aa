import ArgumentParser
import Compute
import ComputeCases
import ComputeOpenCL
import ComputeReference
import Foundation

/// Runs the small cases of operations on an OpenCL device beside the reference, one line per case:
/// what simulators and mutated kernels are judged by, where a whole test bundle would take hours.
@main struct KernelCheck: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "semg-kernel-check",
    abstract: "Compare the kernels of the first OpenCL device with the reference.",
    discussion: """
      After the device come lines `pass NAME`, `miss NAME: why`, or `none NAME: why` where the \
      device has no kernel for a case; at last `done`. Exit status 1 where a case missed.
      """)

  @Option(help: "Only cases whose names contain this; may be given several times.")
  var match: [String] = []

  @Option(help: "No cases whose names contain this; may be given several times.")
  var skip: [String] = []

  @Option(help: "Only what this file names, one per line, in its order; fused where it says so.")
  var cases: String?

  @Option(help: "Numbers of mutants, one per line: which case of `--cases` notices each.")
  var mutants: String?

  @Option(help: "Address where the kernels look for the number of the mutant that is on.")
  var mutantAddress: UInt = 0

  @Flag(help: "Build kernels for the shapes of each case, as on a GPU, in place of one for all.")
  var specialize = false

  @Flag(help: "The shapes of the published networks, two samples, in place of the awkward ones.")
  var models = false

  @Option(help: "Leave out cases with more elements than this in all their tensors.")
  var mostElements = Int.max

  @Option(help: "Stop after so many misses.")
  var stopAfter = Int.max

  @Flag(help: "In half precision.")
  var fp16 = false

  @Flag(help: "In half precision, native where the device has it.")
  var native = false

  @Flag(help: "In half precision, on tensor cores whose instructions are emulated.")
  var emulated = false

  @Flag(help: "Name the device and stop.")
  var device = false

  func run() throws {
    guard let description = try OpenCLDeviceDescription.all().first else {
      throw ValidationError("found no OpenCL device: is OCL_ICD_VENDORS right?")
    }
    Self.say("device \(description.name) of \(description.platformName), \(description.driver)")
    if device { return }
    let opened = try OpenCLDevice(description, options: options(for: description))
    if let mutants { return try sweep(mutants, on: opened) }
    var misses = 0
    for run in try selected(on: opened) where misses < stopAfter {
      for line in run.verdicts(opened) {
        misses += line.hasPrefix("miss ") ? 1 : 0
        Self.say(line)
      }
    }
    Self.say("done")
    if misses > 0 { throw ExitCode(1) }
  }

  private func sweep(_ mutants: String, on device: OpenCLDevice) throws {
    let numbers = try String(contentsOfFile: mutants, encoding: .utf8).split(separator: "\n")
      .compactMap { Int32($0) }
    let cases = try selected(on: device).map { run in
      (name: run.name, misses: { run.verdicts(device).contains { $0.hasPrefix("miss ") } })
    }
    try MutantSweep(address: mutantAddress).run(numbers, cases: cases, say: Self.say)
    Self.say("done")
  }

  private func options(for description: OpenCLDeviceDescription) -> OpenCLDevice.Options {
    var options = OpenCLDevice.Options(
      usesCLBlast: false, specializes: specialize || !description.isCPU,
      precision: fp16 || native || emulated ? .fp16 : .fp32,
      halfPath: native ? .native : .storage)
    if emulated { options.tensorCores = .emulated }
    return options
  }

  /// What has a name, and lines of verdicts on a device.
  private struct Run {
    var name: String
    var verdicts: (OpenCLDevice) -> [String]
  }

  private static let fused = ", fused"

  private func selected(on device: OpenCLDevice) throws -> [Run] {
    let all = (models ? OperationCase.models(batch: 2) : OperationCase.awkward).filter { subject in
      let elements = subject.plan.tensors.reduce(0) { $0 + $1.elementCount }
      return elements <= mostElements
    }
    let checks =
      Self.runs(LoneKernel.self)
      + (device.precision == .fp16
        ? Self.runs(LossScalingCheck.self) + Self.runs(OverflowSearchCheck.self) : [])
      + (emulated ? Self.runs(WeightCopiesCheck.self) + Self.runs(ProbeCheck.self) : [])
    func isWanted(_ name: String) -> Bool {
      (match.isEmpty || match.contains { name.contains($0) })
        && !skip.contains { name.contains($0) }
    }
    guard let cases else {
      return all.filter { isWanted($0.name) }.map { subject in
        Run(name: subject.name) {
          Self.verdicts(on: subject, fuses: [false, true], device: $0)
        }
      }
        + checks.filter { isWanted($0.name) }
    }
    let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
    return try String(contentsOfFile: cases, encoding: .utf8).split(separator: "\n").compactMap {
      let line = String($0)
      if let check = checks.first(where: { $0.name == line }) { return check }
      let fuses = line.hasSuffix(Self.fused)
      return byName[fuses ? String($0.dropLast(Self.fused.count)) : line].map { subject in
        Run(name: line) { Self.verdicts(on: subject, fuses: [fuses], device: $0) }
      }
    }
  }

  private static func runs<Check: DeviceCheck>(_ kind: Check.Type) -> [Run] {
    kind.allCases.map { check in Run(name: check.name) { [check.verdict(on: $0)] } }
  }

  private static func verdicts(
    on subject: OperationCase, fuses choices: [Bool], device: OpenCLDevice
  ) -> [String] {
    var lines: [String] = []
    for fuses in choices {
      let name = subject.name + (fuses ? fused : "")
      do throws(DeviceError) {
        let candidate = try subject.load(on: device, fuses: fuses)
        let isFused = candidate.launches(of: subject.program).contains { $0.operations.count > 1 }
        if fuses && !isFused { break }
        let report = try compare(
          reference: subject.load(on: ReferenceDevice()), candidate: candidate,
          program: subject.program, step: subject.step, live: subject.live)
        let misses = report.filter { !$0.passes }.map { launch in
          "\(launch.launch.name): "
            + launch.failures.map(\.description).joined(separator: ", ")
        }
        lines.append(
          misses.isEmpty ? "pass \(name)" : "miss \(name): \(misses.joined(separator: "; "))")
      } catch {
        let kind = if case .unsupported = error { "none" } else { "miss" }
        let reason = error.description.replacingOccurrences(of: "\n", with: " | ")
        lines.append("\(kind) \(name): \(reason)")
        if kind == "none" { break }
      }
    }
    return lines
  }

  /// Unbuffered: a simulator may end the process at any point.
  private static func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
  }
}
