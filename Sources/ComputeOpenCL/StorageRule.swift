import Compute

/// How the tensors of a plan are stored on the device. In half precision those are halves that make
/// up nearly all of a step's traffic: activations with a time axis, `[B, T, C]`, and their gradients.
/// Statistics, what has no time axis, softmax and loss, weights, their gradients and their moments
/// stay floats.
struct StorageRule: Sendable {
  var precision: OpenCLDevice.Precision

  func type(of spec: TensorSpec) -> ElementType {
    let isHalf =
      precision == .fp16 && spec.elementType == .float32 && spec.role == .activation
      && spec.hasBatchAxis && spec.shape.count == 3
    return isHalf ? .float16 : spec.elementType
  }
}
