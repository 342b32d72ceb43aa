import Compute
import ComputeCases

/// A program with its inputs that can be loaded on any device, and what a device is compared with
/// on it.
struct ParitySubject {
  let name: String
  let shape: String
  let program: ProgramID
  let step: Int
  let live: Int
  /// What is right, or near enough: it runs operations one by one.
  let reference: any Device
  /// Whether fused launches are compared with their parts as well.
  var fuses = true
  let load: (any Device, _ fuses: Bool) throws -> any LoadedPlan

  /// The operations one by one, then the device's fused launches where it has any.
  func results(on device: any Device) -> [ParityResult] {
    let plain = result(on: device, fuses: false)
    guard fuses, !plain.launches.isEmpty else { return [plain.result] }
    let fused = result(on: device, fuses: true)
    return fused.launches == plain.launches ? [plain.result] : [plain.result, fused.result]
  }

  /// - Returns: with the device's launches; none where it did not load the plan.
  private func result(
    on device: any Device, fuses: Bool
  ) -> (result: ParityResult, launches: [Launch]) {
    let name = fuses ? "\(name), fused" : name
    var launches: [Launch] = []
    do {
      let candidate = try load(device, fuses)
      launches = candidate.launches(of: program)
      let report = try compare(
        reference: load(reference, false), candidate: candidate, program: program, step: step,
        live: live)
      return (ParityResult(name: name, shape: shape, launches: report), launches)
    } catch {
      return (ParityResult(name: name, shape: shape, misses: ["\(error)"]), launches)
    }
  }
}

extension ParitySubject {
  init(_ subject: OperationCase, reference: any Device) {
    self.init(
      name: subject.title, shape: subject.sizes, program: subject.program, step: subject.step,
      live: subject.live,
      reference: reference
    ) { device, fuses in
      try subject.load(on: device, fuses: fuses)
    }
  }
}
