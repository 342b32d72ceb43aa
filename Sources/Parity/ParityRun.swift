import Compute
import ComputeCPU
import ComputeCases
import ComputeReference
import Networks

/// Checks every operation of a device, forward and backward: small awkward shapes against the
/// reference's plain loops, the published networks' shapes against the CPU backend, the device's
/// fused launches against their parts, and ten steps of training against the CPU's. Needs no
/// recordings.
public struct ParityRun {
  public let device: any Device
  /// Samples of a batch at the networks' shapes.
  public let batchSize: Int
  /// Small shapes alone.
  public let isQuick: Bool
  private let cpu: CPUDevice

  /// - Parameter threads: of the CPU backend.
  public init(device: any Device, batchSize: Int, isQuick: Bool = false, threads: Int) {
    self.device = device
    self.batchSize = batchSize
    self.isQuick = isQuick
    cpu = CPUDevice(threads: threads)
  }

  /// Runs all cases; a case in which the device fails is a miss, and the run goes on.
  ///
  /// - Parameters:
  ///   - willRun: told what comes next, and the share of the cases that is done.
  ///   - report: told of every result as soon as it is there.
  /// - Throws: `NetworkError`, `SynthesisError` and others where the cases cannot be made.
  public func run(
    willRun: (String, _ done: Double) -> Void = { _, _ in },
    report: (ParityResult) -> Void
  ) throws {
    let steps = try steps()
    for (index, step) in steps.enumerated() {
      willRun(step.title, Double(index) / Double(steps.count))
      step.results().forEach(report)
    }
  }

  private struct Step {
    let title: String
    let results: () -> [ParityResult]
  }

  private func steps() throws -> [Step] {
    let reference = ReferenceDevice()
    var subjects = OperationCase.awkward.map { ParitySubject($0, reference: reference) }
    subjects += try NetworkSubject.small().flatMap { $0.subjects(reference: reference) }
    if !isQuick {
      subjects += OperationCase.models(batch: batchSize).map { ParitySubject($0, reference: cpu) }
      subjects += try NetworkSubject.published(batchSize: batchSize).flatMap {
        $0.subjects(reference: cpu)
      }
    }
    var steps = subjects.map { subject in
      Step(title: "\(subject.name) \(subject.shape)") { subject.results(on: device) }
    }
    if !isQuick { steps += try curves() }
    return steps
  }

  private func curves() throws -> [Step] {
    let networks: [(String, Network)] = [
      ("semg-net", try .semgNet()), ("inception-se", try .inceptionSE(padding: .causal)),
    ]
    var steps: [Step] = []
    for (index, (label, network)) in networks.enumerated() {
      let curve = try TrainingCurve(network: network, batchSize: batchSize)
      if index == 0 {
        steps.append(
          Step(title: "training samples") {
            [curve.sampleResult(named: "training samples", on: device, reference: cpu)]
          })
      }
      steps.append(
        Step(title: "training curve of \(label)") {
          [curve.result(named: "training curve \(label)", on: device, reference: cpu)]
        })
    }
    return steps
  }
}
