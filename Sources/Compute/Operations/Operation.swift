/// What an operation says about itself, once: everything but how a device computes it.
///
/// Shapes are of one sample; `[B, …]` marks tensors with a batch axis, of which only the live slots
/// are read or written. Every output is overwritten (`=`) except where `+=` is said.
public protocol PlanOperation: Sendable, Hashable {
  static var kind: Operation.Kind { get }
  static var phase: Operation.Phase { get }
  /// Whether it adds to the step's result: loss, hits, penalty.
  static var reports: Bool { get }
  /// Tensors whose values before the operation matter to it.
  var reads: [TensorID] { get }
  /// Tensors it writes. One that is both read and written is in both lists.
  var writes: [TensorID] { get }
  /// Floating-point operations (a multiply-add counts two) of the matrix products of one sample; 0
  /// for passes that have none.
  var productOperations: Double { get }
  /// By what the error of a tensor that it wrote is measured, from the values that a comparison saw.
  func errorScale(of id: TensorID, in values: ComparedValues) -> ErrorScale
}

/// One operation of a plan. A closed set: a new case does not compile until every device answers
/// for it.
public enum Operation: Sendable, Hashable {
  case gatherWindows(GatherWindows)
  case gaussianNoise(GaussianNoise)
  case conv1DForward(Conv1DForward)
  case conv1DBackwardInput(Conv1DBackwardInput)
  case conv1DBackwardKernel(Conv1DBackwardKernel)
  case batchNormForward(BatchNormForward)
  case batchNormInference(BatchNormInference)
  case batchNormBackward(BatchNormBackward)
  case layerNormForward(LayerNormForward)
  case layerNormBackward(LayerNormBackward)
  case reluForward(ReluForward)
  case reluBackward(ReluBackward)
  case sigmoidForward(SigmoidForward)
  case sigmoidBackward(SigmoidBackward)
  case denseForward(DenseForward)
  case denseBackwardInput(DenseBackwardInput)
  case denseBackwardKernel(DenseBackwardKernel)
  case concatenateForward(ConcatenateForward)
  case concatenateBackward(ConcatenateBackward)
  case add(Add)
  case scaleChannelsForward(ScaleChannelsForward)
  case scaleChannelsBackward(ScaleChannelsBackward)
  case maxPoolForward(MaxPoolForward)
  case maxPoolBackward(MaxPoolBackward)
  case averagePoolForward(AveragePoolForward)
  case averagePoolBackward(AveragePoolBackward)
  case meanOverTimeForward(MeanOverTimeForward)
  case meanOverTimeBackward(MeanOverTimeBackward)
  case dropoutForward(DropoutForward)
  case dropoutBackward(DropoutBackward)
  case attentionForward(AttentionForward)
  case attentionBackward(AttentionBackward)
  case softmax(Softmax)
  case softmaxCrossEntropy(SoftmaxCrossEntropy)
  case l2Penalty(L2Penalty)
  case adam(Adam)

  /// Every kind once, by the name that profiles, messages and test reports call it.
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    case gatherWindows = "gather_windows"
    case gaussianNoise = "gaussian_noise"
    case conv1DForward = "conv1d_forward"
    case conv1DBackwardInput = "conv1d_backward_input"
    case conv1DBackwardKernel = "conv1d_backward_kernel"
    case batchNormForward = "batch_norm_forward"
    case batchNormInference = "batch_norm_inference"
    case batchNormBackward = "batch_norm_backward"
    case layerNormForward = "layer_norm_forward"
    case layerNormBackward = "layer_norm_backward"
    case reluForward = "relu_forward"
    case reluBackward = "relu_backward"
    case sigmoidForward = "sigmoid_forward"
    case sigmoidBackward = "sigmoid_backward"
    case denseForward = "dense_forward"
    case denseBackwardInput = "dense_backward_input"
    case denseBackwardKernel = "dense_backward_kernel"
    case concatenateForward = "concatenate_forward"
    case concatenateBackward = "concatenate_backward"
    case add
    case scaleChannelsForward = "scale_channels_forward"
    case scaleChannelsBackward = "scale_channels_backward"
    case maxPoolForward = "max_pool_forward"
    case maxPoolBackward = "max_pool_backward"
    case averagePoolForward = "average_pool_forward"
    case averagePoolBackward = "average_pool_backward"
    case meanOverTimeForward = "mean_over_time_forward"
    case meanOverTimeBackward = "mean_over_time_backward"
    case dropoutForward = "dropout_forward"
    case dropoutBackward = "dropout_backward"
    case attentionForward = "attention_forward"
    case attentionBackward = "attention_backward"
    case softmax
    case softmaxCrossEntropy = "softmax_cross_entropy"
    case l2Penalty = "l2_penalty"
    case adam
  }

  /// Which half of a training step an operation belongs to.
  public enum Phase: Sendable, Hashable {
    /// Data, activations and the loss.
    case forward
    /// Gradients.
    case backward
    /// Weights.
    case update
  }

  /// The operation without its case.
  public var content: any PlanOperation {
    switch self {
    case .gatherWindows(let op): op
    case .gaussianNoise(let op): op
    case .conv1DForward(let op): op
    case .conv1DBackwardInput(let op): op
    case .conv1DBackwardKernel(let op): op
    case .batchNormForward(let op): op
    case .batchNormInference(let op): op
    case .batchNormBackward(let op): op
    case .layerNormForward(let op): op
    case .layerNormBackward(let op): op
    case .reluForward(let op): op
    case .reluBackward(let op): op
    case .sigmoidForward(let op): op
    case .sigmoidBackward(let op): op
    case .denseForward(let op): op
    case .denseBackwardInput(let op): op
    case .denseBackwardKernel(let op): op
    case .concatenateForward(let op): op
    case .concatenateBackward(let op): op
    case .add(let op): op
    case .scaleChannelsForward(let op): op
    case .scaleChannelsBackward(let op): op
    case .maxPoolForward(let op): op
    case .maxPoolBackward(let op): op
    case .averagePoolForward(let op): op
    case .averagePoolBackward(let op): op
    case .meanOverTimeForward(let op): op
    case .meanOverTimeBackward(let op): op
    case .dropoutForward(let op): op
    case .dropoutBackward(let op): op
    case .attentionForward(let op): op
    case .attentionBackward(let op): op
    case .softmax(let op): op
    case .softmaxCrossEntropy(let op): op
    case .l2Penalty(let op): op
    case .adam(let op): op
    }
  }

  public var kind: Kind { type(of: content).kind }
  public var name: String { kind.rawValue }
  public var phase: Phase { type(of: content).phase }
  public var reports: Bool { type(of: content).reports }
  public var reads: [TensorID] { content.reads }
  public var writes: [TensorID] { content.writes }
  public var productOperations: Double { content.productOperations }
}
