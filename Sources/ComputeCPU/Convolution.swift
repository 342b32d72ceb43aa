import COneDNN
import Compute

/// One direction of a convolution: a primitive for each live batch size, over tensors that stay
/// channels-last (`nwc`) and a kernel that oneDNN lays out as it likes.
///
/// The input's gradient is a convolution too, of the output's gradient with the kernel's taps
/// reversed and transposed. It is computed as one: oneDNN's forward pass reaches the peak for every
/// dilation, its backward pass falls to half of it at short inputs, and to less at wide dilations.
final class Convolution {
  enum Direction: Hashable {
    case forward, backwardInput, backwardKernel
  }

  /// Addresses of the tensors, those of the forward pass or their gradients.
  struct Tensors {
    var input, output: UnsafeMutableRawPointer
    var kernelID: TensorID
    var kernel: UnsafeMutableRawPointer
    var bias: UnsafeMutableRawPointer?
  }

  private struct Variant {
    var live: Int
    var primitive: OneDNNPrimitive
    var weights: ReorderedWeights?
    /// Brings a kernel gradient back to the plan's layout.
    var after: OneDNNPrimitive?
  }

  private let oneDNN: OneDNN
  private let shape: Conv1DShape
  private let direction: Direction
  private let tensors: Tensors
  private let isInference: Bool
  /// The result is added to what its tensor holds.
  private let accumulates: Bool
  private var variants: [Variant] = []

  init(
    _ oneDNN: OneDNN, _ shape: Conv1DShape, _ direction: Direction, _ tensors: Tensors,
    isInference: Bool = false, accumulates: Bool = false
  ) {
    self.oneDNN = oneDNN
    self.shape = shape
    self.direction = direction
    self.tensors = tensors
    self.isInference = isInference
    self.accumulates = accumulates
  }

  func execute(live: Int) throws(DeviceError) {
    let variant = try variant(live: live)
    try variant.weights?.refresh()
    try variant.primitive.execute()
    try variant.after?.execute()
  }

  /// Makes the primitive of a batch size, unless it is there.
  func prepare(live: Int) throws(DeviceError) { _ = try variant(live: live) }

  private func variant(live: Int) throws(DeviceError) -> Variant {
    for variant in variants where variant.live == live { return variant }
    let variant = try make(live: live)
    variants.append(variant)
    return variant
  }

  // MARK: Making primitives

  private struct Descriptions {
    var input, output, kernel, plainKernel, bias: dnnl_memory_desc_t
  }

  /// The convolution that oneDNN runs: that of the plan, or for an input's gradient, the one from
  /// the output's channels to the input's.
  private var padding: (left: Int, right: Int) {
    let (left, right) = (shape.leftPadding, shape.rightPadding)
    return direction == .backwardInput ? (right, left) : (left, right)
  }

  private func descriptions(live: Int) throws(DeviceError) -> Descriptions {
    let (time, k) = (shape.time, shape.taps)
    let isReversed = direction == .backwardInput
    let i = isReversed ? shape.outputChannels : shape.inputChannels
    let o = isReversed ? shape.inputChannels : shape.outputChannels
    return Descriptions(
      input: try oneDNN.describe([live, i, time], strides: [i * time, 1, i]),
      output: try oneDNN.describe([live, o, time], strides: [o * time, 1, o]),
      kernel: try oneDNN.describe([o, i, k], strides: nil),
      plainKernel: try oneDNN.describe([o, i, k], strides: [1, o, i * o]),
      bias: try oneDNN.describe([o], strides: [1]))
  }

  private func make(live: Int) throws(DeviceError) -> Variant {
    let d = try descriptions(live: live)
    let description = try primitiveDescription(d, live: live)
    defer { dnnl_primitive_desc_destroy(description) }
    if direction == .backwardKernel { return try kernelVariant(live: live, d, description) }
    let isReversed = direction == .backwardInput
    let input = try oneDNN.memory(d.input, at: isReversed ? tensors.output : tensors.input)
    let output = try oneDNN.memory(d.output, at: isReversed ? tensors.input : tensors.output)
    let weights = try oneDNN.weights(
      tensors.kernelID, at: tensors.kernel, plain: d.plainKernel,
      wanted: query(description, dnnl_query_weights_md), reversing: isReversed ? shape : nil)
    var arguments = [
      (DNNL_ARG_SRC, input), (DNNL_ARG_WEIGHTS_0, weights.memory), (DNNL_ARG_DST, output),
    ]
    if let bias = tensors.bias {
      arguments.append((DNNL_ARG_BIAS, try oneDNN.memory(d.bias, at: bias)))
    }
    let primitive = try OneDNNPrimitive(
      oneDNN, description, name: isReversed ? "conv1d_backward_input" : "conv1d_forward",
      arguments: arguments)
    return Variant(live: live, primitive: primitive, weights: weights)
  }

  private func kernelVariant(
    live: Int, _ d: Descriptions, _ description: dnnl_primitive_desc_t
  ) throws(DeviceError) -> Variant {
    let input = try oneDNN.memory(d.input, at: tensors.input)
    let output = try oneDNN.memory(d.output, at: tensors.output)
    let plain = try oneDNN.memory(d.plainKernel, at: tensors.kernel)
    var wanted = try query(description, dnnl_query_diff_weights_md)
    var plainDescription = d.plainKernel
    var kernel = plain
    var after: OneDNNPrimitive?
    if dnnl_memory_desc_equal(&wanted, &plainDescription) == 0 {
      let bytes = dnnl_memory_desc_get_size(&wanted)
      kernel = try oneDNN.memory(wanted, at: oneDNN.pool.bytes(bytes))
      after = try .reorder(oneDNN, from: (wanted, kernel), to: (d.plainKernel, plain))
    }
    var arguments = [
      (DNNL_ARG_SRC, input), (DNNL_ARG_DIFF_WEIGHTS_0, kernel), (DNNL_ARG_DIFF_DST, output),
    ]
    if let bias = tensors.bias {
      arguments.append((DNNL_ARG_DIFF_BIAS, try oneDNN.memory(d.bias, at: bias)))
    }
    let primitive = try OneDNNPrimitive(
      oneDNN, description, name: "conv1d_backward_kernel", arguments: arguments)
    return Variant(live: live, primitive: primitive, after: after)
  }

  private func query(
    _ description: dnnl_primitive_desc_t, _ what: dnnl_query_t
  ) throws(DeviceError) -> dnnl_memory_desc_t {
    guard let result = dnnl_primitive_desc_query_md(description, what, 0) else {
      throw .callFailed(
        device: oneDNN.device, call: "dnnl_primitive_desc_query_md", code: "no weights")
    }
    return result.pointee
  }

  private func primitiveDescription(
    _ descriptions: Descriptions, live: Int
  ) throws(DeviceError) -> dnnl_primitive_desc_t {
    var d = descriptions
    var bias = tensors.bias == nil ? dnnl_memory_desc_t() : d.bias
    var operation = dnnl_convolution_desc_t()
    let strides: [dnnl_dim_t] = [1]
    let dilations = [dnnl_dim_t(shape.dilation - 1)]
    let left = [dnnl_dim_t(padding.left)]
    let right = [dnnl_dim_t(padding.right)]
    guard direction == .backwardKernel else {
      let kind = isInference ? dnnl_forward_inference : dnnl_forward_training
      try oneDNN.check(
        dnnl_dilated_convolution_forward_desc_init(
          &operation, kind, dnnl_convolution_direct, &d.input, &d.kernel, &bias, &d.output,
          strides, dilations, left, right),
        "dnnl_dilated_convolution_forward_desc_init")
      return try create(&operation, hint: nil)
    }
    try oneDNN.check(
      dnnl_dilated_convolution_backward_weights_desc_init(
        &operation, dnnl_convolution_direct, &d.input, &d.kernel, &bias, &d.output, strides,
        dilations, left, right),
      "dnnl_dilated_convolution_backward_weights_desc_init")
    // The kernel's gradient is chosen with the forward pass in view.
    let forward = Convolution(oneDNN, shape, .forward, tensors)
    let hint = try forward.primitiveDescription(forward.descriptions(live: live), live: live)
    defer { dnnl_primitive_desc_destroy(hint) }
    return try create(&operation, hint: hint)
  }

  private func create(
    _ operation: inout dnnl_convolution_desc_t, hint: dnnl_primitive_desc_t?
  ) throws(DeviceError) -> dnnl_primitive_desc_t {
    var result: dnnl_primitive_desc_t?
    let attributes = try self.attributes()
    defer { dnnl_primitive_attr_destroy(attributes) }
    try oneDNN.check(
      dnnl_primitive_desc_create(&result, &operation, attributes, oneDNN.engine, hint),
      "dnnl_primitive_desc_create(\(direction))")
    guard let result else {
      throw .unavailable(device: oneDNN.device, reason: "oneDNN has no convolution \(shape)")
    }
    return result
  }

  private func attributes() throws(DeviceError) -> dnnl_primitive_attr_t? {
    var attributes: dnnl_primitive_attr_t?
    try oneDNN.check(dnnl_primitive_attr_create(&attributes), "dnnl_primitive_attr_create")
    var after: dnnl_post_ops_t?
    try oneDNN.check(dnnl_post_ops_create(&after), "dnnl_post_ops_create")
    defer { dnnl_post_ops_destroy(after) }
    if accumulates {
      try oneDNN.check(dnnl_post_ops_append_sum(after, 1), "dnnl_post_ops_append_sum")
    }
    try oneDNN.check(
      dnnl_primitive_attr_set_post_ops(attributes, after), "dnnl_primitive_attr_set_post_ops")
    return attributes
  }
}
