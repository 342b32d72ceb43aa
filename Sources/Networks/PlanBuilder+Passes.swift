import Compute

extension PlanBuilder {
  /// Appends all layers; returns the logits of the last one.
  mutating func appendForward(batch: TensorID) -> TensorID {
    self.batch = batch
    for index in network.layers.indices {
      place = index
      traces.append(network.layers[index].kind.forward(&self))
    }
    guard let last = traces.last, let logits = last.linear else {
      preconditionFailure("the network \(network.name) does not end in a dense softmax layer")
    }
    return logits
  }

  /// Appends the backward pass of all layers, last to first. A layer's output may have several
  /// readers: each leaves a contribution to its gradient, and where there is more than one they
  /// are added before the layer's own backward pass.
  mutating func appendBackward(logitsGradient: TensorID) {
    let wanted = layersWithTrainableUpstream()
    var contributions: [[TensorID]] = Array(repeating: [], count: network.layers.count)
    contributions[network.layers.count - 1] = [logitsGradient]
    for index in network.layers.indices.reversed() where wanted[index] {
      place = index
      guard let total = total(of: contributions[index]) else { continue }
      let layer = network.layers[index]
      let given = layer.kind.backward(
        &self, traces[index], outputGradient: total, wanted: layer.inputs.map { wanted[$0] })
      for (input, gradient) in zip(layer.inputs, given) {
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

  private mutating func total(of contributions: [TensorID]) -> TensorID? {
    guard contributions.count > 1 else { return contributions.first }
    let sum = output("output_gradient")
    operations.append(
      .add(.init(elementsPerSample: elementCount, inputs: contributions, output: sum)))
    return sum
  }
}
