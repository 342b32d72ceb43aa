import Compute

/// Tensors of a batch normalization with ReLU behind it.
struct NormTensors {
  let shape: NormalizationShape
  let x, gamma, beta: OperationCase.Pair
  let mean, variance, movingMean, movingVariance, normalized, positive, gradient: TensorID
  /// Of a convolution that makes the input.
  private var convolution: (forward: Operation, backward: Operation)?

  /// - Parameter inputs: of a convolution that makes the input; nil where that is given.
  init(
    _ build: inout CaseBuilder, _ suffix: String, time: Int, channels: Int, inputs: Int? = nil
  ) {
    shape = NormalizationShape(time: time, channels: channels, epsilon: 1e-3)
    let size = [time, channels]
    if let inputs {
      let shape = Conv1DShape(time: time, inputChannels: inputs, outputChannels: channels, taps: 3)
      let source = build.given("source\(suffix)", [time, inputs], .uniform(1))
      let kernel = build.parameter(
        "kernel\(suffix)", [3, inputs, channels], .uniform(OperationCase.fanScale(3 * inputs)))
      let bias = build.parameter("bias\(suffix)", [channels], .uniform(0.5))
      x = OperationCase.Pair(
        value: build.activation("input\(suffix)", size),
        gradient: build.activation("input_gradient\(suffix)", size))
      convolution = (
        .conv1DForward(
          Conv1DForward(
            shape, input: source, kernel: kernel.value, bias: bias.value, output: x.value)),
        .conv1DBackwardKernel(
          Conv1DBackwardKernel(
            shape, input: source, outputGradient: x.gradient, kernelGradient: kernel.gradient,
            biasGradient: bias.gradient))
      )
    } else {
      x = build.input("input\(suffix)", size, .between(-1, 1.5))
    }
    gamma = build.parameter("gamma\(suffix)", [channels], .between(0.5, 1.5))
    beta = build.parameter("beta\(suffix)", [channels], .uniform(0.5))
    movingMean = build.lasting("moving_mean\(suffix)", [channels], .statistic, .uniform(0.5))
    movingVariance = build.lasting(
      "moving_variance\(suffix)", [channels], .statistic, .between(0.5, 1.5))
    mean = build.activation("mean\(suffix)", [channels], batched: false)
    variance = build.activation("variance\(suffix)", [channels], batched: false)
    normalized = build.activation("normalized\(suffix)", size)
    positive = build.activation("positive\(suffix)", size)
    gradient = build.activation("normalized_gradient\(suffix)", size)
  }

  private var count: Int { shape.time * shape.channels }

  var forward: [Operation] {
    [convolution?.forward].compactMap(\.self) + [
      .batchNormForward(
        BatchNormForward(
          shape, input: x.value, gamma: gamma.value, beta: beta.value, output: normalized,
          mean: mean, variance: variance, movingMean: movingMean, movingVariance: movingVariance)),
      .reluForward(ReluForward(elementsPerSample: count, input: normalized, output: positive)),
    ]
  }

  /// - Parameter outputGradient: the gradient of `positive`.
  func backward(_ outputGradient: TensorID) -> [Operation] {
    [
      .reluBackward(
        ReluBackward(
          elementsPerSample: count, output: positive, outputGradient: outputGradient,
          inputGradient: gradient)),
      .batchNormBackward(
        BatchNormBackward(
          shape, input: x.value, outputGradient: gradient, gamma: gamma.value, mean: mean,
          variance: variance, inputGradient: x.gradient, gammaGradient: gamma.gradient,
          betaGradient: beta.gradient)),
    ] + [convolution?.backward].compactMap(\.self)
  }
}

/// A batch normalization of inference with ReLU behind it.
struct InferenceNorm {
  let operations: [Operation]
  let positive: TensorID

  init(_ build: inout CaseBuilder, _ suffix: String, time: Int, channels: Int) {
    let size = [time, channels]
    let normalized = build.activation("normalized\(suffix)", size)
    positive = build.activation("positive\(suffix)", size)
    operations = [
      .batchNormInference(
        BatchNormInference(
          NormalizationShape(time: time, channels: channels, epsilon: 1e-3),
          input: build.given("input\(suffix)", size, .between(-1, 1.5)),
          gamma: build.lasting("gamma\(suffix)", [channels], .parameter, .between(0.5, 1.5)),
          beta: build.lasting("beta\(suffix)", [channels], .parameter, .uniform(0.5)),
          movingMean: build.lasting(
            "moving_mean\(suffix)", [channels], .statistic, .uniform(0.5)),
          movingVariance: build.lasting(
            "moving_variance\(suffix)", [channels], .statistic, .between(0.5, 1.5)),
          output: normalized)),
      .reluForward(
        ReluForward(elementsPerSample: time * channels, input: normalized, output: positive)),
    ]
  }
}

/// The two dense layers between a mean over time and the scale of each channel.
struct GateTensors {
  let channels, units: Int
  let w1, b1, w2, b2: OperationCase.Pair
  let mean, squeezed, hidden, excited, scale: TensorID
  let meanGradient, squeezedGradient, hiddenGradient, excitedGradient, scaleGradient: TensorID

  init(_ build: inout CaseBuilder, channels: Int, units: Int) {
    (self.channels, self.units) = (channels, units)
    // Biases first: what is written beyond a kernel's gradient does not hit its bias's by chance.
    b1 = build.parameter("squeeze_bias", [units], .uniform(0.5))
    w1 = build.parameter(
      "squeeze_kernel", [channels, units], .uniform(OperationCase.fanScale(channels)))
    b2 = build.parameter("excite_bias", [channels], .uniform(0.5))
    w2 = build.parameter(
      "excite_kernel", [units, channels], .uniform(OperationCase.fanScale(units)))
    mean = build.activation("squeeze_mean", [channels])
    squeezed = build.activation("squeezed", [units])
    hidden = build.activation("hidden", [units])
    excited = build.activation("excited", [channels])
    scale = build.activation("scale", [channels])
    meanGradient = build.activation("squeeze_mean_gradient", [channels])
    squeezedGradient = build.activation("squeezed_gradient", [units])
    hiddenGradient = build.activation("hidden_gradient", [units])
    excitedGradient = build.activation("excited_gradient", [channels])
    scaleGradient = build.activation("scale_gradient", [channels])
  }

  private var squeeze: DenseShape { DenseShape(inputs: channels, outputs: units) }
  private var excite: DenseShape { DenseShape(inputs: units, outputs: channels) }

  var forward: [Operation] {
    [
      .denseForward(
        DenseForward(
          squeeze, input: mean, kernel: w1.value, bias: b1.value, output: squeezed)),
      .reluForward(ReluForward(elementsPerSample: units, input: squeezed, output: hidden)),
      .denseForward(
        DenseForward(excite, input: hidden, kernel: w2.value, bias: b2.value, output: excited)),
      .sigmoidForward(SigmoidForward(elementsPerSample: channels, input: excited, output: scale)),
    ]
  }

  var backward: [Operation] {
    [
      .sigmoidBackward(
        SigmoidBackward(
          elementsPerSample: channels, output: scale, outputGradient: scaleGradient,
          inputGradient: excitedGradient)),
      .denseBackwardKernel(
        DenseBackwardKernel(
          excite, input: hidden, outputGradient: excitedGradient, kernelGradient: w2.gradient,
          biasGradient: b2.gradient)),
      .denseBackwardInput(
        DenseBackwardInput(
          excite, outputGradient: excitedGradient, kernel: w2.value,
          inputGradient: hiddenGradient)),
      .reluBackward(
        ReluBackward(
          elementsPerSample: units, output: hidden, outputGradient: hiddenGradient,
          inputGradient: squeezedGradient)),
      .denseBackwardKernel(
        DenseBackwardKernel(
          squeeze, input: mean, outputGradient: squeezedGradient, kernelGradient: w1.gradient,
          biasGradient: b1.gradient)),
      .denseBackwardInput(
        DenseBackwardInput(
          squeeze, outputGradient: squeezedGradient, kernel: w1.value,
          inputGradient: meanGradient)),
    ]
  }
}
