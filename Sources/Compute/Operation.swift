/// One operation of a plan. A closed set: a new case does not compile until every device answers
/// for it. Shapes are of one sample; `[B, …]` marks tensors with a batch axis, of which only the
/// live slots are read or written. Every output is overwritten (`=`) except where `+=` is said.
public enum Operation: Sendable, Hashable {
  /// Cuts windows out of the dataset of the epoch's table, augments them, and makes their targets:
  /// batch `[B, T, C]`, targets `[B, classes]` (unsmoothed), sampleWeights `[B]`.
  case gatherWindows(
    GatherShape, batch: TensorID, targets: TensorID, sampleWeights: TensorID)
  /// `output = input + deviation·normal`, `[B, …]`.
  case gaussianNoise(
    elementsPerSample: Int, deviation: Float, stream: UInt32, input: TensorID, output: TensorID)

  /// input `[B, T, C]`, kernel `[K, C, O]`, bias `[O]` → output `[B, T, O]`.
  case conv1DForward(
    Conv1DShape, input: TensorID, kernel: TensorID, bias: TensorID, output: TensorID)
  case conv1DBackwardInput(
    Conv1DShape, outputGradient: TensorID, kernel: TensorID, inputGradient: TensorID)
  case conv1DBackwardKernel(
    Conv1DShape, input: TensorID, outputGradient: TensorID, kernelGradient: TensorID,
    biasGradient: TensorID)

  /// Normalizes by the live batch's mean and population variance per channel; writes both
  /// (`[C]` each) and moves the moving ones towards them (`+=` in that sense).
  case batchNormForward(
    NormalizationShape, input: TensorID, gamma: TensorID, beta: TensorID, output: TensorID,
    mean: TensorID, variance: TensorID, movingMean: TensorID, movingVariance: TensorID)
  case batchNormInference(
    NormalizationShape, input: TensorID, gamma: TensorID, beta: TensorID, movingMean: TensorID,
    movingVariance: TensorID, output: TensorID)
  /// Through the batch statistics as well.
  case batchNormBackward(
    NormalizationShape, input: TensorID, outputGradient: TensorID, gamma: TensorID,
    mean: TensorID, variance: TensorID, inputGradient: TensorID, gammaGradient: TensorID,
    betaGradient: TensorID)

  /// Over the channels of each time step; writes mean and population variance `[B, T]`.
  case layerNormForward(
    NormalizationShape, input: TensorID, gamma: TensorID, beta: TensorID, output: TensorID,
    mean: TensorID, variance: TensorID)
  case layerNormBackward(
    NormalizationShape, input: TensorID, outputGradient: TensorID, gamma: TensorID,
    mean: TensorID, variance: TensorID, inputGradient: TensorID, gammaGradient: TensorID,
    betaGradient: TensorID)

  case reluForward(elementsPerSample: Int, input: TensorID, output: TensorID)
  /// The gradient passes where the forward output is above zero.
  case reluBackward(
    elementsPerSample: Int, output: TensorID, outputGradient: TensorID, inputGradient: TensorID)
  case sigmoidForward(elementsPerSample: Int, input: TensorID, output: TensorID)
  case sigmoidBackward(
    elementsPerSample: Int, output: TensorID, outputGradient: TensorID, inputGradient: TensorID)

  /// input `[B, rows, I]`, kernel `[I, O]`, bias `[O]` → output `[B, rows, O]`.
  case denseForward(
    DenseShape, input: TensorID, kernel: TensorID, bias: TensorID, output: TensorID)
  case denseBackwardInput(
    DenseShape, outputGradient: TensorID, kernel: TensorID, inputGradient: TensorID)
  case denseBackwardKernel(
    DenseShape, input: TensorID, outputGradient: TensorID, kernelGradient: TensorID,
    biasGradient: TensorID)

  /// Along the channels: inputs `[B, T, Cᵢ]` → output `[B, T, ΣCᵢ]`.
  case concatenateForward(time: Int, channels: [Int], inputs: [TensorID], output: TensorID)
  case concatenateBackward(
    time: Int, channels: [Int], outputGradient: TensorID, inputGradients: [TensorID])
  /// Sum of two or more tensors of the same shape; also how gradients of a tensor with several
  /// readers meet.
  case add(elementsPerSample: Int, inputs: [TensorID], output: TensorID)
  /// Squeeze-excitation's scale: input `[B, T, C]` · scale `[B, C]`.
  case scaleChannelsForward(
    SequenceShape, input: TensorID, scale: TensorID, output: TensorID)
  /// scaleGradient `[B, C]` is the sum over time of input·outputGradient.
  case scaleChannelsBackward(
    SequenceShape, input: TensorID, scale: TensorID, outputGradient: TensorID,
    inputGradient: TensorID, scaleGradient: TensorID)

  /// argmax: `uint8 [B, T/size, C]`, the place of the maximum within its window.
  case maxPoolForward(PoolShape, input: TensorID, output: TensorID, argmax: TensorID)
  /// Writes the whole of inputGradient `[B, T, C]`, zeros included.
  case maxPoolBackward(
    PoolShape, argmax: TensorID, outputGradient: TensorID, inputGradient: TensorID)
  /// `[B, T, C]` → `[B, C]`.
  case meanOverTimeForward(SequenceShape, input: TensorID, output: TensorID)
  case meanOverTimeBackward(
    SequenceShape, outputGradient: TensorID, inputGradient: TensorID)

  case dropoutForward(DropoutShape, input: TensorID, output: TensorID)
  /// Makes the same mask again.
  case dropoutBackward(DropoutShape, outputGradient: TensorID, inputGradient: TensorID)

  /// input `[B, T, C]` → output `[B, T, O]`.
  case attentionForward(
    AttentionShape, input: TensorID, parameters: AttentionParameters,
    activations: AttentionActivations, output: TensorID)
  case attentionBackward(
    AttentionShape, input: TensorID, outputGradient: TensorID, parameters: AttentionParameters,
    activations: AttentionActivations, inputGradient: TensorID, gradients: AttentionParameters)

  /// `[B, classes]` → `[B, classes]`.
  case softmax(classes: Int, logits: TensorID, probabilities: TensorID)
  /// Writes probabilities, this step's result (loss = Σ weight·cross-entropy / live, hits; penalty
  /// 0), and, where a gradient is asked for, d loss / d logits.
  case softmaxCrossEntropy(
    LossShape, logits: TensorID, targets: TensorID, sampleWeights: TensorID,
    probabilities: TensorID, logitsGradient: TensorID?)
  /// Adds `coefficient·Σw²` over the kernels to the penalty of this step's result. After the
  /// cross-entropy of the same step.
  case l2Penalty(coefficient: Float, kernels: [TensorID])
  /// One pass over the whole parameter arena. `decayed` counts the leading tensors of
  /// `parameters` that carry L2. All four lists are in the arena's order.
  case adam(
    AdamSettings, decayed: Int, parameters: [TensorID], gradients: [TensorID],
    firstMoments: [TensorID], secondMoments: [TensorID])
}
