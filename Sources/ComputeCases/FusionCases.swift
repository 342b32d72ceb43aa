import Compute

/// Operations in a row that devices run as one launch: alone they are checked elsewhere, here they
/// are there to be fused.
extension OperationCase {
  /// Batch normalization, ReLU, dropout and max pooling, forward and backward.
  ///
  /// - Parameters:
  ///   - rate: of dropout; nil leaves it out.
  ///   - pool: size of the windows; nil leaves pooling out.
  ///   - inputs: channels of a convolution before it; nil leaves that out.
  ///   - averages: whether the mean over time follows.
  public static func normBlock(
    time: Int, channels: Int, rate: Float?, pool: Int?, inputs: Int? = nil,
    averages: Bool = false, capacity: Int, live: Int
  ) -> OperationCase {
    var build = CaseBuilder(capacity: capacity)
    let pooling = pool.map { PoolShape(time: time, channels: channels, size: $0) }
    let norm = NormTensors(&build, "", time: time, channels: channels, inputs: inputs)
    var operations = norm.forward
    var backward: [Operation] = []
    var (last, size) = (norm.positive, [time, channels])
    // The gradient of what the next backward operation, towards the beginning, is to read.
    var gradient = build.activation("positive_gradient", size)
    backward += norm.backward(gradient)
    if let rate {
      let shape = DropoutShape(
        elementsPerSample: time * channels, rate: rate, stream: RandomStream.firstLayer + 2)
      let kept = build.activation("kept", size)
      let before = build.activation("kept_gradient", size)
      operations.append(.dropoutForward(DropoutForward(shape, input: last, output: kept)))
      backward.insert(
        .dropoutBackward(DropoutBackward(shape, outputGradient: before, inputGradient: gradient)),
        at: 0)
      (last, gradient) = (kept, before)
    }
    if let pooling {
      size = [pooling.outputTime, channels]
      let pooled = build.activation("pooled", size)
      let before = build.activation("pooled_gradient", size)
      let argmax = build.activation("argmax", size, type: .uint8)
      operations.append(
        .maxPoolForward(MaxPoolForward(pooling, input: last, output: pooled, argmax: argmax)))
      backward.insert(
        .maxPoolBackward(
          MaxPoolBackward(
            pooling, argmax: argmax, outputGradient: before, inputGradient: gradient)), at: 0)
      (last, gradient) = (pooled, before)
    }
    if averages {
      let sequence = SequenceShape(time: size[0], channels: channels)
      let mean = build.activation("mean_over_time", [channels])
      let before = build.activation("mean_gradient", [channels])
      operations.append(
        .meanOverTimeForward(MeanOverTimeForward(sequence, input: last, output: mean)))
      backward.insert(
        .meanOverTimeBackward(
          MeanOverTimeBackward(sequence, outputGradient: before, inputGradient: gradient)), at: 0)
      (last, gradient, size) = (mean, before, [channels])
    }
    // What comes after passes both on, so that the block may choose where it leaves them.
    let output = build.output("output", size)
    let count = size.reduce(1, *)
    operations.append(
      .sigmoidForward(SigmoidForward(elementsPerSample: count, input: last, output: output.value)))
    backward.insert(
      .sigmoidBackward(
        SigmoidBackward(
          elementsPerSample: count, output: output.value, outputGradient: output.gradient,
          inputGradient: gradient)), at: 0)
    build.operations = operations + backward
    build.useIteration(11, step: 1)
    build.isDifferentiable = false
    let parts = [
      rate.map { "dropout \($0)" }, pool.map { "pool \($0)" },
      averages ? "mean" : nil, "T \(time)", "C \(channels)", "\(live)/\(capacity)",
    ]
    return build.build(
      .normBlock, title: inputs.map { "convolution of \($0) and norm block" },
      parts.compactMap(\.self).joined(separator: ", "), isList: true,
      axes: [.time: time, .channels: channels], tags: rate == nil ? [] : [.dropsOut], live: live)
  }

  /// A squeeze-excitation block of two branches, forward and backward.
  ///
  /// - Parameter inputs: channels of the convolutions before it; nil leaves those out.
  public static func squeezeBlock(
    time: Int, channels: [Int], units: Int, rate: Float?, inputs: Int? = nil, capacity: Int,
    live: Int
  ) -> OperationCase {
    var build = CaseBuilder(capacity: capacity)
    let total = channels.reduce(0, +)
    let count = time * total
    let sequence = SequenceShape(time: time, channels: total)
    let branches = channels.enumerated().map {
      NormTensors(&build, "_\($0)", time: time, channels: $1, inputs: inputs)
    }
    let shortcut = build.given("shortcut", [time, total], .uniform(1))
    let gates = GateTensors(&build, channels: total, units: units)
    let joined = build.activation("joined", [time, total])
    let joinedGradient = build.activation("joined_gradient", [time, total])
    let scaled = build.activation("scaled", [time, total])
    let scaledGradient = build.activation("scaled_gradient", [time, total])
    let spread = build.activation("spread", [time, total])
    let branchGradients = branches.indices.map {
      build.activation("branch_gradient_\($0)", [time, channels[$0]])
    }
    let output = build.output("output", [time, total])
    var (kept, keptGradient) = (joined, joinedGradient)
    var dropout: (forward: [Operation], backward: [Operation]) = ([], [])
    if let rate {
      let shape = DropoutShape(
        elementsPerSample: count, rate: rate, stream: RandomStream.firstLayer + 5)
      kept = build.activation("kept", [time, total])
      keptGradient = build.activation("kept_gradient", [time, total])
      dropout = (
        [.dropoutForward(DropoutForward(shape, input: joined, output: kept))],
        [
          .dropoutBackward(
            DropoutBackward(shape, outputGradient: keptGradient, inputGradient: joinedGradient))
        ]
      )
    }
    build.operations =
      branches.flatMap(\.forward)
      + [
        .concatenateForward(
          ConcatenateForward(
            time: time, channels: channels, inputs: branches.map(\.positive), output: joined))
      ] + dropout.forward
      + [.meanOverTimeForward(MeanOverTimeForward(sequence, input: kept, output: gates.mean))]
      + gates.forward
      + [
        .scaleChannelsForward(
          ScaleChannelsForward(sequence, input: kept, scale: gates.scale, output: scaled)),
        .add(Add(elementsPerSample: count, inputs: [shortcut, scaled], output: output.value)),
        .scaleChannelsBackward(
          ScaleChannelsBackward(
            sequence, input: kept, scale: gates.scale, outputGradient: output.gradient,
            inputGradient: scaledGradient, scaleGradient: gates.scaleGradient)),
      ] + gates.backward
      + [
        .meanOverTimeBackward(
          MeanOverTimeBackward(sequence, outputGradient: gates.meanGradient, inputGradient: spread)),
        .add(
          Add(elementsPerSample: count, inputs: [scaledGradient, spread], output: keptGradient)),
      ] + dropout.backward
      + [
        .concatenateBackward(
          ConcatenateBackward(
            time: time, channels: channels, outputGradient: joinedGradient,
            inputGradients: branchGradients))
      ] + zip(branches, branchGradients).flatMap { $0.backward($1) }
    build.useIteration(40, step: 1)
    build.isDifferentiable = false
    return build.build(
      .squeezeBlock, title: inputs.map { "convolutions of \($0) and squeeze block" },
      "\(channels), \(units) units, T \(time), dropout \(rate ?? 0), \(live)/\(capacity)",
      axes: [.time: time, .channels: total], tags: rate == nil ? [] : [.dropsOut], live: live)
  }

  /// Batch normalization, ReLU and max pooling of inference.
  static func normBlockInference(
    time: Int, channels: Int, pool: Int?, capacity: Int, live: Int
  ) -> OperationCase {
    var build = CaseBuilder(capacity: capacity)
    let norm = InferenceNorm(&build, "", time: time, channels: channels)
    build.operations = norm.operations
    var (last, size) = (norm.positive, [time, channels])
    if let pool {
      let pooling = PoolShape(time: time, channels: channels, size: pool)
      size = [pooling.outputTime, channels]
      let pooled = build.activation("pooled", size)
      build.operations.append(
        .maxPoolForward(
          MaxPoolForward(
            pooling, input: last, output: pooled,
            argmax: build.activation("argmax", size, type: .uint8))))
      last = pooled
    }
    build.operations.append(
      .sigmoidForward(
        SigmoidForward(
          elementsPerSample: size.reduce(1, *), input: last,
          output: build.plainOutput("output", size)
        )))
    build.isDifferentiable = false
    return build.build(
      .normBlockInference,
      "\(pool.map { "pool \($0), " } ?? "")T \(time), C \(channels), \(live)/\(capacity)",
      isList: true, axes: [.time: time, .channels: channels], live: live, program: .predict)
  }

  /// A squeeze-excitation block of two branches in inference.
  static func squeezeBlockInference(
    time: Int, channels: [Int], units: Int, capacity: Int, live: Int
  ) -> OperationCase {
    var build = CaseBuilder(capacity: capacity)
    let total = channels.reduce(0, +)
    let sequence = SequenceShape(time: time, channels: total)
    let branches = channels.enumerated().map {
      InferenceNorm(&build, "_\($0)", time: time, channels: $1)
    }
    let shortcut = build.given("shortcut", [time, total], .uniform(1))
    let gates = GateTensors(&build, channels: total, units: units)
    let joined = build.activation("joined", [time, total])
    let scaled = build.activation("scaled", [time, total])
    build.operations =
      branches.flatMap(\.operations)
      + [
        .concatenateForward(
          ConcatenateForward(
            time: time, channels: channels, inputs: branches.map(\.positive), output: joined)),
        .meanOverTimeForward(MeanOverTimeForward(sequence, input: joined, output: gates.mean)),
      ] + gates.forward
      + [
        .scaleChannelsForward(
          ScaleChannelsForward(sequence, input: joined, scale: gates.scale, output: scaled)),
        .add(
          Add(
            elementsPerSample: time * total, inputs: [shortcut, scaled],
            output: build.plainOutput("output", [time, total]))),
      ]
    build.isDifferentiable = false
    return build.build(
      .squeezeBlockInference, "\(channels), \(units) units, T \(time), \(live)/\(capacity)",
      axes: [.time: time, .channels: total], live: live, program: .predict)
  }

  /// Two convolutions' gradients of one input, and their sum with a third.
  static func gradientSum(
    time: Int, inputs: Int, outputs: Int, capacity: Int, live: Int
  ) -> OperationCase {
    var build = CaseBuilder(capacity: capacity)
    let other = build.given("other_gradient", [time, inputs], .uniform(1))
    var terms = [other]
    for (index, taps) in [3, 2].enumerated() {
      let shape = Conv1DShape(
        time: time, inputChannels: inputs, outputChannels: outputs, taps: taps, dilation: 2,
        padding: .causal)
      let dOutput = build.given("output_gradient_\(index)", [time, outputs], .uniform(1))
      let kernel = build.lasting(
        "kernel_\(index)", [taps, inputs, outputs], .parameter, .uniform(fanScale(taps * outputs)))
      let dInput = build.activation("share_\(index)", [time, inputs])
      build.operations.append(
        .conv1DBackwardInput(
          Conv1DBackwardInput(
            shape, outputGradient: dOutput, kernel: kernel, inputGradient: dInput)))
      terms.append(dInput)
    }
    let sum = build.plainOutput("sum", [time, inputs])
    build.operations.append(.add(Add(elementsPerSample: time * inputs, inputs: terms, output: sum)))
    build.isDifferentiable = false
    return build.build(
      .gradientSum, "\(inputs) ← \(outputs), T \(time), \(live)/\(capacity)", live: live)
  }

  /// The gradients of several convolutions' kernels, of which the first comes before a batch
  /// normalization.
  ///
  /// - Parameter varies: each has fewer steps than the one before and another dilation, and every
  ///   other is causal.
  static func kernelGradients(
    time: Int, channels: [(inputs: Int, outputs: Int)], varies: Bool = false, capacity: Int,
    live: Int
  ) -> OperationCase {
    var build = CaseBuilder(capacity: capacity)
    let longest = time
    for (index, (inputs, outputs)) in channels.enumerated() {
      let time = varies ? longest - 6 * index : longest
      let shape = Conv1DShape(
        time: time, inputChannels: inputs, outputChannels: outputs, taps: 1 + index,
        dilation: varies ? 4 - index : 1, padding: varies && index % 2 == 1 ? .causal : .same)
      let x = build.given("input_\(index)", [time, inputs], .uniform(1))
      // The bias first, so that its gradient does not follow upon the kernel's by chance.
      let bias = build.parameter("bias_\(index)", [outputs], .uniform(0.5))
      let kernel = build.parameter(
        "kernel_\(index)", [shape.taps, inputs, outputs], .uniform(fanScale(inputs)))
      var gradient = build.given("output_gradient_\(index)", [time, outputs], .uniform(1))
      if index == 0 {
        let norm = NormTensors(&build, "", time: time, channels: outputs)
        build.operations += norm.forward + norm.backward(gradient)
        gradient = norm.x.gradient
      }
      build.operations.append(
        .conv1DBackwardKernel(
          Conv1DBackwardKernel(
            shape, input: x, outputGradient: gradient, kernelGradient: kernel.gradient,
            biasGradient: bias.gradient)))
    }
    build.isDifferentiable = false
    let sizes = channels.map { "\($0.inputs) → \($0.outputs)" }.joined(separator: ", ")
    return build.build(
      .kernelGradients, "\(sizes), T \(time)\(varies ? " and fewer" : ""), \(live)/\(capacity)",
      live: live)
  }

  /// What the published networks end with, forward and backward: a dense layer, ReLU, dropout,
  /// another dense layer, the loss from its logits, and the penalty of both kernels.
  ///
  /// - Parameter rate: of dropout; nil leaves it out.
  static func head(
    inputs: Int, units: Int, classes: Int, rate: Float?, capacity: Int, live: Int
  ) -> OperationCase {
    var build = CaseBuilder(capacity: capacity)
    let x = build.input("input", [inputs])
    let shapes = [
      DenseShape(inputs: inputs, outputs: units), DenseShape(inputs: units, outputs: classes),
    ]
    let weights = shapes.enumerated().map { index, shape in
      (
        bias: build.parameter("bias_\(index)", [shape.outputs], .uniform(0.5)),
        kernel: build.parameter(
          "kernel_\(index)", [shape.inputs, shape.outputs], .uniform(fanScale(shape.inputs)))
      )
    }
    func unit(_ name: String) -> TensorID { build.activation(name, [units]) }
    let (sums, positive) = (unit("sums"), unit("positive"))
    let (sumsGradient, positiveGradient) = (unit("sums_gradient"), unit("positive_gradient"))
    let (kept, keptGradient) =
      rate == nil ? (positive, positiveGradient) : (unit("kept"), unit("kept_gradient"))
    let (logits, gradient) = (
      build.activation("logits", [classes]), build.activation("logits_gradient", [classes])
    )
    let dropout = rate.map {
      DropoutShape(elementsPerSample: units, rate: $0, stream: RandomStream.firstLayer + 7)
    }
    build.operations = [
      .denseForward(
        DenseForward(
          shapes[0], input: x.value, kernel: weights[0].kernel.value, bias: weights[0].bias.value,
          output: sums)),
      .reluForward(ReluForward(elementsPerSample: units, input: sums, output: positive)),
    ]
    if let dropout {
      build.operations.append(
        .dropoutForward(DropoutForward(dropout, input: positive, output: kept)))
    }
    build.operations += [
      .denseForward(
        DenseForward(
          shapes[1], input: kept, kernel: weights[1].kernel.value, bias: weights[1].bias.value,
          output: logits)),
      .softmaxCrossEntropy(
        SoftmaxCrossEntropy(
          LossShape(classes: classes, smoothing: 0.1), logits: logits,
          targets: build.given("targets", [classes], .oneHot(classes)),
          sampleWeights: build.given("sample_weights", [], .between(1, 1.5)),
          probabilities: build.plainOutput("probabilities", [classes]), logitsGradient: gradient)),
      .l2Penalty(L2Penalty(coefficient: 1e-2, kernels: weights.map(\.kernel.value))),
      .denseBackwardKernel(
        DenseBackwardKernel(
          shapes[1], input: kept, outputGradient: gradient,
          kernelGradient: weights[1].kernel.gradient, biasGradient: weights[1].bias.gradient)),
      .denseBackwardInput(
        DenseBackwardInput(
          shapes[1], outputGradient: gradient, kernel: weights[1].kernel.value,
          inputGradient: keptGradient)),
    ]
    if let dropout {
      build.operations.append(
        .dropoutBackward(
          DropoutBackward(dropout, outputGradient: keptGradient, inputGradient: positiveGradient)))
    }
    build.operations += [
      .reluBackward(
        ReluBackward(
          elementsPerSample: units, output: positive, outputGradient: positiveGradient,
          inputGradient: sumsGradient)),
      .denseBackwardKernel(
        DenseBackwardKernel(
          shapes[0], input: x.value, outputGradient: sumsGradient,
          kernelGradient: weights[0].kernel.gradient, biasGradient: weights[0].bias.gradient)),
      .denseBackwardInput(
        DenseBackwardInput(
          shapes[0], outputGradient: sumsGradient, kernel: weights[0].kernel.value,
          inputGradient: x.gradient)),
    ]
    build.useIteration(21, step: 1)
    build.isDifferentiable = false
    return build.build(
      .head, "\(inputs) → \(units) → \(classes), dropout \(rate ?? 0), \(live)/\(capacity)",
      live: live)
  }

  static var awkwardFusions: [OperationCase] {
    [
      normBlock(time: 13, channels: 7, rate: 0.25, pool: 2, capacity: 3, live: 2),
      normBlock(time: 9, channels: 33, rate: 0.3, pool: nil, capacity: 2, live: 2),
      normBlock(time: 17, channels: 1, rate: nil, pool: 3, capacity: 2, live: 1),
      squeezeBlock(time: 11, channels: [5, 3], units: 2, rate: 0.3, capacity: 3, live: 2),
      // More rows than one chunk of the statistics; one time step.
      squeezeBlock(time: 13, channels: [2, 33], units: 7, rate: nil, capacity: 2, live: 2),
      squeezeBlock(time: 1, channels: [3, 2], units: 2, rate: 0.2, capacity: 4, live: 3),
      // More chunks than lanes.
      normBlock(time: 45, channels: 33, rate: 0.3, pool: 2, capacity: 3, live: 2),
      squeezeBlock(time: 21, channels: [20, 30], units: 3, rate: 0.3, capacity: 3, live: 2),
      // More samples than lanes.
      squeezeBlock(time: 3, channels: [33, 31], units: 3, rate: 0.3, capacity: 10, live: 9),
      // More channels than a work-group is wide, more rows than a tile.
      squeezeBlock(time: 37, channels: [70, 66], units: 9, rate: 0.3, capacity: 2, live: 1),
      normBlock(time: 37, channels: 130, rate: 0.3, pool: 2, capacity: 2, live: 1),
      // As many channels and units as there is room for.
      squeezeBlock(time: 5, channels: [200, 56], units: 64, rate: 0.3, capacity: 2, live: 2),
      // More rows than a launch has groups for.
      normBlock(time: 4_200, channels: 33, rate: 0.3, pool: nil, capacity: 2, live: 2),
      squeezeBlock(time: 4_200, channels: [20, 13], units: 3, rate: nil, capacity: 2, live: 2),
      // What tensor cores leave of the statistics.
      normBlock(time: 70, channels: 24, rate: 0.25, pool: 2, inputs: 8, capacity: 4, live: 3),
      normBlock(time: 12, channels: 136, rate: nil, pool: nil, inputs: 8, capacity: 2, live: 2),
      squeezeBlock(
        time: 70, channels: [16, 8], units: 3, rate: 0.3, inputs: 8, capacity: 4, live: 3),
      normBlock(
        time: 13, channels: 7, rate: 0.25, pool: 2, averages: true, capacity: 3, live: 2),
      normBlockInference(time: 13, channels: 7, pool: 2, capacity: 3, live: 2),
      normBlockInference(time: 9, channels: 33, pool: nil, capacity: 2, live: 2),
      squeezeBlockInference(time: 11, channels: [5, 3], units: 2, capacity: 3, live: 2),
      gradientSum(time: 9, inputs: 3, outputs: 5, capacity: 3, live: 2),
      gradientSum(time: 11, inputs: 8, outputs: 16, capacity: 3, live: 2),
      head(inputs: 5, units: 3, classes: 2, rate: nil, capacity: 3, live: 2),
      head(inputs: 33, units: 17, classes: 5, rate: 0.5, capacity: 7, live: 6),
      head(inputs: 9, units: 32, classes: 4, rate: nil, capacity: 7, live: 6),  // whole groups
      head(inputs: 300, units: 70, classes: 5, rate: 0.5, capacity: 40, live: 37),
      kernelGradients(
        time: 23, channels: [(3, 5), (5, 40), (8, 16), (1, 1)], capacity: 3, live: 2),
      // One part, whose gradient begins off a chunk.
      kernelGradients(time: 7, channels: [(1, 5), (8, 16)], capacity: 3, live: 2),
      // One launch of tensor cores, of several tiles and parts, with sequences of fewer steps than one
      // of theirs.
      kernelGradients(
        time: 31, channels: [(8, 40), (72, 8), (16, 80), (8, 8)], varies: true, capacity: 7,
        live: 5),
    ]
  }
}
