import Compute

extension Lowering {
  func commands(_ op: ReluForward) throws(DeviceError) -> [Command] {
    [try element("relu_forward", [op.input, op.output], op.elementsPerSample)]
  }

  func commands(_ op: ReluBackward) throws(DeviceError) -> [Command] {
    [
      try element(
        "relu_backward", [op.output, op.outputGradient, op.inputGradient], op.elementsPerSample)
    ]
  }

  func commands(_ op: SigmoidForward) throws(DeviceError) -> [Command] {
    [try element("sigmoid_forward", [op.input, op.output], op.elementsPerSample)]
  }

  func commands(_ op: SigmoidBackward) throws(DeviceError) -> [Command] {
    [
      try element(
        "sigmoid_backward", [op.output, op.outputGradient, op.inputGradient], op.elementsPerSample)
    ]
  }

  func commands(_ op: Add) throws(DeviceError) -> [Command] {
    var result = [
      try element(
        "add", [op.inputs[0], op.inputs[op.inputs.count > 1 ? 1 : 0], op.output],
        op.elementsPerSample)
    ]
    for term in op.inputs.dropFirst(2) {
      result.append(try element("add_to", [term, op.output], op.elementsPerSample))
    }
    return result
  }

  func commands(_ op: ConcatenateForward) throws(DeviceError) -> [Command] {
    try parts(op.time, op.channels, op.inputs).map { (part) throws(DeviceError) in
      try copyChannels(
        op.time, part.channels, from: (part.tensor, part.channels, 0),
        to: (op.output, part.width, part.first))
    }
  }

  func commands(_ op: ConcatenateBackward) throws(DeviceError) -> [Command] {
    try parts(op.time, op.channels, op.inputGradients).map { (part) throws(DeviceError) in
      try copyChannels(
        op.time, part.channels, from: (op.outputGradient, part.width, part.first),
        to: (part.tensor, part.channels, 0))
    }
  }

  /// A kernel of nothing but tensors.
  private func element(
    _ name: String, _ tensors: [TensorID], _ perSample: Int
  ) throws(DeviceError) -> Command {
    var arguments: [KernelArgument] = []
    for id in tensors { arguments.append(try tensor(id)) }
    return try elements("elementwise", name, arguments, perSample: perSample)
  }

  private typealias Part = (tensor: TensorID, channels: Int, first: Int, width: Int)

  /// Where each part of a concatenation lies in the whole.
  private func parts(_ time: Int, _ channels: [Int], _ tensors: [TensorID]) -> [Part] {
    let width = channels.reduce(0, +)
    var first = 0
    return zip(tensors, channels).map { tensor, count in
      defer { first += count }
      return (tensor, count, first, width)
    }
  }

  private func copyChannels(
    _ time: Int, _ channels: Int, from source: (id: TensorID, width: Int, first: Int),
    to target: (id: TensorID, width: Int, first: Int)
  ) throws(DeviceError) -> Command {
    try elements(
      "elementwise", "copy_channels",
      [
        try tensor(source.id), try tensor(target.id), .int(channels), .int(source.width),
        .int(source.first), .int(target.width), .int(target.first),
      ], perSample: time * channels)
  }

  func commands(_ op: MaxPoolForward) throws(DeviceError) -> [Command] {
    [
      try elements(
        "pooling", "max_pool_forward",
        [try tensor(op.input), try tensor(op.output), try tensor(op.argmax)] + sizes(op.shape),
        perSample: op.shape.outputTime * op.shape.channels)
    ]
  }

  func commands(_ op: MaxPoolBackward) throws(DeviceError) -> [Command] {
    [
      try elements(
        "pooling", "max_pool_backward",
        [try tensor(op.argmax), try tensor(op.outputGradient), try tensor(op.inputGradient)]
          + sizes(op.shape), perSample: op.shape.time * op.shape.channels)
    ]
  }

  func commands(_ op: AveragePoolForward) throws(DeviceError) -> [Command] {
    [
      try elements(
        "pooling", "average_pool_forward",
        [try tensor(op.input), try tensor(op.output)] + sizes(op.shape),
        perSample: op.shape.outputTime * op.shape.channels)
    ]
  }

  func commands(_ op: AveragePoolBackward) throws(DeviceError) -> [Command] {
    [
      try elements(
        "pooling", "average_pool_backward",
        [try tensor(op.outputGradient), try tensor(op.inputGradient)] + sizes(op.shape),
        perSample: op.shape.time * op.shape.channels)
    ]
  }

  private func sizes(_ shape: PoolShape) -> [KernelArgument] {
    [.int(shape.time), .int(shape.outputTime), .int(shape.channels), .int(shape.size)]
  }
}
