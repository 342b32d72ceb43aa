import Compute

/// A network as a list of layers in topological order, each input before its reader; the last layer
/// is the output. Shapes are checked when it is made.
public struct Network: Sendable, Hashable {
  /// Keras's model name.
  public let name: String
  public let layers: [Layer]
  /// Shape of each layer's output without the batch axis, `[T, C]` or `[C]`.
  public let shapes: [[Int]]
  /// All variables, in the order of the layers and, within a layer, of Keras.
  public let weights: [WeightSpec]

  /// - Throws: `NetworkError` where shapes do not fit or the layers are no network.
  public init(name: String, layers: [Layer]) throws(NetworkError) {
    guard !layers.isEmpty else { throw .empty(name: name) }
    var shapes: [[Int]] = []
    var weights: [WeightSpec] = []
    var names: Set<String> = []
    for (index, layer) in layers.enumerated() {
      guard names.insert(layer.name).inserted else { throw .duplicateName(layer: layer.name) }
      guard layer.inputs.allSatisfy({ $0 >= 0 && $0 < index }) else {
        throw .unorderedInput(layer: layer.name)
      }
      let inputs = layer.inputs.map { shapes[$0] }
      shapes.append(try layer.outputShape(inputs: inputs))
      weights += layer.weightSpecs(index: index, inputs: inputs)
    }
    self.name = name
    self.layers = layers
    self.shapes = shapes
    self.weights = weights
  }

  /// Time steps and channels of the input.
  public var input: (time: Int, channels: Int) {
    guard let input = layers.lazy.compactMap({ $0.kind as? Layers.Input }).first else {
      return (0, 0)
    }
    return (input.time, input.channels)
  }
  /// Units of the output.
  public var classes: Int { shapes.last?.last ?? 0 }
  /// Elements of all variables; trainable ones alone as `trainableCount`.
  public var parameterCount: Int { weights.reduce(0) { $0 + $1.elementCount } }
  public var trainableCount: Int {
    weights.reduce(0) { $0 + ($1.isTrainable ? $1.elementCount : 0) }
  }
  /// Padding of the first dilated convolution, or nil where there is none.
  public var dilatedPadding: Padding? {
    layers.lazy.compactMap { $0.kind as? Layers.Conv1D }.first { $0.dilation > 1 }?.padding
  }
  /// The L2 coefficients of its kernels, each once, in the order of the layers that have them first.
  public var l2Coefficients: [Float] {
    weights.filter { $0.isTrainable && $0.l2 > 0 }.reduce(into: []) { found, weight in
      if !found.contains(weight.l2) { found.append(weight.l2) }
    }
  }
}

/// Why a list of layers is not a network.
public enum NetworkError: Error, Equatable, CustomStringConvertible {
  case empty(name: String)
  case duplicateName(layer: String)
  case unorderedInput(layer: String)
  case inputCount(layer: String, expected: String, found: Int)
  case shape(layer: String, expected: String, found: [[Int]])
  case setting(layer: String, what: String)

  public var description: String {
    switch self {
    case .empty(let name): "the network \(name) has no layers"
    case .duplicateName(let layer): "two layers are called \(layer)"
    case .unorderedInput(let layer): "layer \(layer) reads a layer that does not come before it"
    case .inputCount(let layer, let expected, let found):
      "layer \(layer) takes \(expected), but has \(found) inputs"
    case .shape(let layer, let expected, let found):
      "layer \(layer) takes \(expected), but is given \(found)"
    case .setting(let layer, let what): "layer \(layer): \(what)"
    }
  }
}

/// Collects layers and gives them Keras's automatic names: `conv1d`, `conv1d_1`, …
public struct NetworkBuilder {
  /// A layer's place in the list.
  public typealias Node = Int

  private var layers: [Layer] = []
  private var counts: [String: Int] = [:]

  public init() {}

  public mutating func append(_ kind: some NetworkLayer, _ inputs: Node...) -> Node {
    let base = type(of: kind).automaticName
    let count = counts[base, default: 0]
    counts[base] = count + 1
    layers.append(
      Layer(name: count == 0 ? base : "\(base)_\(count)", kind: kind, inputs: inputs))
    return layers.count - 1
  }

  /// - Throws: `NetworkError` where shapes do not fit.
  public func build(name: String) throws(NetworkError) -> Network {
    try Network(name: name, layers: layers)
  }
}
