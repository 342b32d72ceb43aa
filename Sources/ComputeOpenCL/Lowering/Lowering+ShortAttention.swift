import Compute

/// Attention of which only the mean over time is used: the kernels of `attention_short.cl`, between
/// them our own products, a launch each: CLBlast takes several for matrices that begin anywhere.
/// Those that make scores have another form on tensor cores, see `Lowering+TensorCoreAttention`.
extension Lowering {
  func shortAttention(_ attention: AttentionMean) throws(DeviceError) -> [Command] {
    let weights = attention.parameters.queryKernel
    let isTrained = program.operations.contains {
      if case .attentionBackward(let op) = $0 {
        op.parameters.queryKernel == weights
      } else {
        false
      }
    }
    var regions = ScratchRegions(scratch)
    let (commands, parts) = try shortParts(
      attention, onTensorCores: usesTensorCores(attention.shape, [attention.input]),
      output: tensor(attention.mean), isKept: isTrained, &regions)
    if isTrained { leftAttention[weights] = parts }
    return commands
  }

  func shortAttentionBackward(
    _ attention: AttentionMeanGradient
  ) throws(DeviceError) -> [Command] {
    let shape = attention.shape
    let input = try tensor(attention.input)
    let onCores = try usesTensorCores(shape, [attention.input, attention.inputGradient])
    var regions = ScratchRegions(scratch)
    var commands: [Command] = []
    let parts: ShortAttentionScratch
    if let left = leftAttention[attention.parameters.queryKernel],
      left.isOnTensorCores == onCores
    {
      parts = left
    } else {
      let unused = regions.floats(program.capacity * shape.outputChannels)
      (commands, parts) = try shortParts(
        AttentionMean(
          shape: shape, input: attention.input, parameters: attention.parameters,
          mean: attention.meanGradient), onTensorCores: onCores, output: unused, isKept: false,
        &regions)
    }
    let gradients = ShortAttentionGradients(
      shape, capacity: program.capacity, onTensorCores: onCores, &regions)
    commands.append(try shortMeanGradient(attention, input, gradients))
    if onCores {
      commands += [
        try tensorCoreRows(shape, input, parts, gradients: gradients),
        try tensorCoreInputGradient(attention, input, parts, gradients),
      ]
    } else {
      commands += [
        try shortRows(shape, input, parts, gradient: gradients),
        try shortQueryGradient(attention, input, parts, gradients),
      ]
      commands += try shortInputGradient(attention, parts, gradients, regions)
      commands.append(try shortKeyGradient(attention, input, parts, gradients))
    }
    commands += try shortWeightsGradient(shape, input, gradients, regions)
    return try commands + [shortKernelGradients(attention, parts, gradients)]
  }

  /// The forward pass, and what it leaves.
  private func shortParts(
    _ attention: AttentionMean, onTensorCores: Bool, output: KernelArgument, isKept: Bool,
    _ regions: inout ScratchRegions
  ) throws(DeviceError) -> ([Command], ShortAttentionScratch) {
    let (shape, input) = (attention.shape, try tensor(attention.input))
    let parts = ShortAttentionScratch(
      shape, capacity: program.capacity, onTensorCores: onTensorCores, isKept: isKept, &regions)
    var commands = [try shortWeights(shape, input, attention.parameters, parts)]
    if onTensorCores {
      commands += [
        try tensorCoreRows(shape, input, parts, gradients: nil),
        try tensorCoreMean(shape, input, parts),
      ]
    } else {
      commands += try shortQueries(shape, input, parts, regions)
      commands += [
        try shortRows(shape, input, parts, gradient: nil), try shortMean(shape, input, parts),
      ]
    }
    commands.append(
      try shortOutput(shape, input, attention.parameters, parts, output: output))
    return (commands, parts)
  }

  // MARK: Forward

  /// M and m.
  ///
  /// - Parameter input: not read: where it is stored as halves, the other kernels of the file are
  ///   built for that, and this one is in their program.
  private func shortWeights(
    _ shape: AttentionShape, _ input: KernelArgument, _ parameters: AttentionParameters,
    _ parts: ShortAttentionScratch
  ) throws(DeviceError) -> Command {
    let count = (shape.channels + 1) * shape.heads * shape.channels
    return try kernel(
      "attention_short", "attention_short_weights", defines: shape.shortDefines,
      [
        try tensor(parameters.queryKernel), try tensor(parameters.queryBias),
        try tensor(parameters.keyKernel), parts.weights.memory,
        parts.halves ?? parts.weights.memory, .int(parts.halves == nil ? 0 : 1),
        .float(shape.scale), .int(shape.channels), .int(shape.heads), .int(shape.keySize),
      ], local: [64], storage: storage(with: input), groups: { _ in [(count + 63) / 64] })
  }

  /// Q = X·M + m.
  private func shortQueries(
    _ shape: AttentionShape, _ input: KernelArgument, _ parts: ShortAttentionScratch,
    _ regions: ScratchRegions
  ) throws(DeviceError) -> [Command] {
    try product(
      MatrixProduct(
        form: .plain, rows: .live(times: shape.time), columns: shape.heads * shape.channels,
        depth: .fixed(shape.channels), a: Matrix(memory: input, stride: shape.channels),
        b: parts.weights, c: parts.queries, bias: parts.offsets), regions: regions,
      library: false)
  }

  private func shortRows(
    _ shape: AttentionShape, _ input: KernelArgument, _ parts: ShortAttentionScratch,
    gradient: ShortAttentionGradients?
  ) throws(DeviceError) -> Command {
    return try short(
      "attention_short_rows", shape,
      [
        parts.queries.memory, input, gradient?.ofMean ?? parts.statistics, parts.statistics,
        .int(gradient == nil ? 0 : 1),
      ] + dropoutArguments(shape),
      last: shape.heads,
      groups: { [shape.tiles, $0 * shape.heads, 1] })
  }

  private func shortMean(
    _ shape: AttentionShape, _ input: KernelArgument, _ parts: ShortAttentionScratch
  ) throws(DeviceError) -> Command {
    try short(
      "attention_short_mean", shape,
      [parts.queries.memory, input, parts.statistics, parts.mean] + dropoutArguments(shape),
      last: shape.heads, groups: { [shape.tiles, $0 * shape.heads, 1] })
  }

  /// z, the context, and the output.
  private func shortOutput(
    _ shape: AttentionShape, _ input: KernelArgument, _ parameters: AttentionParameters,
    _ parts: ShortAttentionScratch, output: KernelArgument
  ) throws(DeviceError) -> Command {
    return try kernel(
      "attention_short", "attention_short_output", defines: shape.shortDefines,
      [
        input, parts.mean, try tensor(parameters.valueKernel), try tensor(parameters.valueBias),
        try tensor(parameters.outputKernel), try tensor(parameters.outputBias), parts.values,
        parts.context, output, .int(shape.time), .int(shape.channels), .int(shape.heads),
        .int(shape.keySize), .int(shape.outputChannels), .live,
      ], local: [groupSize(256, in: "attention_short")], groups: { [$0] })
  }

  // MARK: Backward

  private func shortMeanGradient(
    _ attention: AttentionMeanGradient, _ input: KernelArgument,
    _ gradients: ShortAttentionGradients
  ) throws(DeviceError) -> Command {
    let shape = attention.shape
    return try kernel(
      "attention_short_backward", "attention_short_mean_backward", defines: shape.shortDefines,
      [
        input, try tensor(attention.meanGradient),
        try tensor(attention.parameters.valueKernel),
        try tensor(attention.parameters.valueBias),
        try tensor(attention.parameters.outputKernel), gradients.ofContext, gradients.ofValues,
        gradients.ofMean, .int(shape.time), .int(shape.channels), .int(shape.heads),
        .int(shape.keySize), .int(shape.outputChannels), .liveTimes(shape.heads),
      ], local: [64], groups: { [$0 * shape.heads] })
  }

  private func shortQueryGradient(
    _ attention: AttentionMeanGradient, _ input: KernelArgument,
    _ parts: ShortAttentionScratch, _ gradients: ShortAttentionGradients
  ) throws(DeviceError) -> Command {
    let shape = attention.shape
    return try short(
      "attention_short_query_backward", shape,
      [
        parts.queries.memory, input, parts.statistics, gradients.ofMean,
        gradients.ofQueries.memory,
      ] + dropoutArguments(shape), last: shape.heads,
      groups: { [shape.tiles, $0 * shape.heads, shape.chunks] })
  }

  /// X's gradient as what Q is made of.
  private func shortInputGradient(
    _ attention: AttentionMeanGradient, _ parts: ShortAttentionScratch,
    _ gradients: ShortAttentionGradients, _ regions: ScratchRegions
  ) throws(DeviceError) -> [Command] {
    let shape = attention.shape
    let whole = Matrix(memory: try tensor(attention.inputGradient), stride: shape.channels)
    return try product(
      MatrixProduct(
        form: .rightTurned, rows: .live(times: shape.time), columns: shape.channels,
        depth: .fixed(shape.heads * shape.channels), a: gradients.ofQueries, b: parts.weights,
        c: whole), regions: regions, library: false)
  }

  /// Those of M and m, from the gradient of Q.
  private func shortWeightsGradient(
    _ shape: AttentionShape, _ input: KernelArgument, _ gradients: ShortAttentionGradients,
    _ regions: ScratchRegions
  ) throws(DeviceError) -> [Command] {
    let product = MatrixProduct(
      form: .leftTurned, rows: .fixed(shape.channels), columns: shape.heads * shape.channels,
      depth: .live(times: shape.time), a: Matrix(memory: input, stride: shape.channels),
      b: gradients.ofQueries, c: gradients.ofWeights, columnSums: gradients.ofOffsets)
    if let commands = try tensorCoreColumnsProduct(product, regions: regions) { return commands }
    return try self.product(product, regions: regions, library: false)
  }

  /// Adds X's gradient as the keys that the scores are made with, and as what p averages.
  private func shortKeyGradient(
    _ attention: AttentionMeanGradient, _ input: KernelArgument,
    _ parts: ShortAttentionScratch, _ gradients: ShortAttentionGradients
  ) throws(DeviceError) -> Command {
    let shape = attention.shape
    return try short(
      "attention_short_key_backward", shape,
      [
        parts.queries.memory, input, parts.statistics, gradients.ofMean,
        gradients.ofValues, parts.mean, try tensor(attention.inputGradient),
      ] + dropoutArguments(shape), last: 1, groups: { [shape.tiles, $0, shape.chunks] })
  }

  private func shortKernelGradients(
    _ attention: AttentionMeanGradient, _ parts: ShortAttentionScratch,
    _ gradients: ShortAttentionGradients
  ) throws(DeviceError) -> Command {
    let (shape, p, d) = (attention.shape, attention.parameters, attention.gradients)
    let width = shape.heads * shape.keySize
    let count = (shape.channels + 1) * width + (width + 1) * shape.outputChannels
    return try kernel(
      "attention_short_backward", "attention_short_kernels_backward", defines: shape.shortDefines,
      [
        gradients.ofWeights.memory, try tensor(p.queryKernel), try tensor(p.queryBias),
        try tensor(p.keyKernel), parts.values, gradients.ofContext, parts.context,
        try tensor(attention.meanGradient), try tensor(d.queryKernel), try tensor(d.queryBias),
        try tensor(d.keyKernel), try tensor(d.keyBias), try tensor(d.valueKernel),
        try tensor(d.valueBias), try tensor(d.outputKernel), try tensor(d.outputBias),
        .float(shape.scale / gradients.gain), .int(shape.channels), .int(shape.heads),
        .int(shape.keySize), .int(shape.outputChannels), .live,
      ], local: [64], storage: storage(with: try tensor(attention.input)),
      groups: { _ in [(count + 63) / 64] })
  }

  // MARK: Arguments

  /// What a kernel is built with that has a program with those of an input.
  private func storage(with input: KernelArgument) -> [String: Int] {
    input.isHalf ? ["HALF_STORAGE": 1] : [:]
  }

  /// A kernel that computes tiles of scores: groups of 8 × 8 items; its last argument counts the
  /// live samples or their heads.
  private func short(
    _ name: String, _ shape: AttentionShape, _ arguments: [KernelArgument],
    last factor: Int, groups: @escaping (_ live: Int) -> [Int]
  ) throws(DeviceError) -> Command {
    // The scores are made in each, and in the backward pass a product with their gradient.
    let products = name.hasSuffix("_backward") ? 2 : 1
    let perSample = 2 * products * shape.heads * shape.time * shape.time * shape.channels
    let sizes: [KernelArgument] = [.int(shape.time), .int(shape.channels), .int(shape.heads)]
    return try kernel(
      name.hasSuffix("_backward") ? "attention_short_backward" : "attention_short", name,
      defines: shape.shortDefines,
      arguments + sizes + [.liveTimes(factor)], local: [8, 8, 1], groups: groups,
      products: { $0 * perSample })
  }

  func dropoutArguments(_ shape: AttentionShape) -> [KernelArgument] {
    [
      .slot(table.header), .uint(Philox.dropoutThreshold(rate: shape.dropoutRate)),
      .float(Float(1 / (1 - shape.dropoutRate.decimalValue))), .uint(shape.stream),
    ] + keyArguments + [.step]
  }
}

/// What both passes need; in scratch.
struct ShortAttentionScratch {
  let isOnTensorCores: Bool
  /// `[C + 1, H, C]`: M, and m as its last row.
  let weights: Matrix
  /// m.
  let offsets: KernelArgument
  /// The weights again as halves, for tensor cores.
  let halves: KernelArgument?
  /// Q `[B, T, H, C]`, halves where tensor cores make it.
  let queries: Matrix
  /// `[B, H, T, 4]`: each pass makes its own.
  let statistics: KernelArgument
  /// p `[B, H, T]`.
  let mean: KernelArgument
  /// `[B, H, C + 1]`.
  let values: KernelArgument
  /// `[B, H, K]`.
  let context: KernelArgument

  /// - Parameter isKept: for the backward pass.
  init(
    _ shape: AttentionShape, capacity: Int, onTensorCores: Bool, isKept: Bool,
    _ regions: inout ScratchRegions
  ) {
    let (T, C, H) = (shape.time, shape.channels, shape.heads)
    func floats(_ count: Int, isHalf: Bool = false) -> KernelArgument {
      regions.floats(count, isHalf: isHalf, isKept: isKept)
    }
    isOnTensorCores = onTensorCores
    weights = Matrix(memory: floats((C + 1) * H * C), stride: H * C)
    offsets = weights.advanced(by: C * H * C).memory
    halves = onTensorCores ? floats((C + 1) * H * C, isHalf: true) : nil
    queries = Matrix(memory: floats(capacity * T * H * C, isHalf: onTensorCores), stride: H * C)
    statistics = floats(capacity * H * T * 4)
    mean = floats(capacity * H * T)
    values = floats(capacity * H * (C + 1))
    context = floats(capacity * H * shape.keySize)
  }
}

/// What the backward pass makes; in scratch. What is made of the gradient of Q is, as that is, times
/// `gain`.
struct ShortAttentionGradients {
  /// That of p `[B, H, T]`.
  let ofMean: KernelArgument
  /// `[B, H, K]`, `[B, H, C + 1]`.
  let ofContext, ofValues: KernelArgument
  /// `[B, T, H, C]`, halves where tensor cores make it.
  let ofQueries: Matrix
  /// `[C + 1, H, C]`.
  let ofWeights: Matrix
  /// Its last row.
  let ofOffsets: KernelArgument
  let gain: Float
  /// What the dropout keeps, a bit an element, for tensor cores: `[B, H, T]` rows of whole tiles.
  let bits: KernelArgument?

  init(
    _ shape: AttentionShape, capacity: Int, onTensorCores: Bool, _ regions: inout ScratchRegions
  ) {
    let (T, C, H) = (shape.time, shape.channels, shape.heads)
    gain = onTensorCores ? shape.gain : 1
    bits = onTensorCores ? regions.floats(capacity * H * T * shape.wordsPerRow) : nil
    ofMean = regions.floats(capacity * H * T)
    ofContext = regions.floats(capacity * H * shape.keySize)
    ofValues = regions.floats(capacity * H * (C + 1))
    ofQueries = Matrix(
      memory: regions.floats(capacity * T * H * C, isHalf: onTensorCores), stride: H * C)
    ofWeights = Matrix(memory: regions.floats((C + 1) * H * C), stride: H * C)
    ofOffsets = ofWeights.advanced(by: C * H * C).memory
  }
}

extension AttentionShape {
  fileprivate var scale: Float { 1 / Float(keySize).squareRoot() }
  /// Groups that share the steps, and the channels: `SPAN` and `CHUNK` of the kernels.
  fileprivate var tiles: Int { (time + 31) / 32 }
  fileprivate var chunks: Int { (channels + 63) / 64 }
  fileprivate var shortDefines: [String: Int] {
    ["TIME": time, "CHANNELS": channels, "HEADS": heads]
  }
}
