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

  /// Compiles and runs one product with every instruction that the kernels use, and compares it with
  /// a plain one: the values are such that both are exact.
  ///
  /// It runs in a context of its own, since an instruction that goes wrong can end one.
  package static func areUsable(
    on description: OpenCLDeviceDescription, emulation: Emulation? = nil
  ) -> Bool {
    (try? givesTheProduct(on: description, emulation: emulation)) ?? false
  }

  private static func givesTheProduct(
    on description: OpenCLDeviceDescription, emulation: Emulation?
  ) throws(DeviceError) -> Bool {
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
    return found == expected && rounded == expected.map { Float16($0) }
  }
}
