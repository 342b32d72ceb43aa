import Compute

extension Layer {
  /// Shape of the output for the given shapes of the inputs, without batch axes.
  func outputShape(inputs: [[Int]]) throws(NetworkError) -> [Int] {
    try checkInputCount(inputs.count)
    try checkSettings()
    let first = inputs.first ?? []
    switch kind {
    case .input(let time, let channels):
      return [time, channels]
    case .gaussianNoise, .batchNormalization, .relu, .dropout, .layerNormalization:
      return first
    case .conv1D(let filters, _, _, _, _):
      return [try sequence(inputs).time, filters]
    case .concatenate:
      guard inputs.allSatisfy({ $0.count == 2 && $0[0] == first[0] }) else {
        throw .shape(layer: name, expected: "sequences of one length", found: inputs)
      }
      return [first[0], inputs.reduce(0) { $0 + $1[1] }]
    case .globalAveragePooling1D:
      return [try sequence(inputs).channels]
    case .dense(let units, _, _):
      return first.dropLast() + [units]
    case .reshapeToSequence:
      guard first.count == 1 else {
        throw .shape(layer: name, expected: "one vector", found: inputs)
      }
      return [1, first[0]]
    case .multiply:
      guard inputs[0].count == 2, inputs[1] == [1, inputs[0][1]] else {
        throw .shape(
          layer: name, expected: "a sequence [T, C] and a scale [1, C]", found: inputs)
      }
      return first
    case .add:
      guard inputs.allSatisfy({ $0 == first }) else {
        throw .shape(layer: name, expected: "inputs of one shape", found: inputs)
      }
      return first
    case .multiHeadAttention:
      _ = try sequence(inputs)
      return first
    case .maxPooling1D(let size):
      let (time, channels) = try sequence(inputs)
      guard time >= size else {
        throw .shape(layer: name, expected: "at least \(size) time steps", found: inputs)
      }
      return [time / size, channels]
    }
  }

  private func sequence(_ inputs: [[Int]]) throws(NetworkError) -> (time: Int, channels: Int) {
    guard inputs[0].count == 2 else {
      throw .shape(layer: name, expected: "a sequence [T, C]", found: inputs)
    }
    return (inputs[0][0], inputs[0][1])
  }

  private func checkInputCount(_ count: Int) throws(NetworkError) {
    switch kind {
    case .input:
      if count != 0 { throw .inputCount(layer: name, expected: "no input", found: count) }
    case .concatenate, .add:
      if count < 2 { throw .inputCount(layer: name, expected: "two or more inputs", found: count) }
    case .multiply:
      if count != 2 { throw .inputCount(layer: name, expected: "two inputs", found: count) }
    default:
      if count != 1 { throw .inputCount(layer: name, expected: "one input", found: count) }
    }
  }

  /// Sizes are bounded so that no product of them can overflow, whoever wrote the network.
  private func checkSettings() throws(NetworkError) {
    let sizes: [Int] =
      switch kind {
      case .input(let time, let channels): [time, channels]
      case .conv1D(let filters, let kernelSize, let dilation, _, _):
        [filters, kernelSize, dilation]
      case .dense(let units, _, _): [units]
      case .multiHeadAttention(let heads, let keySize, _): [heads, keySize]
      case .maxPooling1D(let size): [size]
      default: []
      }
    guard sizes.allSatisfy({ 1...65_536 ~= $0 }) else {
      throw .setting(layer: name, what: "sizes lie between 1 and 65536, found \(sizes)")
    }
    if case .maxPooling1D(let size) = kind, size > 255 {
      throw .setting(layer: name, what: "a pool is at most 255 wide, found \(size)")
    }
    let rate: Float =
      switch kind {
      case .dropout(let rate), .multiHeadAttention(_, _, let rate): rate
      default: 0
      }
    guard rate >= 0 && rate < 1 else {
      throw .setting(layer: name, what: "a dropout rate lies in [0, 1), found \(rate)")
    }
  }

  /// Variables in Keras's order.
  func weightSpecs(index: Int, inputs: [[Int]]) -> [WeightSpec] {
    func weight(
      _ variable: String, _ shape: [Int], _ initializer: WeightSpec.Initializer = .zeros,
      trainable: Bool = true, l2: Float = 0
    ) -> WeightSpec {
      WeightSpec(
        name: "\(name)/\(variable)", shape: shape, initializer: initializer,
        isTrainable: trainable, l2: l2, layer: index)
    }
    let channels = inputs.first?.last ?? 0
    switch kind {
    case .conv1D(let filters, let kernelSize, _, _, let l2):
      return [
        weight(
          "kernel", [kernelSize, channels, filters],
          .glorotUniform(fanIn: kernelSize * channels, fanOut: kernelSize * filters), l2: l2),
        weight("bias", [filters]),
      ]
    case .dense(let units, _, let l2):
      return [
        weight(
          "kernel", [channels, units], .glorotUniform(fanIn: channels, fanOut: units), l2: l2),
        weight("bias", [units]),
      ]
    case .batchNormalization:
      return [
        weight("gamma", [channels], .ones), weight("beta", [channels]),
        weight("moving_mean", [channels], trainable: false),
        weight("moving_variance", [channels], .ones, trainable: false),
      ]
    case .layerNormalization:
      return [weight("gamma", [channels], .ones), weight("beta", [channels])]
    case .multiHeadAttention(let heads, let keySize, _):
      // Keras takes the first axis of a rank-3 kernel as its receptive field.
      let projection = WeightSpec.Initializer.glorotUniform(
        fanIn: channels * heads, fanOut: channels * keySize)
      let output = WeightSpec.Initializer.glorotUniform(
        fanIn: heads * keySize, fanOut: heads * channels)
      return ["query", "key", "value"].flatMap {
        [
          weight("\($0)/kernel", [channels, heads, keySize], projection),
          weight("\($0)/bias", [heads, keySize]),
        ]
      } + [
        weight("attention_output/kernel", [heads, keySize, channels], output),
        weight("attention_output/bias", [channels]),
      ]
    default:
      return []
    }
  }
}
