import Compute

/// What a layer's forward pass leaves for its backward pass.
struct LayerTrace {
  /// The layer's output; for layers that only rename, their input.
  var output: TensorID
  /// Output before the activation of a dense layer.
  var linear: TensorID?
  /// Mean and variance of a normalization.
  var mean, variance: TensorID?
  var argmax: TensorID?
  var attention: AttentionActivations?
}

extension PlanBuilder {
  /// Appends all layers; returns the logits of the last one.
  mutating func appendForward(batch: TensorID) -> TensorID {
    for index in network.layers.indices {
      traces.append(forward(index, batch: batch))
    }
    guard let last = traces.last, let logits = last.linear else {
      preconditionFailure("the network \(network.name) does not end in a dense softmax layer")
    }
    return logits
  }

  /// Time and channels of a layer's first input; a vector counts as one time step.
  func inputSequence(_ index: Int) -> SequenceShape {
    sequence(network.shapes[network.layers[index].inputs[0]])
  }

  func sequence(_ shape: [Int]) -> SequenceShape {
    SequenceShape(
      time: shape.dropLast().reduce(1, *), channels: shape.last ?? 1)
  }

  func stream(_ index: Int) -> UInt32 { RandomStream.firstLayer + UInt32(index) }

  private mutating func output(_ index: Int, _ suffix: String = "output") -> TensorID {
    activation("\(network.layers[index].name)/\(suffix)", network.shapes[index])
  }

  private mutating func forward(_ index: Int, batch: TensorID) -> LayerTrace {
    let layer = network.layers[index]
    let inputs = layer.inputs.map { traces[$0].output }
    let elements = network.shapes[index].reduce(1, *)
    switch layer.kind {
    case .input:
      return LayerTrace(output: batch)
    case .reshapeToSequence:
      return LayerTrace(output: inputs[0])
    case .gaussianNoise(let deviation):
      guard isTraining && options.regularizes && deviation > 0 else {
        return LayerTrace(output: inputs[0])
      }
      let y = output(index)
      operations.append(
        .gaussianNoise(
          GaussianNoise(
            elementsPerSample: elements, deviation: deviation, stream: stream(index),
            input: inputs[0], output: y)))
      return LayerTrace(output: y)
    case .dropout(let rate):
      guard isTraining && options.regularizes && rate > 0 else {
        return LayerTrace(output: inputs[0])
      }
      let y = output(index)
      operations.append(
        .dropoutForward(DropoutForward(dropout(index, rate: rate), input: inputs[0], output: y)))
      return LayerTrace(output: y)
    case .conv1D:
      let y = output(index)
      operations.append(
        .conv1DForward(
          Conv1DForward(
            convolution(index), input: inputs[0], kernel: weight(index, 0), bias: weight(index, 1),
            output: y)))
      return LayerTrace(output: y)
    case .batchNormalization, .layerNormalization:
      return normalize(index, input: inputs[0])
    case .relu:
      let y = output(index)
      operations.append(
        .reluForward(ReluForward(elementsPerSample: elements, input: inputs[0], output: y)))
      return LayerTrace(output: y)
    case .concatenate:
      let y = output(index)
      operations.append(
        .concatenateForward(
          ConcatenateForward(
            time: network.shapes[index][0], channels: layer.inputs.map { network.shapes[$0][1] },
            inputs: inputs, output: y)))
      return LayerTrace(output: y)
    case .globalAveragePooling1D:
      let y = output(index)
      operations.append(
        .meanOverTimeForward(MeanOverTimeForward(inputSequence(index), input: inputs[0], output: y))
      )
      return LayerTrace(output: y)
    case .dense(_, let activation, _):
      return dense(index, activation: activation, input: inputs[0])
    case .multiply:
      let y = output(index)
      operations.append(
        .scaleChannelsForward(
          ScaleChannelsForward(
            inputSequence(index), input: inputs[0], scale: inputs[1], output: y)))
      return LayerTrace(output: y)
    case .add:
      let y = output(index)
      operations.append(.add(Add(elementsPerSample: elements, inputs: inputs, output: y)))
      return LayerTrace(output: y)
    case .multiHeadAttention:
      return attend(index, input: inputs[0])
    case .maxPooling1D:
      let y = output(index)
      let argmax = activation("\(layer.name)/argmax", network.shapes[index], type: .uint8)
      operations.append(
        .maxPoolForward(MaxPoolForward(pool(index), input: inputs[0], output: y, argmax: argmax)))
      return LayerTrace(output: y, argmax: argmax)
    }
  }

  private mutating func normalize(_ index: Int, input: TensorID) -> LayerTrace {
    let layer = network.layers[index]
    let shape = normalization(index)
    let y = output(index)
    if case .layerNormalization = layer.kind {
      let mean = activation("\(layer.name)/mean", [shape.time])
      let variance = activation("\(layer.name)/variance", [shape.time])
      operations.append(
        .layerNormForward(
          LayerNormForward(
            shape, input: input, gamma: weight(index, 0), beta: weight(index, 1), output: y,
            mean: mean, variance: variance)))
      return LayerTrace(output: y, mean: mean, variance: variance)
    }
    guard isTraining else {
      operations.append(
        .batchNormInference(
          BatchNormInference(
            shape, input: input, gamma: weight(index, 0), beta: weight(index, 1),
            movingMean: weight(index, 2), movingVariance: weight(index, 3), output: y)))
      return LayerTrace(output: y)
    }
    let mean = activation("\(layer.name)/mean", [shape.channels], batched: false)
    let variance = activation("\(layer.name)/variance", [shape.channels], batched: false)
    operations.append(
      .batchNormForward(
        BatchNormForward(
          shape, input: input, gamma: weight(index, 0), beta: weight(index, 1), output: y,
          mean: mean, variance: variance, movingMean: weight(index, 2),
          movingVariance: weight(index, 3))))
    return LayerTrace(output: y, mean: mean, variance: variance)
  }

  /// A dense layer's softmax is left to the loss or to the program's end.
  private mutating func dense(
    _ index: Int, activation kind: Layer.Activation, input: TensorID
  ) -> LayerTrace {
    let linear = output(index, kind == .linear ? "output" : "linear")
    operations.append(
      .denseForward(
        DenseForward(
          denseShape(index), input: input, kernel: weight(index, 0), bias: weight(index, 1),
          output: linear)))
    let elements = network.shapes[index].reduce(1, *)
    switch kind {
    case .linear, .softmax:
      return LayerTrace(output: linear, linear: linear)
    case .relu:
      let y = output(index)
      operations.append(
        .reluForward(ReluForward(elementsPerSample: elements, input: linear, output: y)))
      return LayerTrace(output: y, linear: linear)
    case .sigmoid:
      let y = output(index)
      operations.append(
        .sigmoidForward(SigmoidForward(elementsPerSample: elements, input: linear, output: y)))
      return LayerTrace(output: y, linear: linear)
    }
  }

  private mutating func attend(_ index: Int, input: TensorID) -> LayerTrace {
    let name = network.layers[index].name
    let shape = attention(index)
    let perHead = [shape.time, shape.heads, shape.keySize]
    let activations = AttentionActivations(
      query: activation("\(name)/query", perHead), key: activation("\(name)/key", perHead),
      value: activation("\(name)/value", perHead),
      probabilities: activation(
        "\(name)/probabilities", [shape.heads, shape.time, shape.time]),
      context: activation("\(name)/context", perHead))
    let y = output(index)
    operations.append(
      .attentionForward(
        AttentionForward(
          shape, input: input, parameters: attentionParameters(index) { weight(index, $0) },
          activations: activations, output: y)))
    return LayerTrace(output: y, attention: activations)
  }

  // MARK: Shapes

  func convolution(_ index: Int) -> Conv1DShape {
    guard
      case .conv1D(let filters, let size, let dilation, let padding, _) =
        network.layers[index].kind
    else { preconditionFailure("layer \(index) is no convolution") }
    let input = inputSequence(index)
    return Conv1DShape(
      time: input.time, inputChannels: input.channels, outputChannels: filters, taps: size,
      dilation: dilation, padding: padding)
  }

  func normalization(_ index: Int) -> NormalizationShape {
    let input = inputSequence(index)
    switch network.layers[index].kind {
    case .batchNormalization(let momentum, let epsilon):
      return NormalizationShape(
        time: input.time, channels: input.channels, epsilon: epsilon, momentum: momentum)
    case .layerNormalization(let epsilon):
      return NormalizationShape(time: input.time, channels: input.channels, epsilon: epsilon)
    default:
      preconditionFailure("layer \(index) is no normalization")
    }
  }

  func denseShape(_ index: Int) -> DenseShape {
    let input = inputSequence(index)
    return DenseShape(
      rowsPerSample: input.time, inputs: input.channels,
      outputs: network.shapes[index].last ?? 1)
  }

  func dropout(_ index: Int, rate: Float) -> DropoutShape {
    DropoutShape(
      elementsPerSample: network.shapes[index].reduce(1, *), rate: rate, stream: stream(index))
  }

  func pool(_ index: Int) -> PoolShape {
    guard case .maxPooling1D(let size) = network.layers[index].kind else {
      preconditionFailure("layer \(index) is no pool")
    }
    let input = inputSequence(index)
    return PoolShape(time: input.time, channels: input.channels, size: size)
  }

  func attention(_ index: Int) -> AttentionShape {
    guard case .multiHeadAttention(let heads, let keySize, let rate) = network.layers[index].kind
    else { preconditionFailure("layer \(index) is no attention") }
    let input = inputSequence(index)
    return AttentionShape(
      time: input.time, channels: input.channels, heads: heads, keySize: keySize,
      outputChannels: input.channels,
      dropoutRate: isTraining && options.regularizes ? rate : 0, stream: stream(index))
  }

  func attentionParameters(_ index: Int, _ tensor: (Int) -> TensorID) -> AttentionParameters {
    AttentionParameters(
      queryKernel: tensor(0), queryBias: tensor(1), keyKernel: tensor(2), keyBias: tensor(3),
      valueKernel: tensor(4), valueBias: tensor(5), outputKernel: tensor(6),
      outputBias: tensor(7))
  }
}
