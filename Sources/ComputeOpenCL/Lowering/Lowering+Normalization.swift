import Compute

/// Work-groups of `width` channels by as many rows as fill them, as `Kernels/reduce.cl` arranges
/// them, and the chunks of rows that they take.
struct ColumnGroups {
  /// Groups that keep a large device busy.
  private static let most = 1024

  let channels: Int
  /// GROUP_ITEMS of `Kernels/reduce.cl`.
  let items: Int
  /// Channels side by side, a power of two.
  let width: Int

  init(channels: Int, items: Int, widest: Int = 32, narrowest: Int = 1) {
    self.channels = channels
    self.items = items
    var width = narrowest
    while width < channels && width < widest { width *= 2 }
    self.width = width
  }

  var lanes: Int { items / width }
  /// Groups side by side.
  var columns: Int { (channels + width - 1) / width }

  /// Rows a chunk, such that a full batch makes many groups and each item still has a row.
  func chunk(rows: Int) -> Int {
    let count = min(max(Self.most / columns, 1), max(rows / lanes, 1))
    return (rows + count - 1) / count
  }
}

extension Lowering {
  func commands(_ op: BatchNormForward) throws(DeviceError) -> [Command] {
    try batchStatistics(
      op.shape, input: op.input, mean: op.mean, variance: op.variance,
      moving: (op.movingMean, op.movingVariance))
      + [try batchNormApply(op.shape, op.input, op.gamma, op.beta, op.mean, op.variance, op.output)]
  }

  func commands(_ op: BatchNormInference) throws(DeviceError) -> [Command] {
    [
      try batchNormApply(
        op.shape, op.input, op.gamma, op.beta, op.movingMean, op.movingVariance, op.output)
    ]
  }

  func commands(_ op: BatchNormBackward) throws(DeviceError) -> [Command] {
    let sums = try normalizationSums(
      "batch_norm_backward_partial", op.shape,
      [
        try tensor(op.input), try tensor(op.outputGradient), try tensor(op.mean),
        try tensor(op.variance),
      ], op.gammaGradient, op.betaGradient)
    let apply = try elements(
      "normalization", "batch_norm_backward_apply",
      [
        try tensor(op.input), try tensor(op.outputGradient), try tensor(op.gamma),
        try tensor(op.mean),
        try tensor(op.variance), try tensor(op.gammaGradient), try tensor(op.betaGradient),
        try tensor(op.inputGradient), .float(op.shape.epsilon), .int(op.shape.channels),
      ], perSample: op.shape.time * op.shape.channels,
      defines: ["CHANNELS": op.shape.channels, "WIDTH": columns(op.shape).width])
    return sums + [apply]
  }

  // MARK: Batch normalization

  /// Mean and variance of each channel, in two stages.
  private func batchStatistics(
    _ shape: NormalizationShape, input: TensorID, mean: TensorID, variance: TensorID,
    moving: (mean: TensorID, variance: TensorID)
  ) throws(DeviceError) -> [Command] {
    let momentum = shape.momentum.decimalValue
    return try columnSums(
      shape, "batch_statistics_partial", [try tensor(input)], [],
      finish: "batch_statistics_finish", [try tensor(input)],
      [
        try tensor(mean), try tensor(variance), try tensor(moving.mean),
        try tensor(moving.variance), .float(Float(momentum)), .float(Float(1 - momentum)),
      ])
  }

  private func columns(_ shape: NormalizationShape) -> ColumnGroups {
    ColumnGroups(channels: shape.channels, items: groupItems(of: "normalization"))
  }

  private func batchNormApply(
    _ shape: NormalizationShape, _ input: TensorID, _ gamma: TensorID, _ beta: TensorID,
    _ mean: TensorID, _ variance: TensorID, _ output: TensorID
  ) throws(DeviceError) -> Command {
    try elements(
      "normalization", "batch_norm_apply",
      [
        try tensor(input), try tensor(mean), try tensor(variance), try tensor(gamma),
        try tensor(beta), try tensor(output), .float(shape.epsilon), .int(shape.channels),
      ], perSample: shape.time * shape.channels,
      defines: ["CHANNELS": shape.channels, "WIDTH": columns(shape).width])
  }

  /// Gradients of gamma and beta, in two stages.
  private func normalizationSums(
    _ partial: String, _ shape: NormalizationShape, _ inputs: [KernelArgument],
    _ gammaGradient: TensorID, _ betaGradient: TensorID
  ) throws(DeviceError) -> [Command] {
    try columnSums(
      shape, partial, inputs, [.float(shape.epsilon)], finish: "norm_backward_finish", [],
      [try tensor(gammaGradient), try tensor(betaGradient)])
  }

  /// Two figures of each channel over the live rows: a kernel that leaves those of every chunk of
  /// rows, and one that brings them together.
  private func columnSums(
    _ shape: NormalizationShape, _ partial: String, _ inputs: [KernelArgument],
    _ settings: [KernelArgument], finish: String, _ merged: [KernelArgument],
    _ outputs: [KernelArgument]
  ) throws(DeviceError) -> [Command] {
    let rows = program.capacity * shape.time
    let items = groupItems(of: "normalization")
    let wide = ColumnGroups(channels: shape.channels, items: items)
    let narrow = ColumnGroups(channels: shape.channels, items: items, widest: 8)
    let chunk = wide.chunk(rows: rows)
    var regions = ScratchRegions(scratch)
    let partials = regions.floats(2 * shape.channels * ((rows + chunk - 1) / chunk))
    func sizes(_ groups: ColumnGroups) -> [KernelArgument] {
      [.int(shape.channels), .int(groups.width), .int(chunk), .liveTimes(shape.time)]
    }
    let first = try kernel(
      "normalization", partial, defines: ["CHANNELS": shape.channels, "WIDTH": wide.width],
      inputs + [partials] + settings + sizes(wide), local: [items, 1],
      groups: { [wide.columns, ($0 * shape.time + chunk - 1) / chunk] })
    let second = try kernel(
      "normalization", finish,
      merged + [partials] + outputs + sizes(narrow), local: [items],
      groups: { _ in [narrow.columns] })
    return [first, second]
  }

  // MARK: Layer normalization

  func commands(_ op: LayerNormForward) throws(DeviceError) -> [Command] {
    [
      try rowGroups(
        "layer_norm_forward", op.shape,
        [
          try tensor(op.input), try tensor(op.gamma), try tensor(op.beta), try tensor(op.output),
          try tensor(op.mean), try tensor(op.variance),
        ])
    ]
  }

  func commands(_ op: LayerNormBackward) throws(DeviceError) -> [Command] {
    let sums = try normalizationSums(
      "layer_norm_backward_partial", op.shape,
      [
        try tensor(op.input), try tensor(op.outputGradient), try tensor(op.mean),
        try tensor(op.variance),
      ], op.gammaGradient, op.betaGradient)
    let apply = try rowGroups(
      "layer_norm_backward_apply", op.shape,
      [
        try tensor(op.input), try tensor(op.outputGradient), try tensor(op.gamma),
        try tensor(op.mean),
        try tensor(op.variance), try tensor(op.inputGradient),
      ])
    return sums + [apply]
  }

  private func rowGroups(
    _ name: String, _ shape: NormalizationShape, _ arguments: [KernelArgument]
  ) throws(DeviceError) -> Command {
    let groups = columns(shape)
    return try kernel(
      "normalization", name, defines: ["CHANNELS": shape.channels, "WIDTH": groups.width],
      arguments + [
        .float(shape.epsilon), .int(shape.channels), .int(groups.width), .liveTimes(shape.time),
      ], local: [groups.items],
      groups: { [($0 * shape.time + groups.lanes - 1) / groups.lanes] })
  }

  // MARK: Means over time, and scales

  func commands(_ op: MeanOverTimeForward) throws(DeviceError) -> [Command] {
    [
      try timeGroups(
        "mean_over_time_forward", op.shape, [try tensor(op.input), try tensor(op.output)])
    ]
  }

  func commands(_ op: MeanOverTimeBackward) throws(DeviceError) -> [Command] {
    [
      try timeElements(
        "mean_over_time_backward", op.shape,
        [try tensor(op.outputGradient), try tensor(op.inputGradient)])
    ]
  }

  func commands(_ op: ScaleChannelsForward) throws(DeviceError) -> [Command] {
    [
      try timeElements(
        "scale_channels_forward", op.shape,
        [try tensor(op.input), try tensor(op.scale), try tensor(op.output)])
    ]
  }

  func commands(_ op: ScaleChannelsBackward) throws(DeviceError) -> [Command] {
    [
      try timeGroups(
        "scale_channels_backward", op.shape,
        [
          try tensor(op.input), try tensor(op.scale), try tensor(op.outputGradient),
          try tensor(op.inputGradient), try tensor(op.scaleGradient),
        ])
    ]
  }

  /// One work-group some channels of a sample.
  private func timeGroups(
    _ name: String, _ shape: SequenceShape, _ arguments: [KernelArgument]
  ) throws(DeviceError) -> Command {
    let groups = timeColumns(shape)
    return try kernel(
      "squeeze_excitation", name,
      defines: ["CHANNELS": shape.channels, "TIME": shape.time, "WIDTH": groups.width],
      arguments + [
        .int(shape.time), .int(shape.channels), .int(groups.width), .live,
      ], local: [groups.items, 1], groups: { [groups.columns, $0] })
  }

  private func timeColumns(_ shape: SequenceShape) -> ColumnGroups {
    ColumnGroups(channels: shape.channels, items: groupItems(of: "squeeze_excitation"))
  }

  private func timeElements(
    _ name: String, _ shape: SequenceShape, _ arguments: [KernelArgument]
  ) throws(DeviceError) -> Command {
    try elements(
      "squeeze_excitation", name, arguments + [.int(shape.time), .int(shape.channels)],
      perSample: shape.elementCount,
      defines: [
        "CHANNELS": shape.channels, "TIME": shape.time,
        "WIDTH": timeColumns(shape).width,
      ])
  }
}
