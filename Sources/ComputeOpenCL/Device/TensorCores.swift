import Compute

/// Whether a device has the tensor cores that `Kernels/tensor_core.cl` is written for.
package enum TensorCores {
  /// What stands in for the instructions, see `Kernels/tensor_core_emulated.cl`.
  package enum Emulation: Int, Sendable, Hashable {
    case copiesEarly = 1
    case copiesLate = 2

    var defines: [String: Int] { ["EMULATED": rawValue] }
  }

  private static let (rows, columns, depth) = (16, 8, 16)

  /// What the kernels need: `cp.async` and products sixteen deep came with it.
  static let leastCapability = 8

  /// Whether a device has what the kernels need: by what its driver says, then by compiling and
  /// running one product with every instruction that they use, compared with a plain one: the values
  /// are such that both are exact.
  ///
  /// It runs in a context of its own, since an instruction that goes wrong can end one.
  ///
  /// - Parameter emulation: what stands in for the instructions; any device can be asked then.
  package static func probe(
    _ description: OpenCLDeviceDescription, emulation: Emulation? = nil
  ) -> TensorCoreVerdict {
    if emulation == nil, let reason = description.tensorCoreObstacle {
      return .refused(reason: reason)
    }
    do throws(DeviceError) {
      guard let gap = try wrongValue(on: description, emulation: emulation) else { return .usable }
      return .refused(reason: "the probe computes wrongly: \(gap)")
    } catch {
      return .refused(reason: "the probe cannot run: \(error)")
    }
  }

  /// What is wrong with the product; nil where nothing is.
  private static func wrongValue(
    on description: OpenCLDeviceDescription, emulation: Emulation?
  ) throws(DeviceError) -> String? {
    let context = try OpenCLContext(description, cache: nil)
    let memory = try DeviceMemory(context: context)
    let a = (0..<rows * depth).map { Float16($0 * 7 % 13 - 6) }
    let b = (0..<depth * columns).map { Float16($0 * 5 % 11 - 5) }
    let c = [Float](repeating: .nan, count: rows * columns)
    let buffers = [
      try Buffer(byteCount: a.count * 2, context: context),
      try Buffer(byteCount: b.count * 2, context: context),
      try Buffer(byteCount: c.count * 4, context: context),
      try Buffer(byteCount: c.count * 2, context: context),
    ]
    try memory.write(a, to: buffers[0], offset: 0)
    try memory.write(b, to: buffers[1], offset: 0)
    try memory.write(c, to: buffers[2], offset: 0)
    try memory.write(c.map { Float16($0) }, to: buffers[3], offset: 0)
    let call = try KernelCall(
      kernel: try context.makeKernel(
        file: "tensor_core_probe", name: "tensor_core_probe", defines: emulation?.defines ?? [:]),
      file: "tensor_core_probe", name: "tensor_core_probe",
      arguments: buffers.map { .tensor($0, offset: 0) }, local: [32],
      groups: { _ in [1] }, context: context)
    try call.enqueue(on: memory.queue, step: 0, live: 1)
    try memory.finish()

    var found = c
    var rounded = c.map { Float16($0) }
    try memory.read(buffers[2], offset: 0, into: &found, count: c.count)
    try memory.read(buffers[3], offset: 0, into: &rounded, count: c.count)
    let expected = c.indices.map { i in
      (0..<depth).reduce(Float(0)) {
        $0 + Float(a[i / columns * depth + $1]) * Float(b[$1 * columns + i % columns])
      }
    }
    return gap(found, expected, "as a float")
      ?? gap(rounded.map { Float($0) }, expected.map { Float(Float16($0)) }, "as a half")
  }

  /// The first of the values that differ, and how many do.
  private static func gap(_ found: [Float], _ expected: [Float], _ kind: String) -> String? {
    let wrong = found.indices.filter { found[$0] != expected[$0] }
    guard let place = wrong.first else { return nil }
    if found.allSatisfy(\.isNaN) {
      return "nothing was written: the compiler is none of NVIDIA's and left out their instructions"
    }
    return "row \(place / columns), column \(place % columns) \(kind) is \(found[place]), expected "
      + "\(expected[place]); \(wrong.count) of \(found.count) values are wrong"
  }
}

/// What came of asking a device for tensor cores.
public enum TensorCoreVerdict: Sendable, Hashable, Codable {
  case usable
  /// The reason, as far as it is known: several lines where it holds a build's log.
  case refused(reason: String)

  public var isUsable: Bool { self == .usable }

  /// Nil where they are usable.
  public var reason: String? {
    switch self {
    case .usable: nil
    case .refused(let reason): reason
    }
  }
}

extension OpenCLDeviceDescription {
  /// Why it has no tensor cores that the kernels could use, by what its driver says; nil where only
  /// running one product tells.
  public var tensorCoreObstacle: String? {
    guard !isCPU || computeCapability != nil else { return "a processor has none" }
    guard let computeCapability else {
      return "they are NVIDIA's, and it is not a device of NVIDIA's"
    }
    guard computeCapability.major >= TensorCores.leastCapability else {
      return "its compute capability is \(computeCapability.major).\(computeCapability.minor), "
        + "the kernels need \(TensorCores.leastCapability).0"
    }
    return nil
  }
}
