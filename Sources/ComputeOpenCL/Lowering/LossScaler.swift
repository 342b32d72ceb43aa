import Compute

/// The loss scale of a plan that trains in half precision, and what it is adjusted by. All on the
/// device: nobody waits to learn whether a step overflowed.
final class LossScaler {
  /// `loss_scaling` of `Kernels/table.cl`.
  struct State {
    struct Scale {
      var scale: Float
      var goodSteps: UInt32 = 0
      var skippedSteps: UInt32 = 0
      var overflow: UInt32 = 0
    }
    /// Of the step under way, and of the next one.
    var now, next: Scale

    init(_ scaling: LossScaling) {
      now = Scale(
        scale: scaling.scale, goodSteps: UInt32(clamping: scaling.goodSteps),
        skippedSteps: UInt32(clamping: scaling.skippedSteps))
      next = now
    }
  }

  /// What kernels of a scaled loss are built with.
  static let storage = ["LOSS_SCALING": 1]

  let buffer: Buffer
  private let slot = BufferSlot()
  /// Whether the step has begun and its gradients have been searched for overflows, by the launches
  /// that made them: what the update would do otherwise.
  var isSearched = false
  /// Whether steps of the training program do that.
  var isSearchedBySteps = false

  /// - Parameter scale: at the start, a power of two.
  init(scale: Float, context: OpenCLContext, memory: DeviceMemory) throws(DeviceError) {
    buffer = try Buffer(byteCount: MemoryLayout<State>.stride, context: context)
    slot.buffer = buffer
    try write(LossScaling(scale: scale, skippedSteps: 0), memory: memory)
  }

  var argument: KernelArgument { .slot(slot) }

  func state(memory: DeviceMemory) throws(DeviceError) -> LossScaling {
    var states = [State(LossScaling(scale: 0, skippedSteps: 0))]
    try memory.read(buffer, offset: 0, into: &states, count: 1)
    let next = states[0].next
    return LossScaling(
      scale: next.scale, goodSteps: Int(next.goodSteps), skippedSteps: Int(next.skippedSteps))
  }

  /// What holds from the next step on.
  func write(_ scaling: LossScaling, memory: DeviceMemory) throws(DeviceError) {
    try memory.write([State(scaling)], to: buffer, offset: 0)
    isSearched = false
  }
}

extension Lowering {
  /// What an update needs that does not follow upon a step of the training program: the beginning of
  /// a step, and the search for overflows.
  ///
  /// - Parameter gradients: in runs, as Adam takes them.
  func search(
    _ scaler: LossScaler, gradients: [(place: KernelArgument, count: Int)]
  ) throws(DeviceError) -> [Command] {
    let local = groupSize(256, in: "adam")
    var commands = [
      try kernel(
        "adam", "begin_scaled_step", [scaler.argument], local: [1],
        groups: { _ in [1] })
    ]
    for run in gradients {
      let groups = min((run.count + 4 * local - 1) / (4 * local), 512)
      commands.append(
        try kernel(
          "adam", "find_overflow", [scaler.argument, run.place, .int(run.count)],
          local: [local], groups: { _ in [groups] }))
    }
    return commands
  }
}
