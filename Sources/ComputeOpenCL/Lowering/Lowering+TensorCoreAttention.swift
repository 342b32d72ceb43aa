import Compute

/// The short form of attention on tensor cores, where the device has them and the shape fits: the
/// kernels of `tensor_core_attention.cl`, which make Q and its gradient where they need them.
extension Lowering {
  /// - Parameter activations: that the kernels read and write.
  func usesTensorCores(
    _ shape: AttentionShape, _ activations: [TensorID]
  ) throws(DeviceError) -> Bool {
    try offsetsForTensorCores(activations).map { TensorCoreTile.fits(shape, offsets: $0) } ?? false
  }

  /// Q and the statistics of the rows; the dropout's bits where gradients are wanted.
  func tensorCoreRows(
    _ shape: AttentionShape, _ input: KernelArgument, _ parts: ShortAttentionScratch,
    gradients: ShortAttentionGradients?
  ) throws(DeviceError) -> Command {
    try tensorCoreKernel(
      "attention_short_rows", shape,
      [
        input, parts.halves ?? parts.weights.memory, parts.offsets, parts.queries.memory,
        gradients?.ofMean ?? parts.statistics, parts.statistics,
        gradients?.bits ?? parts.statistics, .int(gradients == nil ? 0 : 1),
      ] + dropoutArguments(shape), each: shape.heads,
      products: shape.queryProduct + shape.scoreProduct)
  }

  /// p.
  func tensorCoreMean(
    _ shape: AttentionShape, _ input: KernelArgument, _ parts: ShortAttentionScratch
  ) throws(DeviceError) -> Command {
    try tensorCoreKernel(
      "attention_short_mean", shape,
      [parts.queries.memory, input, parts.statistics, parts.mean] + dropoutArguments(shape),
      each: shape.heads, products: shape.scoreProduct)
  }

  /// All of X's gradient, and that of Q.
  func tensorCoreInputGradient(
    _ attention: AttentionMeanGradient, _ input: KernelArgument, _ parts: ShortAttentionScratch,
    _ gradients: ShortAttentionGradients
  ) throws(DeviceError) -> Command {
    let shape = attention.shape
    return try tensorCoreKernel(
      "attention_short_input_backward", shape,
      [
        parts.queries.memory, input, parts.halves ?? parts.weights.memory, parts.statistics,
        gradients.bits ?? parts.statistics, gradients.ofMean, gradients.ofValues,
        gradients.ofQueries.memory, parts.mean, try tensor(attention.inputGradient),
        .float(shape.dropoutScale), .float(gradients.gain),
      ], each: 1, products: shape.queryProduct + 4 * shape.scoreProduct)
  }

  /// - Parameters:
  ///   - factor: groups a sample for each tile of steps.
  ///   - products: operations a sample.
  private func tensorCoreKernel(
    _ name: String, _ shape: AttentionShape, _ arguments: [KernelArgument], each factor: Int,
    products: Int
  ) throws(DeviceError) -> Command {
    try kernel(
      "tensor_core_attention", name, defines: ["TIME": shape.time, "HEADS": shape.heads],
      arguments + [.int(shape.time), .int(shape.heads), .liveTimes(factor)], local: [128, 1, 1],
      storage: (device.tensorCoreDefines ?? [:]).merging(["CHANNELS": shape.channels]) { $1 },
      groups: { [shape.tensorCoreTiles, $0 * factor, 1] }, products: { $0 * products })
  }
}

extension TensorCoreTile {
  /// Whether the kernels for attention take a shape: their tiles hold lines of up to 64 channels.
  ///
  /// - Parameter offsets: elements at which the tensors of halves begin.
  static func fits(_ shape: AttentionShape, offsets: [Int]) -> Bool {
    shape.channels % 16 == 0 && shape.channels <= 64 && offsets.allSatisfy { $0 % chunk == 0 }
  }
}

extension AttentionShape {
  var dropoutScale: Float { Float(1 / (1 - dropoutRate.decimalValue)) }
  /// By what gradients of scores are multiplied before they are rounded to halves: they are divided
  /// by the number of steps, and shares of a row besides, which would leave the smallest too few
  /// digits; but not so much that a score with all of a row's weight overflows.
  var gain: Float { Float(1 << max(0, (time / 8).bitWidth - 1 - (time / 8).leadingZeroBitCount)) }
  /// `SPAN` of the kernels on tensor cores.
  fileprivate var tensorCoreTiles: Int { (time + 63) / 64 }
  /// Of the dropout's bits, whole tiles.
  var wordsPerRow: Int { 2 * tensorCoreTiles }
  /// Operations a sample.
  fileprivate var queryProduct: Int { 2 * heads * time * channels * channels }
  fileprivate var scoreProduct: Int { 2 * heads * time * time * channels }
}
