import Compute

extension Lowering {
  /// Whether `Kernels/squeeze_block.cl` has room for a block: two branches that are normalized
  /// alike, and no more channels and units than MOST_CHANNELS and MOST_UNITS.
  static func fits(_ block: SqueezeBlock) -> Bool {
    guard block.branches.count == 2, block.sequence.channels <= 256, block.units <= 64 else {
      return false
    }
    let (one, other) = (block.branches[0].shape, block.branches[1].shape)
    return one.epsilon == other.epsilon && one.momentum == other.momentum
  }

  func squeezeBlockForward(_ block: SqueezeBlock) throws(DeviceError) -> [Command] {
    let (time, channels) = (block.sequence.time, block.sequence.channels)
    let groups = ColumnGroups(channels: channels, items: groupItems(of: "squeeze_block"))
    let rows = program.capacity * time
    var chunk = groups.mergedChunk(rows: rows)
    let trains = block.branches[0].moving != nil
    let x = try branches(block) { $0.input }
    var commands: [Command] = []
    // Inference has no chunks and no moving statistics apart from those that it reads: anything may
    // stand in their places.
    var partial = try tensor(block.mean)
    var biases = [partial, partial]
    // From one branch's statistics to the other's.
    var other = block.branches[0].shape.channels
    let left = trains ? leftStatistics(of: block) : nil
    if let left {
      (partial, other, chunk) = (left.partial, left.other, left.chunk)
      biases = left.biases
    } else if trains {
      var regions = ScratchRegions(scratch)
      partial = regions.floats(2 * channels * ((rows + chunk - 1) / chunk))
      commands.append(
        try kernel(
          "squeeze_block", "squeeze_block_statistics", defines: defines(block, groups),
          x + [
            partial, .int(block.branches[0].shape.channels), .int(channels), .int(groups.width),
            .int(chunk), .liveTimes(time),
          ], local: [groups.items, 1],
          groups: { [chunk] in [groups.columns, ($0 * time + chunk - 1) / chunk] }))
    }
    let shape = block.branches[0].shape
    let momentum = shape.momentum.decimalValue
    var arguments: [KernelArgument] = [.slot(table.header)] + x + [partial, .int(other)] + biases
    arguments += try branches(block) { $0.gamma } + branches(block) { $0.beta }
    arguments += try branches(block) { $0.mean } + branches(block) { $0.variance }
    arguments += try branches(block) { $0.moving?.mean ?? $0.mean }
    arguments += try branches(block) { $0.moving?.variance ?? $0.variance }
    arguments += [
      try tensor(block.squeeze.kernel), try tensor(block.squeeze.bias),
      try tensor(block.excite.kernel), try tensor(block.excite.bias), try tensor(block.shortcut),
      try tensor(block.kept), try tensor(block.mean), try tensor(block.hidden),
      try tensor(block.scale), try tensor(block.output), .int(trains ? 1 : 0),
      .int(left == nil ? 0 : 1), .float(shape.epsilon), .float(Float(momentum)),
      .float(Float(1 - momentum)),
    ]
    arguments += dropoutArguments(block.dropout) + keyArguments
    arguments += sizes(block, groups) + [.int(chunk), .step, .live]
    commands.append(
      try kernel(
        "squeeze_block", "squeeze_block_forward", defines: defines(block, groups), arguments,
        local: [groups.items], groups: { [$0] }))
    return commands
  }

  func squeezeBlockBackward(_ gradient: SqueezeBlockGradient) throws(DeviceError) -> [Command] {
    let block = gradient.block
    let (time, channels) = (block.sequence.time, block.sequence.channels)
    let groups = ColumnGroups(channels: channels, items: groupItems(of: "squeeze_block"))
    var regions = ScratchRegions(scratch)
    let exciteGradient = regions.floats(program.capacity * channels)
    let squeezeGradient = regions.floats(program.capacity * block.units)
    let meanGradient = regions.floats(program.capacity * channels)
    let partial = regions.floats(2 * program.capacity * channels)
    let values =
      try branches(block) { $0.input } + branches(block) { $0.mean }
      + branches(block) { $0.variance }
    let settings: [KernelArgument] = [
      .float(block.branches[0].shape.epsilon), .float(keepScale(block.dropout)),
    ]
    let (kept, scale, dOutput) = (
      try tensor(block.kept), try tensor(block.scale), try tensor(gradient.outputGradient)
    )
    let sums = try kernel(
      "squeeze_block", "squeeze_block_backward_partial", defines: defines(block, groups),
      values + [
        try tensor(block.squeeze.kernel), try tensor(block.excite.kernel), kept,
        try tensor(block.hidden), scale, dOutput, exciteGradient, squeezeGradient, meanGradient,
        partial,
      ] + settings + sizes(block, groups) + [.live], local: [groups.items],
      groups: { [$0] })

    var arguments = try values + branches(block) { $0.gamma }
    arguments += [kept, scale, dOutput, meanGradient, partial]
    arguments += [
      try tensor(block.mean), try tensor(block.hidden), exciteGradient, squeezeGradient,
    ]
    for branch in gradient.branches { arguments.append(try tensor(branch.gammaGradient)) }
    for branch in gradient.branches { arguments.append(try tensor(branch.betaGradient)) }
    for branch in gradient.branches { arguments.append(try tensor(branch.inputGradient)) }
    arguments += [
      try tensor(gradient.squeeze.kernel), try tensor(gradient.squeeze.bias),
      try tensor(gradient.excite.kernel), try tensor(gradient.excite.bias),
    ]
    // The dense layers' gradients take groups of their own, an element a column.
    let elements = 2 * channels * block.units + channels + block.units
    let denseGroups = (elements + groups.width - 1) / groups.width
    let denseRows = (denseGroups + groups.columns - 1) / groups.columns
    arguments += settings + sizes(block, groups) + [.int(denseRows), .live]
    let tile = 4 * groups.lanes
    let apply = try kernel(
      "squeeze_block", "squeeze_block_backward_apply", defines: defines(block, groups),
      arguments, local: [groups.items, 1],
      groups: {
        let sharing = groups.sharing(tiles: ($0 * time + tile - 1) / tile)
        return [groups.columns, denseRows + sharing]
      })
    return [sums, apply]
  }

  /// What the convolutions of both branches left, where both did and cut alike.
  private func leftStatistics(
    of block: SqueezeBlock
  ) -> (partial: KernelArgument, other: Int, chunk: Int, biases: [KernelArgument])? {
    let left = block.branches.compactMap { leftStatistics[$0.input] }
    guard left.count == 2, left[0].chunk == left[1].chunk,
      case .region(let slot, let first, _) = left[0].partial,
      case .region(let otherSlot, let second, _) = left[1].partial, slot === otherSlot
    else { return nil }
    return (left[0].partial, second - first, left[0].chunk, left.compactMap(\.bias))
  }

  // MARK: Arguments

  private func branches(
    _ block: SqueezeBlock, _ tensorOf: (NormBlock) -> TensorID
  ) throws(DeviceError) -> [KernelArgument] {
    var result: [KernelArgument] = []
    for branch in block.branches { result.append(try tensor(tensorOf(branch))) }
    return result
  }

  private func sizes(_ block: SqueezeBlock, _ groups: ColumnGroups) -> [KernelArgument] {
    [
      .int(block.sequence.time), .int(block.branches[0].shape.channels),
      .int(block.sequence.channels), .int(block.units), .int(groups.width),
    ]
  }

  private func defines(_ block: SqueezeBlock, _ groups: ColumnGroups) -> [String: Int] {
    [
      "TIME": block.sequence.time, "FIRST": block.branches[0].shape.channels,
      "CHANNELS": block.sequence.channels, "UNITS": block.units, "WIDTH": groups.width,
    ]
  }
}
