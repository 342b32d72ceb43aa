import Compute

extension Layers {
  /// On the last axis, with bias: `keras.layers.Dense`. Sigmoid and softmax exist as part of it.
  public struct Dense: NetworkLayer {
    public static let classNames = ["Dense", "Softmax"]
    public static let automaticName = "dense"
    public static let inputCount = LayerInputCount.one
    public static let callForm = LayerCallForm.arguments

    public var units: Int
    public var activation: Activation
    public var l2: Float

    public init(units: Int, activation: Activation, l2: Float) {
      self.units = units
      self.activation = activation
      self.l2 = l2
    }

    public func fault() -> String? { faulty(sizes: [units]) }

    public func outputShape(_ inputs: [[Int]]) throws(LayerShapeError) -> [Int] {
      inputs[0].dropLast() + [units]
    }

    public func variables(_ inputs: [[Int]]) -> [LayerVariable] {
      let channels = inputs[0].last ?? 0
      return [
        LayerVariable(
          "kernel", [channels, units], .glorotUniform(fanIn: channels, fanOut: units), l2: l2),
        LayerVariable("bias", [units]),
      ]
    }

    /// Softmax is left to the loss or to the program's end.
    public func forward(_ build: inout PlanBuilder) -> LayerTrace {
      let linear = build.output(activation == .linear ? "output" : "linear")
      build.operations.append(
        .denseForward(
          .init(
            shape(build), input: build.input(), kernel: build.weight(0), bias: build.weight(1),
            output: linear)))
      switch activation {
      case .linear, .softmax:
        return LayerTrace(output: linear, linear: linear)
      case .relu:
        let output = build.output()
        build.operations.append(
          .reluForward(
            .init(elementsPerSample: build.elementCount, input: linear, output: output)))
        return LayerTrace(output: output, linear: linear)
      case .sigmoid:
        let output = build.output()
        build.operations.append(
          .sigmoidForward(
            .init(elementsPerSample: build.elementCount, input: linear, output: output)))
        return LayerTrace(output: output, linear: linear)
      }
    }

    public func backward(
      _ build: inout PlanBuilder, _ trace: LayerTrace, outputGradient: TensorID, wanted: [Bool]
    ) -> [TensorID?] {
      let linear = linearGradient(&build, trace, outputGradient)
      build.operations.append(
        .denseBackwardKernel(
          .init(
            shape(build), input: build.input(), outputGradient: linear,
            kernelGradient: build.gradient(0), biasGradient: build.gradient(1))))
      guard wanted[0] else { return [nil] }
      let gradient = build.inputGradient()
      build.operations.append(
        .denseBackwardInput(
          .init(
            shape(build), outputGradient: linear, kernel: build.weight(0),
            inputGradient: gradient)))
      return [gradient]
    }

    /// The gradient before the activation.
    private func linearGradient(
      _ build: inout PlanBuilder, _ trace: LayerTrace, _ outputGradient: TensorID
    ) -> TensorID {
      switch activation {
      case .linear, .softmax: return outputGradient
      case .relu:
        let linear = build.output("linear_gradient")
        build.operations.append(
          .reluBackward(
            .init(
              elementsPerSample: build.elementCount, output: trace.output,
              outputGradient: outputGradient, inputGradient: linear)))
        return linear
      case .sigmoid:
        let linear = build.output("linear_gradient")
        build.operations.append(
          .sigmoidBackward(
            .init(
              elementsPerSample: build.elementCount, output: trace.output,
              outputGradient: outputGradient, inputGradient: linear)))
        return linear
      }
    }

    private func shape(_ build: PlanBuilder) -> DenseShape {
      let input = build.inputSequence
      return DenseShape(rowsPerSample: input.time, inputs: input.channels, outputs: units)
    }

    public static func read(
      _ config: LayerConfig, shapes: [[Int]]
    ) throws(LayerConfigError) -> LayerReading {
      if config.className == "Softmax" {
        try config.expectLastAxis(rank: shapes.first?.count ?? 0)
        try config.refuseUnknown(besides: ["axis"])
        return .activationOfDense(.softmax)
      }
      try config.expect("use_bias", true)
      try config.refuseUnknown(besides: [
        "units", "activation", "use_bias", "kernel_regularizer",
      ])
      return .layers([
        Dense(
          units: try config.int("units"), activation: try config.activation(),
          l2: try config.kernelL2())
      ])
    }

    public func settings(_ inputs: [[Int]]) -> [String: JSONValue] {
      let own: [String: JSONValue] = [
        "units": .integer(units), "activation": .string(activation.rawValue),
      ]
      return own.withKernelAndBias(l2: l2)
    }
  }
}
