extension Operation {
  /// Floating-point operations (a multiply-add counts two) of the matrix products in a run over
  /// `live` samples, as the plan writes them; 0 for passes that have none. The short attention does
  /// about half of what its operations say.
  var productOperations: (_ live: Int) -> Double {
    let perSample: Double
    switch self {
    case .conv1DForward(let shape, _, _, _, _), .conv1DBackwardInput(let shape, _, _, _),
      .conv1DBackwardKernel(let shape, _, _, _, _):
      perSample = 2 * Double(shape.time * shape.taps * shape.inputChannels * shape.outputChannels)
    case .denseForward(let shape, _, _, _, _), .denseBackwardInput(let shape, _, _, _),
      .denseBackwardKernel(let shape, _, _, _, _):
      perSample = 2 * Double(shape.rowsPerSample * shape.inputs * shape.outputs)
    case .attentionForward(let shape, _, _, _, _):
      perSample = shape.productOperations
    case .attentionBackward(let shape, _, _, _, _, _, _):
      perSample = 2 * shape.productOperations
    default:
      perSample = 0
    }
    return { live in perSample * Double(live) }
  }
}

extension AttentionShape {
  /// Four projections and two products of T × T, forward, of a sample.
  fileprivate var productOperations: Double {
    let projections = heads * keySize * (3 * channels + outputChannels)
    let perStep = projections + 2 * time * heads * keySize
    return 2 * Double(time * perStep)
  }
}
