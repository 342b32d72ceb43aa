import Compute

extension PlanBuilder {
  /// Appends the backward pass of all layers, last to first. A layer's output may have several
  /// readers: each leaves a contribution to its gradient, and where there is more than one they
  /// are added before the layer's own backward pass.
  mutating func appendBackward(logitsGradient: TensorID) {
    let wanted = layersWithTrainableUpstream()
    var contributions: [[TensorID]] = Array(repeating: [], count: network.layers.count)
    contributions[network.layers.count - 1] = [logitsGradient]
    for index in network.layers.indices.reversed() where wanted[index] {
      guard let total = total(of: contributions[index], layer: index) else { continue }
      let inputs = network.layers[index].inputs
      let given = backward(index, outputGradient: total, wanted: inputs.map { wanted[$0] })
      for (input, gradient) in zip(inputs, given) {
        if let gradient { contributions[input].append(gradient) }
      }
    }
  }

  /// Whether a layer or one before it has trainable weights: others need no gradient.
  private func layersWithTrainableUpstream() -> [Bool] {
    var result: [Bool] = []
    for (index, layer) in network.layers.enumerated() {
      let own = layerWeights[index].contains { network.weights[$0].isTrainable }
      result.append(own || layer.inputs.contains { result[$0] })
    }
    return result
  }

  private mutating func total(of contributions: [TensorID], layer index: Int) -> TensorID? {
    guard contributions.count > 1 else { return contributions.first }
    let sum = activation(
      "\(network.layers[index].name)/output_gradient", network.shapes[index])
    operations.append(
      .add(
        Add(
          elementsPerSample: network.shapes[index].reduce(1, *), inputs: contributions, output: sum)
      ))
    return sum
  }

  /// A new tensor for the gradient of a layer's `place`-th input, of the shape of the tensor that it
  /// is the gradient of: a reshaped input has none of its own.
  private mutating func inputGradient(_ index: Int, _ place: Int = 0) -> TensorID {
    let layer = network.layers[index]
    let input = tensors[traces[layer.inputs[place]].output.index]
    return activation(
      "\(layer.name)/input_gradient" + (place == 0 ? "" : "_\(place)"),
      Array(input.shape.dropFirst()))
  }

  /// Appends one layer's backward pass; returns the gradient of each input, nil where none is
  /// wanted.
  private mutating func backward(
    _ index: Int, outputGradient: TensorID, wanted: [Bool]
  ) -> [TensorID?] {
    let layer = network.layers[index]
    let inputs = layer.inputs.map { traces[$0].output }
    let elements = network.shapes[index].reduce(1, *)
    switch layer.kind {
    case .input, .gaussianNoise:
      return [nil]
    case .reshapeToSequence:
      return [outputGradient]
    case .add:
      return layer.inputs.map { _ in outputGradient }
    case .dropout(let rate):
      guard options.regularizes && rate > 0 else { return [outputGradient] }
      let gradient = inputGradient(index)
      operations.append(
        .dropoutBackward(
          DropoutBackward(
            dropout(index, rate: rate), outputGradient: outputGradient, inputGradient: gradient)))
      return [gradient]
    case .conv1D:
      return [convolutionBackward(index, inputs[0], outputGradient, wantsInput: wanted[0])]
    case .batchNormalization, .layerNormalization:
      return [normalizationBackward(index, inputs[0], outputGradient)]
    case .relu:
      let gradient = inputGradient(index)
      operations.append(
        .reluBackward(
          ReluBackward(
            elementsPerSample: elements, output: traces[index].output,
            outputGradient: outputGradient, inputGradient: gradient)))
      return [gradient]
    case .concatenate:
      let gradients = inputs.indices.map { inputGradient(index, $0) }
      operations.append(
        .concatenateBackward(
          ConcatenateBackward(
            time: network.shapes[index][0], channels: layer.inputs.map { network.shapes[$0][1] },
            outputGradient: outputGradient, inputGradients: gradients)))
      return gradients
    case .globalAveragePooling1D:
      let gradient = inputGradient(index)
      operations.append(
        .meanOverTimeBackward(
          MeanOverTimeBackward(
            inputSequence(index), outputGradient: outputGradient, inputGradient: gradient)))
      return [gradient]
    case .dense(_, let activation, _):
      return [denseBackward(index, activation, inputs[0], outputGradient, wanted[0])]
    case .multiply:
      let gradients = [inputGradient(index, 0), inputGradient(index, 1)]
      operations.append(
        .scaleChannelsBackward(
          ScaleChannelsBackward(
            inputSequence(index), input: inputs[0], scale: inputs[1],
            outputGradient: outputGradient, inputGradient: gradients[0],
            scaleGradient: gradients[1])))
      return gradients
    case .multiHeadAttention:
      return [attentionBackward(index, inputs[0], outputGradient)]
    case .maxPooling1D:
      guard let argmax = traces[index].argmax else { return [nil] }
      let gradient = inputGradient(index)
      operations.append(
        .maxPoolBackward(
          MaxPoolBackward(
            pool(index), argmax: argmax, outputGradient: outputGradient, inputGradient: gradient)))
      return [gradient]
    }
  }

  private mutating func convolutionBackward(
    _ index: Int, _ input: TensorID, _ outputGradient: TensorID, wantsInput: Bool
  ) -> TensorID? {
    let shape = convolution(index)
    operations.append(
      .conv1DBackwardKernel(
        Conv1DBackwardKernel(
          shape, input: input, outputGradient: outputGradient, kernelGradient: gradient(index, 0),
          biasGradient: gradient(index, 1))))
    guard wantsInput else { return nil }
    let result = inputGradient(index)
    operations.append(
      .conv1DBackwardInput(
        Conv1DBackwardInput(
          shape, outputGradient: outputGradient, kernel: weight(index, 0), inputGradient: result)))
    return result
  }

  private mutating func normalizationBackward(
    _ index: Int, _ input: TensorID, _ outputGradient: TensorID
  ) -> TensorID? {
    guard let mean = traces[index].mean, let variance = traces[index].variance else { return nil }
    let shape = normalization(index)
    let result = inputGradient(index)
    if case .layerNormalization = network.layers[index].kind {
      operations.append(
        .layerNormBackward(
          LayerNormBackward(
            shape, input: input, outputGradient: outputGradient, gamma: weight(index, 0),
            mean: mean, variance: variance, inputGradient: result,
            gammaGradient: gradient(index, 0), betaGradient: gradient(index, 1))))
    } else {
      operations.append(
        .batchNormBackward(
          BatchNormBackward(
            shape, input: input, outputGradient: outputGradient, gamma: weight(index, 0),
            mean: mean, variance: variance, inputGradient: result,
            gammaGradient: gradient(index, 0), betaGradient: gradient(index, 1))))
    }
    return result
  }

  private mutating func denseBackward(
    _ index: Int, _ kind: Layer.Activation, _ input: TensorID, _ outputGradient: TensorID,
    _ wantsInput: Bool
  ) -> TensorID? {
    var linearGradient = outputGradient
    let elements = network.shapes[index].reduce(1, *)
    let output = traces[index].output
    if kind == .relu || kind == .sigmoid {
      linearGradient = activation(
        "\(network.layers[index].name)/linear_gradient", network.shapes[index])
    }
    if kind == .relu {
      operations.append(
        .reluBackward(
          ReluBackward(
            elementsPerSample: elements, output: output, outputGradient: outputGradient,
            inputGradient: linearGradient)))
    } else if kind == .sigmoid {
      operations.append(
        .sigmoidBackward(
          SigmoidBackward(
            elementsPerSample: elements, output: output, outputGradient: outputGradient,
            inputGradient: linearGradient)))
    }
    operations.append(
      .denseBackwardKernel(
        DenseBackwardKernel(
          denseShape(index), input: input, outputGradient: linearGradient,
          kernelGradient: gradient(index, 0), biasGradient: gradient(index, 1))))
    guard wantsInput else { return nil }
    let result = inputGradient(index)
    operations.append(
      .denseBackwardInput(
        DenseBackwardInput(
          denseShape(index), outputGradient: linearGradient, kernel: weight(index, 0),
          inputGradient: result)))
    return result
  }

  private mutating func attentionBackward(
    _ index: Int, _ input: TensorID, _ outputGradient: TensorID
  ) -> TensorID? {
    guard let activations = traces[index].attention else { return nil }
    let result = inputGradient(index)
    operations.append(
      .attentionBackward(
        AttentionBackward(
          attention(index), input: input, outputGradient: outputGradient,
          parameters: attentionParameters(index) { weight(index, $0) }, activations: activations,
          inputGradient: result, gradients: attentionParameters(index) { gradient(index, $0) })))
    return result
  }
}
