import Compute
import ComputeCPU
import TestSupport

/// The CPU backend with something wrong about it, as a driver may be.
struct AlteredDevice: Device {
  enum Fault: Sendable {
    /// The last live element of all that this operation writes is off.
    case wrong(operation: String)
    /// Fused launches of this name leave the first element of what they write unwritten.
    case unwritten(launch: String)
    /// Plans with this operation are not loaded.
    case refuses(operation: String)
    /// Launches of this operation fail.
    case fails(operation: String)
  }

  let name = "altered"
  let precision = Precision.fp32
  let fault: Fault
  private let base = CPUDevice(threads: 1)

  init(_ fault: Fault) { self.fault = fault }

  func load(_ plan: Plan, options: LoadOptions) throws(DeviceError) -> any LoadedPlan {
    if case .refuses(let operation) = fault {
      let names = options.programs.compactMap { plan.programs[$0] }.flatMap(\.operations).map(
        \.name)
      guard !names.contains(operation) else {
        throw .unsupported(device: name, what: operation)
      }
    }
    return AlteredPlan(try base.load(plan, options: options), fault: fault)
  }
}

private final class AlteredPlan: ForwardingPlan {
  private let fault: AlteredDevice.Fault

  init(_ base: any LoadedPlan, fault: AlteredDevice.Fault) {
    self.fault = fault
    super.init(base)
  }

  override func run(_ program: ProgramID, step: Int, live: Int) throws(DeviceError) {
    for launch in launches(of: program).indices {
      try run(launch: launch, of: program, step: step, live: live)
    }
  }

  override func run(
    launch index: Int, of program: ProgramID, step: Int, live: Int
  ) throws(DeviceError) {
    let launch = launches(of: program)[index]
    let operations = launch.operations.compactMap { plan.programs[program]?.operations[$0] }
    let written = Set(operations.flatMap(\.writes)).subtracting(launch.elided)
    switch fault {
    case .wrong(let operation) where operations.map(\.name) == [operation]:
      try base.run(launch: index, of: program, step: step, live: live)
      for id in written {
        try change(id, at: plan[id].elementCount(live: live) - 1) { $0 + 1 }
      }
    case .unwritten(let name) where launch.name == name:
      try base.run(launch: index, of: program, step: step, live: live)
      for id in written { try change(id, at: 0) { _ in .nan } }
    case .fails(let operation) where operations.contains { $0.name == operation }:
      throw .callFailed(
        device: "altered", call: "clEnqueueNDRangeKernel", code: "CL_OUT_OF_RESOURCES")
    default:
      try base.run(launch: index, of: program, step: step, live: live)
    }
  }

  private func change(
    _ id: TensorID, at index: Int, _ body: (Float) -> Float
  ) throws(DeviceError) {
    guard plan[id].elementType == .float32 else { return }
    var values = try base.read(id)
    values[index] = body(values[index])
    try base.write(values, to: id)
  }
}
