import Compute

extension OperationCase {
  /// Forward and backward of multi-head self-attention.
  ///
  /// - Parameter averages: appends the mean over time that follows in the published network, which
  ///   lets a device take the short form.
  /// - Parameter contrast: a power of two, of the size of the scores; all that they are made of is
  ///   coarse then, so that they are exact. At 64 their exponentials are beyond single precision,
  ///   unless the largest of a row is subtracted.
  public static func attention(
    _ shape: AttentionShape, capacity: Int, live: Int, averages: Bool = false,
    contrast: Float? = nil
  ) -> OperationCase {
    var build = CaseBuilder(capacity: capacity)
    let (T, C, H, K, O) = (
      shape.time, shape.channels, shape.heads, shape.keySize, shape.outputChannels
    )
    let x = build.input("input", [T, C], contrast == nil ? .uniform(1) : .coarse(1))
    let (values, gradients) = build.attentionParameters(shape, contrast: contrast)
    let activations = AttentionActivations(
      query: build.activation("query", [T, H, K]), key: build.activation("key", [T, H, K]),
      value: build.activation("value", [T, H, K]),
      probabilities: build.activation("probabilities", [H, T, T]),
      context: build.activation("context", [T, H, K]))
    let mean = SequenceShape(time: T, channels: O)
    let result = build.output("output", averages ? [O] : [T, O])
    let y = averages ? build.activation("sequence", [T, O]) : result.value
    let dY = averages ? build.activation("sequence_gradient", [T, O]) : result.gradient
    build.operations = [
      .attentionForward(
        AttentionForward(
          shape, input: x.value, parameters: values, activations: activations, output: y))
    ]
    if averages {
      build.operations += [
        .meanOverTimeForward(MeanOverTimeForward(mean, input: y, output: result.value)),
        .meanOverTimeBackward(
          MeanOverTimeBackward(mean, outputGradient: result.gradient, inputGradient: dY)),
      ]
    }
    build.operations.append(
      .attentionBackward(
        AttentionBackward(
          shape, input: x.value, outputGradient: dY, parameters: values,
          activations: activations, inputGradient: x.gradient, gradients: gradients)))
    build.useIteration(300, step: 1)
    return build.build(
      averages ? .attentionMean : .attention,
      "\(H) heads of \(K), \(C) → \(O), T \(T), "
        + "dropout \(shape.dropoutRate)\(contrast.map { ", contrast \($0)" } ?? ""), "
        + "\(live)/\(capacity)", isList: true, axes: [.time: T, .channels: C],
      tags: Set(
        (shape.dropoutRate > 0 ? [.dropsOut] : []) + (contrast == nil ? [] : [.highContrast])),
      live: live)
  }

  private static func attention(
    _ time: Int, _ channels: Int, _ heads: Int, _ keySize: Int, _ outputs: Int, _ rate: Float,
    _ capacity: Int, _ live: Int, averages: Bool = false, contrast: Float? = nil
  ) -> OperationCase {
    attention(
      AttentionShape(
        time: time, channels: channels, heads: heads, keySize: keySize, outputChannels: outputs,
        dropoutRate: rate, stream: RandomStream.firstLayer + 9),
      capacity: capacity, live: live, averages: averages, contrast: contrast)
  }

  static var awkwardAttention: [OperationCase] {
    [
      attention(1, 1, 1, 1, 1, 0, 1, 1),
      attention(1, 3, 2, 4, 3, 0.3, 2, 2),
      attention(5, 7, 3, 2, 7, 0, 2, 2),
      attention(7, 7, 2, 5, 4, 0.3, 3, 2),
      attention(9, 33, 1, 7, 33, 0.5, 2, 1),
      attention(7, 6, 2, 3, 6, 0, 3, 2, averages: true),
      attention(9, 7, 4, 5, 7, 0.3, 3, 2, averages: true),
      attention(1, 4, 2, 3, 4, 0.3, 2, 2, averages: true),
      // More rows, columns and channels than one tile or one turn of a loop takes.
      attention(70, 5, 2, 4, 4, 0.3, 3, 2, contrast: 64),
      attention(33, 70, 2, 3, 5, 0.3, 3, 2, averages: true),
      attention(70, 5, 2, 4, 4, 0.3, 3, 2, averages: true, contrast: 64),
      attention(5, 6, 1, 66, 3, 0, 2, 2, averages: true),
      // Rows whose scores are all far below zero.
      attention(2, 6, 4, 3, 3, 0.3, 9, 8, averages: true, contrast: 64),
      // One sample's one head; more channels than a tile.
      attention(3, 66, 1, 2, 3, 0.3, 2, 1, averages: true),
      // As tensor cores want them.
      attention(70, 16, 3, 4, 4, 0.3, 3, 2, averages: true, contrast: 64),
      attention(17, 64, 1, 9, 7, 0.3, 3, 2, averages: true),
      attention(33, 48, 2, 4, 3, 0, 2, 2, averages: true),
      attention(66, 16, 1, 2, 2, 0.3, 2, 1, averages: true),
    ]
  }

  static func modelAttention(batch: Int) -> [OperationCase] {
    [
      attention(204, 64, 4, 64, 64, 0.3, batch, batch),
      attention(204, 64, 4, 64, 64, 0.3, batch, batch, averages: true),
      attention(204, 64, 4, 64, 64, 0, batch, batch, averages: true),
    ]
  }
}

extension CaseBuilder {
  /// The eight weights and their gradients.
  fileprivate mutating func attentionParameters(
    _ shape: AttentionShape, contrast: Float?
  ) -> (values: AttentionParameters, gradients: AttentionParameters) {
    let (C, H, K, O) = (shape.channels, shape.heads, shape.keySize, shape.outputChannels)
    let fan = Fill.uniform(OperationCase.fanScale(C))
    let pairs =
      [
        ("query", contrast.map(Fill.coarse) ?? fan), ("key", contrast == nil ? fan : .coarse(1)),
        ("value", fan),
      ].flatMap { name, kernel in
        // Biases first: what is read beyond a kernel is not its bias by chance.
        let bias = parameter(
          "\(name)_bias", [H, K], contrast == nil ? .uniform(0.5) : .coarse(1))
        return [parameter("\(name)_kernel", [C, H, K], kernel), bias]
      } + [
        parameter("output_kernel", [H, K, O], .uniform(OperationCase.fanScale(H * K))),
        parameter("output_bias", [O], .uniform(0.5)),
      ]
    func collect(_ tensor: (OperationCase.Pair) -> TensorID) -> AttentionParameters {
      let ids = pairs.map(tensor)
      return AttentionParameters(
        queryKernel: ids[0], queryBias: ids[1], keyKernel: ids[2], keyBias: ids[3],
        valueKernel: ids[4], valueBias: ids[5], outputKernel: ids[6], outputBias: ids[7])
    }
    return (collect(\.value), collect(\.gradient))
  }
}
