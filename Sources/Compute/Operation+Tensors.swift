/// Which tensors an operation touches: for lifetimes in the arena's layout, for the comparison of
/// devices, and for finding what can be fused.
extension Operation {
  /// Tensors whose values before the operation matter to it, in the order of the case.
  public var reads: [TensorID] { access.reads }
  /// Tensors it writes. One that is both read and written is in both lists.
  public var writes: [TensorID] { access.writes }
  /// Name in profiles, messages and test reports, e.g. `conv1d_backward_kernel`.
  public var name: String { access.name }

  /// One switch for all three, so that a new case is described once.
  private var access: (name: String, reads: [TensorID], writes: [TensorID]) {
    switch self {
    case .gatherWindows(_, let batch, let targets, let weights):
      ("gather_windows", [], [batch, targets, weights])
    case .gaussianNoise(_, _, _, let input, let output):
      ("gaussian_noise", [input], [output])
    case .conv1DForward(_, let input, let kernel, let bias, let output):
      ("conv1d_forward", [input, kernel, bias], [output])
    case .conv1DBackwardInput(_, let dOutput, let kernel, let dInput):
      ("conv1d_backward_input", [dOutput, kernel], [dInput])
    case .conv1DBackwardKernel(_, let input, let dOutput, let dKernel, let dBias):
      ("conv1d_backward_kernel", [input, dOutput], [dKernel, dBias])
    case .batchNormForward(
      _, let input, let gamma, let beta, let output, let mean, let variance, let movingMean,
      let movingVariance):
      (
        "batch_norm_forward", [input, gamma, beta, movingMean, movingVariance],
        [output, mean, variance, movingMean, movingVariance]
      )
    case .batchNormInference(
      _, let input, let gamma, let beta, let movingMean, let movingVariance, let output):
      ("batch_norm_inference", [input, gamma, beta, movingMean, movingVariance], [output])
    case .batchNormBackward(
      _, let input, let dOutput, let gamma, let mean, let variance, let dInput, let dGamma,
      let dBeta):
      (
        "batch_norm_backward", [input, dOutput, gamma, mean, variance],
        [dInput, dGamma, dBeta]
      )
    case .layerNormForward(
      _, let input, let gamma, let beta, let output, let mean, let variance):
      ("layer_norm_forward", [input, gamma, beta], [output, mean, variance])
    case .layerNormBackward(
      _, let input, let dOutput, let gamma, let mean, let variance, let dInput, let dGamma,
      let dBeta):
      (
        "layer_norm_backward", [input, dOutput, gamma, mean, variance],
        [dInput, dGamma, dBeta]
      )
    case .reluForward(_, let input, let output):
      ("relu_forward", [input], [output])
    case .reluBackward(_, let output, let dOutput, let dInput):
      ("relu_backward", [output, dOutput], [dInput])
    case .sigmoidForward(_, let input, let output):
      ("sigmoid_forward", [input], [output])
    case .sigmoidBackward(_, let output, let dOutput, let dInput):
      ("sigmoid_backward", [output, dOutput], [dInput])
    case .denseForward(_, let input, let kernel, let bias, let output):
      ("dense_forward", [input, kernel, bias], [output])
    case .denseBackwardInput(_, let dOutput, let kernel, let dInput):
      ("dense_backward_input", [dOutput, kernel], [dInput])
    case .denseBackwardKernel(_, let input, let dOutput, let dKernel, let dBias):
      ("dense_backward_kernel", [input, dOutput], [dKernel, dBias])
    case .concatenateForward(_, _, let inputs, let output):
      ("concatenate_forward", inputs, [output])
    case .concatenateBackward(_, _, let dOutput, let dInputs):
      ("concatenate_backward", [dOutput], dInputs)
    case .add(_, let inputs, let output):
      ("add", inputs, [output])
    case .scaleChannelsForward(_, let input, let scale, let output):
      ("scale_channels_forward", [input, scale], [output])
    case .scaleChannelsBackward(_, let input, let scale, let dOutput, let dInput, let dScale):
      ("scale_channels_backward", [input, scale, dOutput], [dInput, dScale])
    case .maxPoolForward(_, let input, let output, let argmax):
      ("max_pool_forward", [input], [output, argmax])
    case .maxPoolBackward(_, let argmax, let dOutput, let dInput):
      ("max_pool_backward", [argmax, dOutput], [dInput])
    case .meanOverTimeForward(_, let input, let output):
      ("mean_over_time_forward", [input], [output])
    case .meanOverTimeBackward(_, let dOutput, let dInput):
      ("mean_over_time_backward", [dOutput], [dInput])
    case .dropoutForward(_, let input, let output):
      ("dropout_forward", [input], [output])
    case .dropoutBackward(_, let dOutput, let dInput):
      ("dropout_backward", [dOutput], [dInput])
    case .attentionForward(_, let input, let parameters, let activations, let output):
      ("attention_forward", [input] + parameters.all, activations.all + [output])
    case .attentionBackward(
      _, let input, let dOutput, let parameters, let activations, let dInput, let gradients):
      (
        "attention_backward", [input, dOutput] + parameters.all + activations.all,
        [dInput] + gradients.all
      )
    case .softmax(_, let logits, let probabilities):
      ("softmax", [logits], [probabilities])
    case .softmaxCrossEntropy(
      _, let logits, let targets, let weights, let probabilities, let dLogits):
      (
        "softmax_cross_entropy", [logits, targets, weights],
        [probabilities] + (dLogits.map { [$0] } ?? [])
      )
    case .l2Penalty(_, let kernels):
      ("l2_penalty", kernels, [])
    case .adam(_, _, let parameters, let gradients, let firstMoments, let secondMoments):
      (
        "adam", parameters + gradients + firstMoments + secondMoments,
        parameters + firstMoments + secondMoments
      )
    }
  }
}
