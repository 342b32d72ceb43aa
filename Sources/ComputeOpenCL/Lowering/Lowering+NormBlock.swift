import Compute

extension ColumnGroups {
  /// Groups of launches that merge chunks themselves, and chunks where they are merged so often: a
  /// large device is busy, and what each group merges stays small beside what it does.
  private static let mostMerging = 512
  private static let mostChunks = 64

  /// Rows a chunk that every group of a later launch merges.
  func mergedChunk(rows: Int) -> Int {
    let count = min(Self.mostChunks, max(Self.mostMerging / columns, 16), max(rows / lanes, 1))
    return (rows + count - 1) / count
  }

  /// Groups below each other that share so many tiles.
  func sharing(tiles: Int) -> Int { min(max(tiles, 1), max(Self.mostMerging / columns, 1)) }
}

extension Lowering {
  /// The chunks of rows of batch statistics, and how they were cut.
  struct StatisticsChunks {
    /// What makes them, unless the convolution has.
    var command: Command?
    var partial: KernelArgument
    var chunk: Int
    /// What the means are less than they are, unless it is the first row.
    var bias: KernelArgument?
  }

  /// What goes into the statistics of a block's input, left to be merged by the launches that need
  /// them: the convolution's, if it has left them, or by a launch.
  ///
  /// - Parameter defines: of the kernels that merge them: the launch then shares their program.
  func statisticsChunks(
    _ shape: NormalizationShape, _ input: TensorID, _ regions: inout ScratchRegions,
    defines: [String: Int]
  ) throws(DeviceError) -> StatisticsChunks {
    if let left = leftStatistics[input] { return left }
    let groups = ColumnGroups(
      channels: shape.channels, items: groupItems(of: "normalization"))
    let rows = program.capacity * shape.time
    let chunk = groups.mergedChunk(rows: rows)
    let partial = regions.floats(2 * shape.channels * ((rows + chunk - 1) / chunk))
    let command = try kernel(
      "normalization", "batch_statistics_partial", defines: defines,
      [
        try tensor(input), partial, .int(shape.channels), .int(groups.width), .int(chunk),
        .liveTimes(shape.time),
      ], local: [groups.items, 1],
      groups: { [groups.columns, ($0 * shape.time + chunk - 1) / chunk] })
    return StatisticsChunks(command: command, partial: partial, chunk: chunk)
  }

  func normBlockForward(_ block: NormBlock) throws(DeviceError) -> [Command] {
    let groups = normColumns(block)
    var regions = ScratchRegions(scratch)
    var commands: [Command] = []
    // Inference has no chunks and no moving statistics apart from those that it reads: anything may
    // stand in their places.
    var (partial, chunk) = (try tensor(block.mean), 1)
    var bias: KernelArgument?
    let moving = block.moving ?? (block.mean, block.variance)
    if block.moving != nil {
      let statistics = try statisticsChunks(
        block.shape, block.input, &regions, defines: defines(block, groups))
      if let command = statistics.command { commands.append(command) }
      (partial, chunk, bias) = (statistics.partial, statistics.chunk, statistics.bias)
    }
    let momentum = block.shape.momentum.decimalValue
    let pooled = block.pool?.outputTime ?? block.shape.time
    let tile = 4 * groups.lanes  // TILE_ROWS of Kernels/lanes.cl
    var arguments: [KernelArgument] = [
      .slot(table.header), try tensor(block.input), partial, bias ?? partial,
      try tensor(block.gamma),
      try tensor(block.beta), try tensor(block.mean), try tensor(block.variance),
      try tensor(moving.mean), try tensor(moving.variance), try tensor(block.output),
      try tensor(block.argmax ?? block.output), .int(block.moving == nil ? 0 : 1),
      .int(bias == nil ? 0 : 1), .float(block.shape.epsilon), .float(Float(momentum)),
      .float(Float(1 - momentum)),
    ]
    arguments += dropoutArguments(block.dropout) + keyArguments
    arguments += sizes(block, groups) + [.int(chunk), .step, .live]
    commands.append(
      try kernel(
        "norm_block", "norm_block_forward", defines: defines(block, groups), arguments,
        local: [groups.items, 1],
        groups: { [groups.columns, groups.sharing(tiles: ($0 * pooled + tile - 1) / tile)] }))
    return commands
  }

  func normBlockBackward(_ gradient: NormBlockGradient) throws(DeviceError) -> [Command] {
    let block = gradient.block
    let (time, pooled) = (block.shape.time, block.pool?.outputTime ?? block.shape.time)
    let groups = normColumns(block)
    let chunk = groups.mergedChunk(rows: program.capacity * pooled)
    var regions = ScratchRegions(scratch)
    let partial = regions.floats(
      2 * block.shape.channels * ((program.capacity * pooled + chunk - 1) / chunk))
    let values = [
      try tensor(block.input), try tensor(block.output),
      // What a kernel stores is all floats or all halves; the mean's gradient is floats.
      try tensor(gradient.isOfMean ? block.output : gradient.outputGradient),
      try tensor(gradient.isOfMean ? gradient.outputGradient : block.mean),
      try tensor(block.argmax ?? block.output),
    ]
    let statistics = [try tensor(block.mean), try tensor(block.variance)]
    let rest: [KernelArgument] =
      [
        .float(block.shape.epsilon), .float(keepScale(block.dropout)),
        .int(gradient.isOfMean ? 1 : 0),
      ] + sizes(block, groups) + [.int(chunk), .live]
    let sums = try kernel(
      "norm_block", "norm_block_backward_partial", defines: defines(block, groups),
      values + statistics + [partial] + rest, local: [groups.items, 1],
      groups: { [groups.columns, ($0 * pooled + chunk - 1) / chunk] })
    let tile = 4 * groups.lanes
    let apply = try kernel(
      "norm_block", "norm_block_backward_apply", defines: defines(block, groups),
      values + [try tensor(block.gamma)] + statistics + [
        partial, try tensor(gradient.gammaGradient), try tensor(gradient.betaGradient),
        try tensor(gradient.inputGradient),
      ] + rest, local: [groups.items, 1],
      groups: { [groups.columns, groups.sharing(tiles: ($0 * time + tile - 1) / tile)] })
    return [sums, apply]
  }

  private func normColumns(_ block: NormBlock) -> ColumnGroups {
    ColumnGroups(channels: block.shape.channels, items: groupItems(of: "norm_block"))
  }

  // MARK: Arguments

  func keepScale(_ shape: DropoutShape?) -> Float {
    Float(1 / (1 - (shape?.rate.decimalValue ?? 0)))
  }

  /// Threshold, scale and stream; without dropout all is kept as it is.
  func dropoutArguments(_ shape: DropoutShape?) -> [KernelArgument] {
    [
      .uint(shape.map { Philox.dropoutThreshold(rate: $0.rate) } ?? 0),
      .float(keepScale(shape)), .uint(shape?.stream ?? 0),
    ]
  }

  private func sizes(_ block: NormBlock, _ groups: ColumnGroups) -> [KernelArgument] {
    let time = block.shape.time
    return [
      .int(time), .int(block.pool?.outputTime ?? time), .int(block.shape.channels),
      .int(block.pool?.size ?? 1), .int(groups.width),
    ]
  }

  private func defines(_ block: NormBlock, _ groups: ColumnGroups) -> [String: Int] {
    let time = block.shape.time
    return [
      "TIME": time, "POOLED": block.pool?.outputTime ?? time, "CHANNELS": block.shape.channels,
      "SIZE": block.pool?.size ?? 1, "WIDTH": groups.width,
    ]
  }
}
