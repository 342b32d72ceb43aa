import Compute

/// A kind of layer with its settings: all that we know of it. Names and semantics are those of
/// `keras.layers`; shapes leave out the batch axis. A new layer is a file with a type of this
/// protocol, and a line in `Layers.all`.
public protocol NetworkLayer: Sendable, Hashable {
  /// Keras's classes that become this layer; the first is the one that we write.
  static var classNames: [String] { get }
  /// Keras's automatic name: the class's name in snake case.
  static var automaticName: String { get }
  static var inputCount: LayerInputCount { get }

  /// What is checked before anything is computed from the settings: sizes lie between 1 and 65,536,
  /// so that no product of them can overflow, whoever wrote the network.
  ///
  /// - Returns: what is wrong, in words.
  func fault() -> String?
  /// Shape of the output.
  ///
  /// - Parameter inputs: as many as `inputCount` says.
  func outputShape(_ inputs: [[Int]]) throws(LayerShapeError) -> [Int]
  /// In Keras's order.
  func variables(_ inputs: [[Int]]) -> [LayerVariable]

  /// Appends the layer's operations to the program that is being built.
  func forward(_ build: inout PlanBuilder) -> LayerTrace
  /// Appends its backward pass.
  ///
  /// - Parameter wanted: for each input, whether anything before it is trained.
  /// - Returns: the gradient of each input, nil where there is none or none is wanted.
  func backward(
    _ build: inout PlanBuilder, _ trace: LayerTrace, outputGradient: TensorID, wanted: [Bool]
  ) -> [TensorID?]

  /// What a layer of Keras becomes.
  ///
  /// - Parameter shapes: of its inputs.
  static func read(
    _ config: LayerConfig, shapes: [[Int]]
  ) throws(LayerConfigError) -> LayerReading
  /// Keras's settings, without the name and the type.
  func settings(_ inputs: [[Int]]) -> [String: JSONValue]
  /// How Keras is given the inputs.
  static var callForm: LayerCallForm { get }
}

/// The layers that we can build, train, write and read.
public enum Layers {
  public static let all: [any NetworkLayer.Type] = [
    Add.self, AveragePooling1D.self, BatchNormalization.self, Concatenate.self, Conv1D.self,
    Dense.self, Dropout.self,
    GaussianNoise.self, GlobalAveragePooling1D.self, Input.self, LayerNormalization.self,
    MaxPooling1D.self, MultiHeadAttention.self, Multiply.self, ReLU.self, Reshape.self,
  ]

  /// Keras's classes that can be read, by name.
  public static let classNames: [String] = all.flatMap { $0.classNames }.sorted()

  /// The layer that a class of Keras becomes.
  public static func type(ofClass name: String) -> (any NetworkLayer.Type)? {
    all.first { $0.classNames.contains(name) }
  }
}

/// How many outputs of other layers a layer reads.
public enum LayerInputCount: Sendable, Hashable {
  case none, one, two, twoOrMore

  func allows(_ count: Int) -> Bool {
    switch self {
    case .none: count == 0
    case .one: count == 1
    case .two: count == 2
    case .twoOrMore: count >= 2
    }
  }

  var text: String {
    switch self {
    case .none: "no input"
    case .one: "one input"
    case .two: "two inputs"
    case .twoOrMore: "two or more inputs"
    }
  }
}

/// How a layer of Keras is called with its inputs.
public enum LayerCallForm: Sendable, Hashable {
  /// Each an argument; none for the input itself.
  case arguments
  /// One list.
  case list
  /// The one input as query and as value.
  case twice
}

/// Inputs that do not fit a layer.
public struct LayerShapeError: Error, Equatable {
  public var expected: String
}

/// A variable of a layer.
public struct LayerVariable: Sendable, Hashable {
  /// Behind the layer's name: `kernel`, `query/kernel`.
  public var name: String
  public var shape: [Int]
  public var initializer: WeightSpec.Initializer
  public var isTrainable: Bool
  /// Penalty l2·Σw²; 0 for none.
  public var l2: Float
  /// Group of the archive's HDF5 file below the layer's, for layers that are made of others.
  public var sublayer: String?

  init(
    _ name: String, _ shape: [Int], _ initializer: WeightSpec.Initializer = .zeros,
    isTrainable: Bool = true, l2: Float = 0, sublayer: String? = nil
  ) {
    self.name = name
    self.shape = shape
    self.initializer = initializer
    self.isTrainable = isTrainable
    self.l2 = l2
    self.sublayer = sublayer
  }
}

/// What a layer's forward pass leaves for its backward pass and for the layers behind it.
public struct LayerTrace: Sendable {
  /// The layer's output; for layers that only rename, their input.
  var output: TensorID
  /// Output before the activation, of a dense layer.
  var linear: TensorID?
  /// Tensors that the layer's own backward pass asks for, in an order of its own.
  var kept: [TensorID] = []
}

/// What one layer of Keras becomes here.
public enum LayerReading {
  /// Layers of ours, one after another.
  case layers([any NetworkLayer])
  /// A sequence times a scale, the positions of both among the inputs; a scale that is a vector
  /// becomes a sequence of one step first.
  case scaled(sequence: Int, scale: Int, isVector: Bool)
  /// Self-attention, whose inputs must all be one.
  case attention(Layers.MultiHeadAttention)
  /// Nothing: a cast, a linear activation.
  case identity
  /// An activation that exists only as part of a dense layer.
  case activationOfDense(Activation)
}

/// What a dense layer may end with.
public enum Activation: String, Sendable, Hashable {
  case linear, relu, sigmoid, softmax
}

extension NetworkLayer {
  /// The first size that is none.
  func faulty(sizes: [Int]) -> String? {
    sizes.allSatisfy { 1...65_536 ~= $0 }
      ? nil : "sizes lie between 1 and 65536, found \(sizes)"
  }

  func faulty(dropoutRate rate: Float) -> String? {
    rate >= 0 && rate < 1 ? nil : "a dropout rate lies in [0, 1), found \(rate)"
  }

  /// Time steps and channels of a layer's first input, where it is a sequence.
  func sequence(_ inputs: [[Int]]) throws(LayerShapeError) -> (time: Int, channels: Int) {
    guard inputs[0].count == 2 else { throw LayerShapeError(expected: "a sequence [T, C]") }
    return (inputs[0][0], inputs[0][1])
  }
}
