import Compute

/// The loss scale of a plan that trains in half precision, and what it is adjusted by. All on the
/// device: nobody waits to learn whether a step overflowed.
final class LossScaler {
  /// `loss_scaling` of `Kernels/table.cl`.
  struct State {
    var scale: Float
    var goodSteps: UInt32 = 0
    var skippedSteps: UInt32 = 0
    var overflow: UInt32 = 0
  }

  /// Good steps after which the scale is doubled (Micikevicius et al., ICLR 2018, and Keras).
  static let growthSteps = 2000
  /// The largest scale to grow to: the smallest half times it is one.
  static let largest: Float = 16_777_216
  /// What kernels of a scaled loss are built with.
  static let storage = ["LOSS_SCALING": 1]

  let buffer: Buffer
  private let slot = BufferSlot()

  /// - Parameter scale: at the start, a power of two.
  init(scale: Float, context: OpenCLContext, memory: DeviceMemory) throws(DeviceError) {
    buffer = try Buffer(byteCount: MemoryLayout<State>.stride, context: context)
    slot.buffer = buffer
    try memory.write([State(scale: scale)], to: buffer, offset: 0)
  }

  var argument: KernelArgument { .slot(slot) }

  func state(memory: DeviceMemory) throws(DeviceError) -> LossScaling {
    var states = [State(scale: 0)]
    try memory.read(buffer, offset: 0, into: &states, count: 1)
    return LossScaling(scale: states[0].scale, skippedSteps: Int(states[0].skippedSteps))
  }
}

extension Lowering {
  /// Adam between the search for overflows and the adjustment of the scale.
  ///
  /// - Parameter gradients: in runs, as Adam takes them.
  func scaledUpdate(
    _ scaler: LossScaler, gradients: [(place: KernelArgument, count: Int)], adam: [Command]
  ) throws(DeviceError) -> [Command] {
    let local = groupSize(256)
    var commands: [Command] = []
    for run in gradients {
      let groups = min((run.count + 4 * local - 1) / (4 * local), 512)
      commands.append(
        try kernel(
          "adam", "find_overflow", [scaler.argument, run.place, .int(run.count)],
          local: [local], storage: LossScaler.storage, groups: { _ in [groups] }))
    }
    let adjust = try kernel(
      "adam", "adjust_loss_scale",
      [scaler.argument, .int(LossScaler.growthSteps), .float(LossScaler.largest), .live],
      local: [1], storage: LossScaler.storage, groups: { _ in [1] })
    return commands + adam + [adjust]
  }
}
