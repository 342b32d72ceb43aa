import Compute

extension Layers {
  /// Self-attention, `[T, C]` → `[T, C]`: `keras.layers.MultiHeadAttention` whose query, key and
  /// value are the one input.
  public struct MultiHeadAttention: NetworkLayer {
    public static let classNames = ["MultiHeadAttention"]
    public static let automaticName = "multi_head_attention"
    public static let inputCount = LayerInputCount.one
    public static let callForm = LayerCallForm.twice

    public var heads: Int
    public var keySize: Int
    public var dropout: Float

    public init(heads: Int, keySize: Int, dropout: Float) {
      self.heads = heads
      self.keySize = keySize
      self.dropout = dropout
    }

    public func fault() -> String? {
      faulty(sizes: [heads, keySize]) ?? faulty(dropoutRate: dropout)
    }

    public func outputShape(_ inputs: [[Int]]) throws(LayerShapeError) -> [Int] {
      _ = try sequence(inputs)
      return inputs[0]
    }

    public func variables(_ inputs: [[Int]]) -> [LayerVariable] {
      let channels = inputs[0].last ?? 0
      // Keras takes the first axis of a rank-3 kernel as its receptive field.
      let projection = WeightSpec.Initializer.glorotUniform(
        fanIn: channels * heads, fanOut: channels * keySize)
      let output = WeightSpec.Initializer.glorotUniform(
        fanIn: heads * keySize, fanOut: heads * channels)
      return ["query", "key", "value"].flatMap {
        [
          LayerVariable(
            "\($0)/kernel", [channels, heads, keySize], projection, sublayer: "\($0)_dense"),
          LayerVariable("\($0)/bias", [heads, keySize], sublayer: "\($0)_dense"),
        ]
      } + [
        LayerVariable(
          "attention_output/kernel", [heads, keySize, channels], output, sublayer: "output_dense"),
        LayerVariable("attention_output/bias", [channels], sublayer: "output_dense"),
      ]
    }

    public func forward(_ build: inout PlanBuilder) -> LayerTrace {
      let shape = shape(build)
      let perHead = [shape.time, heads, keySize]
      let activations = AttentionActivations(
        query: build.activation(of: "query", perHead), key: build.activation(of: "key", perHead),
        value: build.activation(of: "value", perHead),
        probabilities: build.activation(of: "probabilities", [heads, shape.time, shape.time]),
        context: build.activation(of: "context", perHead))
      let output = build.output()
      build.operations.append(
        .attentionForward(
          .init(
            shape, input: build.input(), parameters: Self.parameters { build.weight($0) },
            activations: activations, output: output)))
      return LayerTrace(output: output, kept: activations.all)
    }

    public func backward(
      _ build: inout PlanBuilder, _ trace: LayerTrace, outputGradient: TensorID, wanted: [Bool]
    ) -> [TensorID?] {
      let gradient = build.inputGradient()
      let kept = trace.kept
      build.operations.append(
        .attentionBackward(
          .init(
            shape(build), input: build.input(), outputGradient: outputGradient,
            parameters: Self.parameters { build.weight($0) },
            activations: AttentionActivations(
              query: kept[0], key: kept[1], value: kept[2], probabilities: kept[3],
              context: kept[4]),
            inputGradient: gradient, gradients: Self.parameters { build.gradient($0) })))
      return [gradient]
    }

    private func shape(_ build: PlanBuilder) -> AttentionShape {
      let input = build.inputSequence
      return AttentionShape(
        time: input.time, channels: input.channels, heads: heads, keySize: keySize,
        outputChannels: input.channels, dropoutRate: build.regularizes ? dropout : 0,
        stream: build.stream)
    }

    private static func parameters(_ tensor: (Int) -> TensorID) -> AttentionParameters {
      AttentionParameters(
        queryKernel: tensor(0), queryBias: tensor(1), keyKernel: tensor(2), keyBias: tensor(3),
        valueKernel: tensor(4), valueBias: tensor(5), outputKernel: tensor(6),
        outputBias: tensor(7))
    }

    public static func read(
      _ config: LayerConfig, shapes: [[Int]]
    ) throws(LayerConfigError) -> LayerReading {
      let keySize = try config.int("key_dim")
      try config.expect("value_dim", .integer(keySize), nil)
      try config.expect("use_bias", true)
      try config.expect("attention_axes", nil, [1], 1)
      if let channels = shapes.first?.last {
        try config.expect("output_shape", nil, .integer(channels), [.integer(channels)])
      }
      // `flash_attention` chooses how the same function is computed.
      try config.refuseUnknown(besides: [
        "num_heads", "key_dim", "value_dim", "dropout", "use_bias", "output_shape",
        "attention_axes", "flash_attention",
      ])
      return .attention(
        MultiHeadAttention(
          heads: try config.int("num_heads"), keySize: keySize,
          dropout: try config.float("dropout")))
    }

    public func settings(_ inputs: [[Int]]) -> [String: JSONValue] {
      let own: [String: JSONValue] = [
        "num_heads": .integer(heads), "key_dim": .integer(keySize),
        "value_dim": .integer(keySize), "dropout": .number(dropout), "output_shape": nil,
        "attention_axes": nil, "activity_regularizer": nil, "seed": nil,
      ]
      return own.withKernelAndBias(l2: 0)
    }
  }
}
