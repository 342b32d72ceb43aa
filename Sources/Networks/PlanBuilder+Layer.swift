import Compute

/// What a layer asks of the program that is being built: all of it is about the layer whose turn it
/// is.
extension PlanBuilder {
  var layer: Layer { network.layers[place] }

  /// Whether noise and dropout are at work.
  var regularizes: Bool { isTraining && options.regularizes }

  // MARK: Inputs

  var inputs: [TensorID] { layer.inputs.map { traces[$0].output } }
  var inputShapes: [[Int]] { layer.inputs.map { network.shapes[$0] } }

  func input(_ which: Int = 0) -> TensorID { traces[layer.inputs[which]].output }

  /// Time and channels of the first input; a vector counts as one time step.
  var inputSequence: SequenceShape {
    let shape = network.shapes[layer.inputs[0]]
    return SequenceShape(time: shape.dropLast().reduce(1, *), channels: shape.last ?? 1)
  }

  /// A new tensor for the gradient of an input, of the shape of the tensor that it is the gradient
  /// of: a reshaped input has none of its own.
  mutating func inputGradient(_ which: Int = 0) -> TensorID {
    let input = tensors[input(which).index]
    return activation(
      of: "input_gradient" + (which == 0 ? "" : "_\(which)"), Array(input.shape.dropFirst()))
  }

  // MARK: Output

  var outputShape: [Int] { network.shapes[place] }
  /// Of the output, in one sample.
  var elementCount: Int { outputShape.reduce(1, *) }

  /// A new tensor of the output's shape.
  mutating func output(_ name: String = "output") -> TensorID {
    activation(of: name, outputShape)
  }

  /// A new tensor with the layer's name before its own, `[capacity, shape…]`.
  mutating func activation(
    of name: String, _ shape: [Int], batched: Bool = true, type: ElementType = .float32
  ) -> TensorID {
    activation("\(layer.name)/\(name)", shape, batched: batched, type: type)
  }

  // MARK: Variables and randomness

  /// Tensor of a variable by its place in Keras's order.
  func weight(_ variable: Int) -> TensorID { weights[layerWeights[place][variable]] }

  /// Gradient of a trainable variable.
  func gradient(_ variable: Int) -> TensorID {
    let value = weight(variable)
    guard let parameter = parameters.first(where: { $0.value == value }) else {
      preconditionFailure("variable \(variable) of layer \(layer.name) is not trainable")
    }
    return parameter.gradient
  }

  /// Philox stream of the layer's random numbers.
  var stream: UInt32 { RandomStream.firstLayer + UInt32(place) }
}
