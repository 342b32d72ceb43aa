import Compute

extension OpenCLDevice {
  /// Bytes of each of the two buffers that are copied, where the device has memory enough: more
  /// than any cache.
  private static let copiedBytes = 256 << 20
  private static let rounds = 2048
  private static let tries = 5

  /// The most that the device does of what a roofline is made of, measured: the best of a few runs.
  ///
  /// - Throws: `DeviceError` where it fails, or has no room for two buffers.
  public func measuredPeaks() throws(DeviceError) -> DevicePeaks {
    try context.groupLimits.learning { () throws(DeviceError) in try peaks() }
  }

  private func peaks() throws(DeviceError) -> DevicePeaks {
    let bytes = min(Self.copiedBytes, description.maximumAllocation / 2, description.memory / 8)
    let count = bytes / 16
    let (source, target) = (BufferSlot(), BufferSlot())
    source.buffer = try Buffer(byteCount: 16 * count, context: context)
    target.buffer = try Buffer(byteCount: 16 * count, context: context)
    let items = min(256, context.groupLimits.limit(of: "peaks"))
    let groups = max(1, description.computeUnits) * 2048 / items
    let copy = try KernelCall(
      kernel: try context.makeKernel(file: "peaks", name: "peak_copy", defines: [:]),
      file: "peaks", name: "peak_copy", arguments: [.slot(source), .slot(target), .int(count)],
      local: [items],
      groups: { _ in [groups] }, context: context)
    let multiply = try KernelCall(
      kernel: try context.makeKernel(file: "peaks", name: "peak_multiply_add", defines: [:]),
      file: "peaks", name: "peak_multiply_add",
      arguments: [.slot(target), .float(0.5), .int(Self.rounds)],
      local: [items], groups: { _ in [groups] }, context: context)
    // Memory that nobody has written may be no memory yet.
    let memory = try DeviceMemory(context: context)
    for buffer in [source.buffer, target.buffer].compactMap({ $0 }) {
      try memory.fill(buffer, with: 1)
    }
    try memory.finish()
    let stopwatch = try CommandStopwatch(context: context)
    let seconds = (copy: try best(of: copy, stopwatch), multiply: try best(of: multiply, stopwatch))
    return DevicePeaks(
      bytesPerSecond: Double(32 * count) / seconds.copy,
      operationsPerSecond: Double(2 * 32 * Self.rounds * groups * items) / seconds.multiply)
  }

  private func best(
    of call: KernelCall, _ stopwatch: CommandStopwatch
  ) throws(DeviceError) -> Double {
    let launch = OpenCLLaunch(
      launch: Launch(name: call.name, operations: []), commands: [.kernel(call)])
    var best = Double.infinity
    for _ in 0..<Self.tries {
      for seconds in try stopwatch.run([launch], step: 0, live: 1).joined() where seconds > 0 {
        best = min(best, seconds)
      }
    }
    return best
  }
}
