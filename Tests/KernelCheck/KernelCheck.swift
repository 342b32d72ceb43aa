import ArgumentParser
import Compute
import ComputeCases
import ComputeOpenCL
import ComputeReference
import Foundation

/// Runs the small cases of operations on an OpenCL device beside the reference, one line a case:
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

  @Option(help: "Only what this file names, one a line, in its order; fused where it says so.")
  var cases: String?

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

  @Flag(help: "Name the device and stop.")
  var device = false

  func run() throws {
    guard let description = try OpenCLDeviceDescription.all().first else {
      throw ValidationError("found no OpenCL device: is OCL_ICD_VENDORS right?")
    }
    Self.say("device \(description.name) of \(description.platformName), \(description.driver)")
    if device { return }
    let precision: OpenCLDevice.Precision = fp16 || native ? .fp16 : .fp32
    let halfPath: OpenCLDevice.HalfPath = native ? .native : .storage
    let specialized = OpenCLDevice.Options(
      usesCLBlast: false, specializes: true, precision: precision, halfPath: halfPath)
    let opened = try OpenCLDevice(
      description, options: specialize ? specialized : nil, precision: precision,
      halfPath: halfPath)
    var misses = 0
    for run in try selected() where misses < stopAfter {
      for line in Self.verdicts(on: run, device: opened) {
        misses += line.hasPrefix("miss ") ? 1 : 0
        Self.say(line)
      }
    }
    Self.say("done")
    if misses > 0 { throw ExitCode(1) }
  }

  /// A case, one launch an operation, or as the device fuses them, or both.
  private struct Run {
    var subject: OperationCase
    var fuses: [Bool]
  }

  private static let fused = ", fused"

  private func selected() throws -> [Run] {
    let all = (models ? OperationCase.models(batch: 2) : OperationCase.awkward).filter { subject in
      let elements = subject.plan.tensors.reduce(0) { $0 + $1.elementCount }
      return elements <= mostElements
        && (match.isEmpty || match.contains { subject.name.contains($0) })
    }
    guard let cases else { return all.map { Run(subject: $0, fuses: [false, true]) } }
    let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
    return try String(contentsOfFile: cases, encoding: .utf8).split(separator: "\n").compactMap {
      let fuses = $0.hasSuffix(Self.fused)
      let name = String(fuses ? $0.dropLast(Self.fused.count) : $0)
      return byName[name].map { Run(subject: $0, fuses: [fuses]) }
    }
  }

  private static func verdicts(on run: Run, device: OpenCLDevice) -> [String] {
    let subject = run.subject
    var lines: [String] = []
    for fuses in run.fuses {
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
