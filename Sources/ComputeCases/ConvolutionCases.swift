import Compute

extension OperationCase {
  /// Forward and both backward operations of a convolution.
  public static func conv1D(_ shape: Conv1DShape, capacity: Int, live: Int) -> OperationCase {
    var build = CaseBuilder(capacity: capacity)
    let x = build.input("input", [shape.time, shape.inputChannels])
    let w = build.parameter(
      "kernel", [shape.taps, shape.inputChannels, shape.outputChannels],
      .uniform(fanScale(shape.taps * shape.inputChannels)))
    let bias = build.parameter("bias", [shape.outputChannels], .uniform(0.5))
    let y = build.output("output", [shape.time, shape.outputChannels])
    build.operations = [
      .conv1DForward(
        Conv1DForward(shape, input: x.value, kernel: w.value, bias: bias.value, output: y.value)),
      .conv1DBackwardInput(
        Conv1DBackwardInput(
          shape, outputGradient: y.gradient, kernel: w.value, inputGradient: x.gradient)),
      .conv1DBackwardKernel(
        Conv1DBackwardKernel(
          shape, input: x.value, outputGradient: y.gradient, kernelGradient: w.gradient,
          biasGradient: bias.gradient)),
    ]
    return build.build(
      .conv1D, title: "conv1d \(shape.padding.rawValue)",
      "\(shape.taps) taps, dilation \(shape.dilation), "
        + "\(shape.inputChannels) → \(shape.outputChannels), T \(shape.time), \(live)/\(capacity)",
      axes: [.time: shape.time, .channels: shape.inputChannels], live: live)
  }

  /// Forward and both backward operations of a dense layer.
  public static func dense(_ shape: DenseShape, capacity: Int, live: Int) -> OperationCase {
    var build = CaseBuilder(capacity: capacity)
    let rows = shape.rowsPerSample
    let x = build.input("input", [rows, shape.inputs])
    // The bias first: what is written beyond the kernel's gradient does not hit its by chance.
    let bias = build.parameter("bias", [shape.outputs], .uniform(0.5))
    let w = build.parameter(
      "kernel", [shape.inputs, shape.outputs], .uniform(fanScale(shape.inputs)))
    let y = build.output("output", [rows, shape.outputs])
    build.operations = [
      .denseForward(
        DenseForward(shape, input: x.value, kernel: w.value, bias: bias.value, output: y.value)),
      .denseBackwardInput(
        DenseBackwardInput(
          shape, outputGradient: y.gradient, kernel: w.value, inputGradient: x.gradient)),
      .denseBackwardKernel(
        DenseBackwardKernel(
          shape, input: x.value, outputGradient: y.gradient, kernelGradient: w.gradient,
          biasGradient: bias.gradient)),
    ]
    return build.build(
      .dense, "\(shape.inputs) → \(shape.outputs), rows \(rows), \(live)/\(capacity)", live: live)
  }

  /// Limit of uniform weights that keep a sum of `count` products at the scale of its inputs.
  static func fanScale(_ count: Int) -> Float { (3 / Float(count)).squareRoot() }

  /// Lengths, channels, taps and dilations where index arithmetic goes wrong.
  static var awkwardConvolutions: [OperationCase] {
    var cases: [OperationCase] = []
    for padding in Padding.allCases {
      func add(
        _ time: Int, _ inputs: Int, _ outputs: Int, _ taps: Int, _ dilation: Int,
        _ capacity: Int, _ live: Int
      ) {
        let shape = Conv1DShape(
          time: time, inputChannels: inputs, outputChannels: outputs, taps: taps,
          dilation: dilation, padding: padding)
        cases.append(conv1D(shape, capacity: capacity, live: live))
      }
      for dilation in 1...8 { add(13, 3, 5, 3, dilation, 2, 2) }
      add(11, 7, 4, 7, 8, 2, 1)  // the dilated kernel reaches beyond the window on both sides
      add(1, 4, 3, 3, 1, 2, 2)
      add(1, 1, 1, 1, 1, 1, 1)
      add(9, 1, 7, 4, 3, 3, 2)  // even taps: one more zero after than before
      add(8, 7, 33, 2, 1, 1, 1)
      add(17, 33, 1, 9, 1, 3, 1)
      add(15, 33, 17, 5, 2, 2, 2)
      add(7, 4, 8, 3, 2, 3, 2)  // all rows begin at multiples of four elements
      add(11, 8, 16, 5, 2, 4, 3)  // and of eight, as tensor cores want them
      add(50, 24, 72, 3, 2, 3, 2)  // more than one tile of rows, columns and depth
      add(33, 24, 16, 9, 1, 4, 4)  // more tiles of depth than are fetched ahead
    }
    return cases
  }

  /// Every convolution of the two published networks.
  static func modelConvolutions(batch: Int) -> [OperationCase] {
    var cases: [OperationCase] = []
    func add(
      _ time: Int, _ inputs: Int, _ outputs: Int, _ taps: Int, _ dilation: Int = 1,
      _ padding: Padding = .same
    ) {
      let shape = Conv1DShape(
        time: time, inputChannels: inputs, outputChannels: outputs, taps: taps,
        dilation: dilation, padding: padding)
      cases.append(conv1D(shape, capacity: batch, live: batch))
    }
    for padding in Padding.allCases {
      for taps in [3, 7] {
        add(204, 8, 32, taps, 1, padding)
        for dilation in [2, 4, 8] { add(204, 64, 32, taps, dilation, padding) }
      }
    }
    add(204, 8, 64, 1)
    add(204, 8, 64, 9)
    add(204, 64, 128, 5)
    add(102, 128, 256, 3)
    add(51, 256, 512, 3)
    return cases
  }

  static var awkwardDense: [OperationCase] {
    [
      (1, 1, 1, 1, 1), (1, 7, 33, 3, 2), (5, 33, 7, 2, 2), (1, 64, 5, 3, 3), (3, 1, 7, 2, 1),
      (3, 8, 4, 3, 2),
      (1, 32, 32, 7, 6),  // whole groups, whose rows take several
      // Rows and widths that tensor cores take; more than one tile of rows, columns and depth.
      (40, 16, 24, 3, 2), (70, 72, 80, 2, 2), (40, 20, 16, 2, 2),
    ].map {
      dense(
        DenseShape(rowsPerSample: $0.0, inputs: $0.1, outputs: $0.2), capacity: $0.3, live: $0.4)
    }
  }

  static func modelDense(batch: Int) -> [OperationCase] {
    [(64, 8), (8, 64), (64, 64), (64, 5), (512, 512), (512, 5)].map {
      dense(DenseShape(inputs: $0.0, outputs: $0.1), capacity: batch, live: batch)
    }
  }
}
