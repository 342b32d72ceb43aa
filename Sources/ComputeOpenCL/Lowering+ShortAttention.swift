import Compute

/// Attention of which only the mean over time is used: the kernels of `attention_short.cl`, between
/// them our own products, a launch each: CLBlast takes several for matrices that begin anywhere.
/// Those that make scores have another form on tensor cores, see `Lowering+TensorCoreAttention`.
extension Lowering {
  func shortAttention(_ attention: AttentionMean) throws(DeviceError) -> [Command] {
    let shape = attention.shape
    let input = try tensor(attention.input)
    var regions = ScratchRegions(scratch)
    let onCores = try usesTensorCores(shape, [attention.input])
    let parts = ShortAttentionScratch(
      shape, capacity: program.capacity, onTensorCores: onCores, &regions)
    let mean = regions.floats(program.capacity * shape.heads * shape.time)
    var commands = [try shortWeights(shape, attention.parameters, parts)]
    if onCores {
      commands += [
        try tensorCoreRows(shape, input, parts, gradients: nil),
        try tensorCoreMean(shape, input, parts, mean: mean),
      ]
    } else {
      commands += try shortQueries(shape, input, parts, regions)
      commands += [
        try shortRows(shape, input, parts, gradient: nil),
        try shortMean(shape, input, parts, mean: mean),
      ]
    }
    commands.append(try shortContext(shape, input, mean, attention.parameters, parts))
    commands.append(
      try elements(
        "attention_short", "attention_short_output",
        [
          parts.context, try tensor(attention.parameters.outputKernel),
          try tensor(attention.parameters.outputBias), try tensor(attention.mean),
          .int(shape.heads * shape.keySize), .int(shape.outputChannels),
        ], perSample: shape.outputChannels))
    return commands
  }

  func shortAttentionBackward(
    _ attention: AttentionMeanGradient
  ) throws(DeviceError) -> [Command] {
    let shape = attention.shape
    let input = try tensor(attention.input)
    var regions = ScratchRegions(scratch)
    let onCores = try usesTensorCores(shape, [attention.input, attention.inputGradient])
    let parts = ShortAttentionScratch(
      shape, capacity: program.capacity, onTensorCores: onCores, &regions)
    let gradients = ShortAttentionGradients(
      shape, capacity: program.capacity, onTensorCores: onCores, &regions)
    var commands = [try shortWeights(shape, attention.parameters, parts)]
    if onCores {
      commands += [
        try shortMeanGradient(attention, input, gradients),
        try tensorCoreRows(shape, input, parts, gradients: gradients),
        try tensorCoreInputGradient(attention, input, parts, gradients),
      ]
    } else {
      commands += try shortQueries(shape, input, parts, regions)
      commands += [
        try shortMeanGradient(attention, input, gradients),
        try shortRows(shape, input, parts, gradient: gradients),
        try shortQueryGradient(attention, input, parts, gradients),
      ]
      commands += try shortInputGradient(attention, parts, gradients, regions)
      commands.append(try shortKeyGradient(attention, input, parts, gradients))
    }
    commands += try shortWeightsGradient(shape, input, gradients, regions)
    return try commands + [
      shortContext(shape, input, gradients.mean, attention.parameters, parts),
      shortKernelGradients(attention, parts, gradients),
      shortOutputGradients(attention, parts),
    ]
  }

  // MARK: Forward

  /// M and m.
  private func shortWeights(
    _ shape: AttentionShape, _ parameters: AttentionParameters, _ parts: ShortAttentionScratch
  ) throws(DeviceError) -> Command {
    let count = (shape.channels + 1) * shape.heads * shape.channels
    return try kernel(
      "attention_short", "attention_short_weights", defines: shape.shortDefines,
      [
        try tensor(parameters.queryKernel), try tensor(parameters.queryBias),
        try tensor(parameters.keyKernel), parts.weights.memory,
        parts.halves ?? parts.weights.memory, .int(parts.halves == nil ? 0 : 1),
        .float(shape.scale), .int(shape.channels), .int(shape.heads), .int(shape.keySize),
      ], local: [64], groups: { _ in [(count + 63) / 64] })
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
    _ shape: AttentionShape, _ input: KernelArgument, _ parts: ShortAttentionScratch,
    mean: KernelArgument
  ) throws(DeviceError) -> Command {
    try short(
      "attention_short_mean", shape,
      [parts.queries.memory, input, parts.statistics, mean] + dropoutArguments(shape),
      last: shape.heads, groups: { [shape.tiles, $0 * shape.heads, 1] })
  }

  private func shortContext(
    _ shape: AttentionShape, _ input: KernelArgument, _ mean: KernelArgument,
    _ parameters: AttentionParameters, _ parts: ShortAttentionScratch
  ) throws(DeviceError) -> Command {
    try kernel(
      "attention_short", "attention_short_context", defines: shape.shortDefines,
      [
        input, mean, try tensor(parameters.valueKernel), try tensor(parameters.valueBias),
        parts.values, parts.context, .int(shape.time), .int(shape.channels), .int(shape.heads),
        .int(shape.keySize), .liveTimes(shape.heads),
      ], local: [64], groups: { [$0 * shape.heads] })
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

  /// Adds X's gradient as the keys that the scores are made with, and as what p averages; leaves p.
  private func shortKeyGradient(
    _ attention: AttentionMeanGradient, _ input: KernelArgument,
    _ parts: ShortAttentionScratch, _ gradients: ShortAttentionGradients
  ) throws(DeviceError) -> Command {
    let shape = attention.shape
    return try short(
      "attention_short_key_backward", shape,
      [
        parts.queries.memory, input, parts.statistics, gradients.ofMean,
        gradients.ofValues, gradients.mean, try tensor(attention.inputGradient),
      ] + dropoutArguments(shape), last: 1, groups: { [shape.tiles, $0, shape.chunks] })
  }

  private func shortKernelGradients(
    _ attention: AttentionMeanGradient, _ parts: ShortAttentionScratch,
    _ gradients: ShortAttentionGradients
  ) throws(DeviceError) -> Command {
    let (shape, p, d) = (attention.shape, attention.parameters, attention.gradients)
    let count = (shape.channels + 1) * shape.heads * shape.keySize
    return try kernel(
      "attention_short_backward", "attention_short_kernels_backward", defines: shape.shortDefines,
      [
        gradients.ofWeights.memory, try tensor(p.queryKernel), try tensor(p.queryBias),
        try tensor(p.keyKernel), parts.values, gradients.ofContext, try tensor(d.queryKernel),
        try tensor(d.queryBias), try tensor(d.keyKernel), try tensor(d.keyBias),
        try tensor(d.valueKernel), try tensor(d.valueBias), .float(shape.scale / gradients.gain),
        .int(shape.channels), .int(shape.heads), .int(shape.keySize), .live,
      ], local: [64], groups: { _ in [(count + 63) / 64] })
  }

  private func shortOutputGradients(
    _ attention: AttentionMeanGradient, _ parts: ShortAttentionScratch
  ) throws(DeviceError) -> Command {
    let shape = attention.shape
    let width = shape.heads * shape.keySize
    let count = (width + 1) * shape.outputChannels
    return try kernel(
      "attention_short_backward", "attention_short_output_backward",
      [
        parts.context, try tensor(attention.meanGradient),
        try tensor(attention.gradients.outputKernel),
        try tensor(attention.gradients.outputBias), .int(width), .int(shape.outputChannels),
        .live,
      ], local: [64], groups: { _ in [(count + 63) / 64] })
  }

  // MARK: Arguments

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

/// What both passes make; in scratch.
struct ShortAttentionScratch {
  /// `[C + 1, H, C]`: M, and m as its last row.
  let weights: Matrix
  /// m.
  let offsets: KernelArgument
  /// The weights again as halves, for tensor cores.
  let halves: KernelArgument?
  /// Q `[B, T, H, C]`, halves where tensor cores make it.
  let queries: Matrix
  /// `[B, H, T, 4]`.
  let statistics: KernelArgument
  /// `[B, H, C + 1]`.
  let values: KernelArgument
  /// `[B, H, K]`.
  let context: KernelArgument

  init(
    _ shape: AttentionShape, capacity: Int, onTensorCores: Bool, _ regions: inout ScratchRegions
  ) {
    let (T, C, H) = (shape.time, shape.channels, shape.heads)
    weights = Matrix(memory: regions.floats((C + 1) * H * C), stride: H * C)
    offsets = weights.advanced(by: C * H * C).memory
    halves = onTensorCores ? regions.floats((C + 1) * H * C, isHalf: true) : nil
    queries = Matrix(
      memory: regions.floats(capacity * T * H * C, isHalf: onTensorCores), stride: H * C)
    statistics = regions.floats(capacity * H * T * 4)
    values = regions.floats(capacity * H * (C + 1))
    context = regions.floats(capacity * H * shape.keySize)
  }
}

/// What the backward pass makes; in scratch. What is made of the gradient of Q is, as that is, times
/// `gain`.
struct ShortAttentionGradients {
  /// p and its gradient `[B, H, T]`.
  let mean, ofMean: KernelArgument
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
    mean = regions.floats(capacity * H * T)
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
