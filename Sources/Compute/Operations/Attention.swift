/// Multi-head self-attention as Keras's `MultiHeadAttention(heads, keySize, dropout)(x, x)`:
/// input `[B, T, C]`, query/key/value kernels `[C, H, K]` with biases `[H, K]`, scores scaled by
/// 1/√K, softmax over the keys, dropout on the weights, output kernel `[H, K, O]`, bias `[O]`.
public struct AttentionShape: Hashable, Sendable {
  public var time: Int
  public var channels: Int
  public var heads: Int
  public var keySize: Int
  public var outputChannels: Int
  /// Dropout on the softmax weights; 0 in inference. Counted over the index in `[B, H, T, T]`.
  public var dropoutRate: Float
  public var stream: UInt32

  public init(
    time: Int, channels: Int, heads: Int, keySize: Int, outputChannels: Int, dropoutRate: Float,
    stream: UInt32
  ) {
    self.time = time
    self.channels = channels
    self.heads = heads
    self.keySize = keySize
    self.outputChannels = outputChannels
    self.dropoutRate = dropoutRate
    self.stream = stream
  }

  /// The dropout of the softmax weights `[H, T, T]` of a sample.
  public var dropout: DropoutShape {
    DropoutShape(elementsPerSample: heads * time * time, rate: dropoutRate, stream: stream)
  }
}

/// The eight weights of multi-head attention, or their gradients.
public struct AttentionParameters: Hashable, Sendable {
  public var queryKernel, queryBias: TensorID  // [C, H, K], [H, K]
  public var keyKernel, keyBias: TensorID  // [C, H, K], [H, K]
  public var valueKernel, valueBias: TensorID  // [C, H, K], [H, K]
  public var outputKernel, outputBias: TensorID  // [H, K, O], [O]

  public init(
    queryKernel: TensorID, queryBias: TensorID, keyKernel: TensorID, keyBias: TensorID,
    valueKernel: TensorID, valueBias: TensorID, outputKernel: TensorID, outputBias: TensorID
  ) {
    self.queryKernel = queryKernel
    self.queryBias = queryBias
    self.keyKernel = keyKernel
    self.keyBias = keyBias
    self.valueKernel = valueKernel
    self.valueBias = valueBias
    self.outputKernel = outputKernel
    self.outputBias = outputBias
  }

  public var all: [TensorID] {
    [
      queryKernel, queryBias, keyKernel, keyBias, valueKernel, valueBias, outputKernel, outputBias,
    ]
  }
}

/// What attention's forward pass leaves for its backward pass.
public struct AttentionActivations: Hashable, Sendable {
  public var query, key, value: TensorID  // [B, T, H, K]
  /// Softmax weights before dropout.
  public var probabilities: TensorID  // [B, H, T, T]
  /// Weighted values.
  public var context: TensorID  // [B, T, H, K]

  public init(
    query: TensorID, key: TensorID, value: TensorID, probabilities: TensorID, context: TensorID
  ) {
    self.query = query
    self.key = key
    self.value = value
    self.probabilities = probabilities
    self.context = context
  }

  public var all: [TensorID] { [query, key, value, probabilities, context] }
}

extension AttentionShape {
  /// Four projections and two products of T × T, forward, of a sample.
  fileprivate var productOperations: Double {
    let projections = heads * keySize * (3 * channels + outputChannels)
    let perStep = projections + 2 * time * heads * keySize
    return 2 * Double(time * perStep)
  }
}

/// input `[B, T, C]` → output `[B, T, O]`. The short form of some devices does about half of
/// `productOperations`.
public struct AttentionForward: PlanOperation {
  public static let kind = Operation.Kind.attentionForward
  public static let phase = Operation.Phase.forward
  public static let reports = false
  public var shape: AttentionShape
  public var input: TensorID
  public var parameters: AttentionParameters
  public var activations: AttentionActivations
  public var output: TensorID

  public init(
    _ shape: AttentionShape, input: TensorID, parameters: AttentionParameters,
    activations: AttentionActivations, output: TensorID
  ) {
    self.shape = shape
    self.input = input
    self.parameters = parameters
    self.activations = activations
    self.output = output
  }

  public var reads: [TensorID] { [input] + parameters.all }
  public var writes: [TensorID] { activations.all + [output] }
  public var productOperations: Double { shape.productOperations }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    values.scale(of: id, terms: AttentionTerms(values, shape, parameters, activations).of(id, self))
  }
}

public struct AttentionBackward: PlanOperation {
  public static let kind = Operation.Kind.attentionBackward
  public static let phase = Operation.Phase.backward
  public static let reports = false
  public var shape: AttentionShape
  public var input, outputGradient: TensorID
  public var parameters: AttentionParameters
  public var activations: AttentionActivations
  public var inputGradient: TensorID
  public var gradients: AttentionParameters

  public init(
    _ shape: AttentionShape, input: TensorID, outputGradient: TensorID,
    parameters: AttentionParameters, activations: AttentionActivations, inputGradient: TensorID,
    gradients: AttentionParameters
  ) {
    self.shape = shape
    self.input = input
    self.outputGradient = outputGradient
    self.parameters = parameters
    self.activations = activations
    self.inputGradient = inputGradient
    self.gradients = gradients
  }

  public var reads: [TensorID] { [input, outputGradient] + parameters.all + activations.all }
  public var writes: [TensorID] { [inputGradient] + gradients.all }
  public var productOperations: Double { 2 * shape.productOperations }

  public func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale {
    values.scale(of: id, terms: AttentionTerms(values, shape, parameters, activations).of(id, self))
  }
}
