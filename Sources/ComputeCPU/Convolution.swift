import COneDNN
import Compute

/// One direction of a convolution: a primitive for each live batch size, over tensors that stay
/// channels-last (`nwc`) and a kernel that oneDNN lays out as it likes.
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
  private var variants: [Variant] = []

  init(
    _ oneDNN: OneDNN, _ shape: Conv1DShape, _ direction: Direction, _ tensors: Tensors,
    isInference: Bool = false
  ) {
    self.oneDNN = oneDNN
    self.shape = shape
    self.direction = direction
    self.tensors = tensors
    self.isInference = isInference
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

  private func descriptions(live: Int) throws(DeviceError) -> Descriptions {
    let (time, i, o, k) = (shape.time, shape.inputChannels, shape.outputChannels, shape.taps)
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
    let input = try oneDNN.memory(d.input, at: tensors.input)
    let output = try oneDNN.memory(d.output, at: tensors.output)
    switch direction {
    case .forward:
      let weights = try oneDNN.weights(
        tensors.kernelID, at: tensors.kernel, plain: d.plainKernel,
        wanted: query(description, dnnl_query_weights_md))
      var arguments = [
        (DNNL_ARG_SRC, input), (DNNL_ARG_WEIGHTS_0, weights.memory), (DNNL_ARG_DST, output),
      ]
      if let bias = tensors.bias {
        arguments.append((DNNL_ARG_BIAS, try oneDNN.memory(d.bias, at: bias)))
      }
      let primitive = try OneDNNPrimitive(
        oneDNN, description, name: "conv1d_forward", arguments: arguments)
      return Variant(live: live, primitive: primitive, weights: weights)
    case .backwardInput:
      let weights = try oneDNN.weights(
        tensors.kernelID, at: tensors.kernel, plain: d.plainKernel,
        wanted: query(description, dnnl_query_weights_md))
      let primitive = try OneDNNPrimitive(
        oneDNN, description, name: "conv1d_backward_input",
        arguments: [
          (DNNL_ARG_DIFF_SRC, input), (DNNL_ARG_WEIGHTS_0, weights.memory),
          (DNNL_ARG_DIFF_DST, output),
        ])
      return Variant(live: live, primitive: primitive, weights: weights)
    case .backwardKernel:
      return try kernelVariant(live: live, d, description, input: input, output: output)
    }
  }

  private func kernelVariant(
    live: Int, _ d: Descriptions, _ description: dnnl_primitive_desc_t, input: OneDNNMemory,
    output: OneDNNMemory
  ) throws(DeviceError) -> Variant {
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
    let left = [dnnl_dim_t(shape.leftPadding)]
    let right = [dnnl_dim_t(shape.rightPadding)]
    let algorithm = dnnl_convolution_direct
    let call: String
    let status: dnnl_status_t
    switch direction {
    case .forward:
      call = "dnnl_dilated_convolution_forward_desc_init"
      let kind = isInference ? dnnl_forward_inference : dnnl_forward_training
      status = dnnl_dilated_convolution_forward_desc_init(
        &operation, kind, algorithm, &d.input, &d.kernel, &bias, &d.output, strides, dilations,
        left, right)
    case .backwardInput:
      call = "dnnl_dilated_convolution_backward_data_desc_init"
      status = dnnl_dilated_convolution_backward_data_desc_init(
        &operation, algorithm, &d.input, &d.kernel, &d.output, strides, dilations, left, right)
    case .backwardKernel:
      call = "dnnl_dilated_convolution_backward_weights_desc_init"
      status = dnnl_dilated_convolution_backward_weights_desc_init(
        &operation, algorithm, &d.input, &d.kernel, &bias, &d.output, strides, dilations, left,
        right)
    }
    try oneDNN.check(status, call)
    return try create(&operation, live: live)
  }

  private func create(
    _ operation: inout dnnl_convolution_desc_t, live: Int
  ) throws(DeviceError) -> dnnl_primitive_desc_t {
    var result: dnnl_primitive_desc_t?
    var hint: dnnl_primitive_desc_t?
    defer { if let hint { dnnl_primitive_desc_destroy(hint) } }
    if direction != .forward {
      // The backward passes are chosen with the forward pass in view.
      let forward = Convolution(oneDNN, shape, .forward, tensors)
      hint = try forward.primitiveDescription(forward.descriptions(live: live), live: live)
    }
    try oneDNN.check(
      dnnl_primitive_desc_create(&result, &operation, nil, oneDNN.engine, hint),
      "dnnl_primitive_desc_create(\(direction))")
    guard let result else {
      throw .unavailable(device: oneDNN.device, reason: "oneDNN has no convolution \(shape)")
    }
    return result
  }
}
