import Compute

/// One layer of a network: the fixed list that we can build, train, write and read. Names and
/// semantics are those of `keras.layers`; shapes leave out the batch axis.
public struct Layer: Sendable, Hashable {
  /// What the layer computes, with its hyper-parameters.
  public enum Kind: Sendable, Hashable {
    /// `[time, channels]`.
    case input(time: Int, channels: Int)
    /// Adds noise while training.
    case gaussianNoise(standardDeviation: Float)
    /// `[T, C]` → `[T, filters]`, stride 1, with bias.
    case conv1D(filters: Int, kernelSize: Int, dilation: Int, padding: Padding, l2: Float)
    case batchNormalization(momentum: Float, epsilon: Float)
    case relu
    /// Along the channels.
    case concatenate
    case dropout(rate: Float)
    /// `[T, C]` → `[C]`.
    case globalAveragePooling1D
    /// On the last axis, with bias.
    case dense(units: Int, activation: Activation, l2: Float)
    /// `[C]` → `[1, C]`: how squeeze-excitation's scale meets the sequence it scales.
    case reshapeToSequence
    /// `[T, C]` · `[1, C]`.
    case multiply
    case add
    case layerNormalization(epsilon: Float)
    /// Self-attention: query, key and value are the one input.
    case multiHeadAttention(heads: Int, keySize: Int, dropout: Float)
    /// `[T, C]` → `[⌊T/size⌋, C]`.
    case maxPooling1D(size: Int)
  }

  public enum Activation: String, Sendable, Hashable {
    case linear, relu, sigmoid, softmax
  }

  /// Unique in the network; Keras's automatic name unless an archive says otherwise.
  public var name: String
  public var kind: Kind
  /// Indices of the layers it reads, each below its own.
  public var inputs: [Int]

  public init(name: String, kind: Kind, inputs: [Int]) {
    self.name = name
    self.kind = kind
    self.inputs = inputs
  }
}

extension Layer.Kind {
  /// Keras's automatic name of a layer of this class: the class's name in snake case.
  public var kerasName: String {
    switch self {
    case .input: "input_layer"
    case .gaussianNoise: "gaussian_noise"
    case .conv1D: "conv1d"
    case .batchNormalization: "batch_normalization"
    case .relu: "activation"
    case .concatenate: "concatenate"
    case .dropout: "dropout"
    case .globalAveragePooling1D: "global_average_pooling1d"
    case .dense: "dense"
    case .reshapeToSequence: "reshape"
    case .multiply: "multiply"
    case .add: "add"
    case .layerNormalization: "layer_normalization"
    case .multiHeadAttention: "multi_head_attention"
    case .maxPooling1D: "max_pooling1d"
    }
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
