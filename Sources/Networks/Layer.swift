import Compute

/// One layer of a network.
public struct Layer: Sendable {
  /// Unique in the network; Keras's automatic name unless an archive says otherwise.
  public var name: String
  /// What it computes, with its settings.
  public var kind: any NetworkLayer
  /// Indices of the layers it reads, each below its own.
  public var inputs: [Int]

  public init(name: String, kind: any NetworkLayer, inputs: [Int]) {
    self.name = name
    self.kind = kind
    self.inputs = inputs
  }

  /// Shape of the output for the given shapes of the inputs, without batch axes.
  func outputShape(inputs: [[Int]]) throws(NetworkError) -> [Int] {
    let count = type(of: kind).inputCount
    guard count.allows(inputs.count) else {
      throw .inputCount(layer: name, expected: count.text, found: inputs.count)
    }
    if let fault = kind.fault() { throw .setting(layer: name, what: fault) }
    do {
      return try kind.outputShape(inputs)
    } catch {
      throw .shape(layer: name, expected: error.expected, found: inputs)
    }
  }

  /// Variables in Keras's order.
  func weightSpecs(index: Int, inputs: [[Int]]) -> [WeightSpec] {
    kind.variables(inputs).map {
      WeightSpec(
        name: "\(name)/\($0.name)", shape: $0.shape, initializer: $0.initializer,
        isTrainable: $0.isTrainable, l2: $0.l2, layer: index)
    }
  }
}

extension Layer: Hashable {
  public static func == (a: Layer, b: Layer) -> Bool {
    a.name == b.name && a.inputs == b.inputs && AnyHashable(a.kind) == AnyHashable(b.kind)
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(name)
    hasher.combine(inputs)
    hasher.combine(AnyHashable(kind))
  }
}

/// A variable of a layer, as Keras orders and names them.
public struct WeightSpec: Sendable, Hashable {
  public enum Initializer: Sendable, Hashable {
    case zeros, ones
    /// Uniform in ±√(6 / (fanIn + fanOut)).
    case glorotUniform(fanIn: Int, fanOut: Int)
  }

  /// `layer/variable`, e.g. `conv1d_1/kernel`, `multi_head_attention/query/kernel`.
  public var name: String
  public var shape: [Int]
  public var initializer: Initializer
  public var isTrainable: Bool
  /// Penalty l2·Σw²; 0 for none.
  public var l2: Float
  /// Index of its layer in the network.
  public var layer: Int

  public var elementCount: Int { shape.reduce(1, *) }
}
