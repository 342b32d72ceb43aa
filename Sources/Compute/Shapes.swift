// Static shapes of the operations. Every shape is that of one sample: the batch axis comes first in
// the tensors and its live extent is given when a program runs.

/// How a convolution treats the time before the first and after the last sample: with zeros.
public enum Padding: String, Sendable, CaseIterable {
  /// Centred, as Keras `padding="same"` at stride 1: ⌊(taps − 1)·dilation / 2⌋ zeros before, the
  /// rest after.
  case same
  /// Only backward, as Keras `padding="causal"`: (taps − 1)·dilation zeros before, none after.
  case causal
}

/// `output[b, t, o] = bias[o] + Σ_{k, c} kernel[k, c, o] · input[b, t + k·dilation − leftPadding, c]`,
/// input `[B, T, C]`, kernel `[K, C, O]` (Keras's layout, cross-correlation), output `[B, T, O]`.
public struct Conv1DShape: Hashable, Sendable {
  public var time: Int
  public var inputChannels: Int
  public var outputChannels: Int
  public var taps: Int
  public var dilation: Int
  public var padding: Padding

  public init(
    time: Int, inputChannels: Int, outputChannels: Int, taps: Int, dilation: Int = 1,
    padding: Padding = .same
  ) {
    precondition(
      time > 0 && inputChannels > 0 && outputChannels > 0 && taps > 0 && dilation > 0,
      "a convolution needs positive sizes")
    self.time = time
    self.inputChannels = inputChannels
    self.outputChannels = outputChannels
    self.taps = taps
    self.dilation = dilation
    self.padding = padding
  }

  /// Zeros before the first sample.
  public var leftPadding: Int {
    let total = (taps - 1) * dilation
    return padding == .causal ? total : total / 2
  }
  /// Zeros after the last sample.
  public var rightPadding: Int { (taps - 1) * dilation - leftPadding }
}

/// Batch or layer normalization over `[B, T, C]`: batch statistics are over the live batch and time
/// per channel, layer statistics over the channels of each time step.
public struct NormalizationShape: Hashable, Sendable {
  public var time: Int
  public var channels: Int
  /// Added to the variance before the square root.
  public var epsilon: Float
  /// Batch normalization only: `moving = moving·momentum + batch·(1 − momentum)`, with the
  /// population variance (Keras).
  public var momentum: Float

  public init(time: Int, channels: Int, epsilon: Float, momentum: Float = 0.99) {
    self.time = time
    self.channels = channels
    self.epsilon = epsilon
    self.momentum = momentum
  }
}

/// `output[r, o] = bias[o] + Σ_i input[r, i]·kernel[i, o]`; kernel `[I, O]`, rows = live · rowsPerSample.
public struct DenseShape: Hashable, Sendable {
  public var rowsPerSample: Int
  public var inputs: Int
  public var outputs: Int

  public init(rowsPerSample: Int = 1, inputs: Int, outputs: Int) {
    self.rowsPerSample = rowsPerSample
    self.inputs = inputs
    self.outputs = outputs
  }
}

/// `[B, T, C]` seen as time steps of channels.
public struct SequenceShape: Hashable, Sendable {
  public var time: Int
  public var channels: Int

  public init(time: Int, channels: Int) {
    self.time = time
    self.channels = channels
  }

  public var elementCount: Int { time * channels }
}

/// Max pooling over time, window = stride = `size`, no padding: `[B, T, C]` → `[B, ⌊T/size⌋, C]`.
/// Samples after the last whole window are dropped. On a tie the earliest sample wins.
public struct PoolShape: Hashable, Sendable {
  public var time: Int
  public var channels: Int
  public var size: Int

  public init(time: Int, channels: Int, size: Int) {
    precondition(time >= size && size >= 1 && size <= 255, "a pool must fit into its input")
    self.time = time
    self.channels = channels
    self.size = size
  }

  public var outputTime: Int { time / size }
}

/// Inverted dropout: an element is kept when its 16-bit Philox lane ≥ round(rate·65,536) and is then
/// scaled by 1/(1 − rate). The element's index in the whole batch tensor is what is counted.
public struct DropoutShape: Hashable, Sendable {
  public var elementsPerSample: Int
  public var rate: Float
  /// Philox stream of this layer.
  public var stream: UInt32

  public init(elementsPerSample: Int, rate: Float, stream: UInt32) {
    precondition(rate >= 0 && rate < 1, "a dropout rate lies in [0, 1)")
    self.elementsPerSample = elementsPerSample
    self.rate = rate
    self.stream = stream
  }
}

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

/// Categorical cross-entropy from logits with label smoothing and sample weights.
public struct LossShape: Hashable, Sendable {
  public var classes: Int
  /// Targets become `y·(1 − smoothing) + smoothing/classes`.
  public var smoothing: Float

  public init(classes: Int, smoothing: Float) {
    self.classes = classes
    self.smoothing = smoothing
  }
}

/// How windows are gathered into a batch and their labels into targets.
public struct GatherShape: Hashable, Sendable {
  public var time: Int
  public var channels: Int
  public var classes: Int
  /// MixUp also mixes the labels by λ; otherwise they are those of the first window alone.
  public var mixesLabels: Bool
  /// Standard deviation of the noise added to the masked view.
  public var noiseDeviation: Float
  /// Weight of each class, or empty for ones: a sample's weight is Σ yᵢ·wᵢ of its unsmoothed target.
  public var classWeights: [Float]

  public init(
    time: Int, channels: Int, classes: Int, mixesLabels: Bool, noiseDeviation: Float = 0.02,
    classWeights: [Float] = []
  ) {
    precondition(
      classWeights.isEmpty || classWeights.count == classes, "a weight for each class, or none")
    self.time = time
    self.channels = channels
    self.classes = classes
    self.mixesLabels = mixesLabels
    self.noiseDeviation = noiseDeviation
    self.classWeights = classWeights
  }
}

/// Adam as Keras computes it: `m += (g − m)(1 − β₁)`, `v += (g² − v)(1 − β₂)`,
/// `w −= lr·√(1 − β₂ᵗ)/(1 − β₁ᵗ) · m/(√v + ε)`, t from 1. The learning rate and t come from the
/// epoch's table. The first `decayedCount` elements of the arena carry L2: g gains `2·l2·w` first.
///
/// Keras raises β to t after rounding it to single precision, whatever the type of the weights, but
/// takes 1 − β in double (`keras/src/optimizers/adam.py`: `ops.cast` of a Python number, and the
/// number itself). At t = 1 the first rounding changes a step by 7·10⁻⁶ of itself, so it is part of
/// what is computed: βᵗ from `Double(beta)`, 1 − β from `beta.decimalValue`.
public struct AdamSettings: Hashable, Sendable {
  public var beta1: Float
  public var beta2: Float
  public var epsilon: Float
  public var l2: Float

  public init(beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-7, l2: Float) {
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.l2 = l2
  }
}
