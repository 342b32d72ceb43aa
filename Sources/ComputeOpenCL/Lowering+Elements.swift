import Compute

extension Lowering {
  func elementCommands(_ operation: Operation) throws(DeviceError) -> [Command] {
    switch operation {
    case .reluForward(let count, let input, let output):
      return [try element("relu_forward", [input, output], count)]
    case .reluBackward(let count, let output, let outputGradient, let inputGradient):
      return [try element("relu_backward", [output, outputGradient, inputGradient], count)]
    case .sigmoidForward(let count, let input, let output):
      return [try element("sigmoid_forward", [input, output], count)]
    case .sigmoidBackward(let count, let output, let outputGradient, let inputGradient):
      return [try element("sigmoid_backward", [output, outputGradient, inputGradient], count)]
    case .add(let count, let inputs, let output):
      return try add(count, inputs, output)
    case .concatenateForward(let time, let channels, let inputs, let output):
      return try parts(time, channels, inputs).map { (part) throws(DeviceError) in
        try copyChannels(
          time, part.channels, from: (part.tensor, part.channels, 0),
          to: (output, part.width, part.first))
      }
    case .concatenateBackward(let time, let channels, let outputGradient, let inputGradients):
      return try parts(time, channels, inputGradients).map { (part) throws(DeviceError) in
        try copyChannels(
          time, part.channels, from: (outputGradient, part.width, part.first),
          to: (part.tensor, part.channels, 0))
      }
    default:
      throw unsupported(operation)
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

  private func add(
    _ count: Int, _ inputs: [TensorID], _ output: TensorID
  ) throws(DeviceError) -> [Command] {
    var result = [try element("add", [inputs[0], inputs[inputs.count > 1 ? 1 : 0], output], count)]
    for term in inputs.dropFirst(2) {
      result.append(try element("add_to", [term, output], count))
    }
    return result
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

  func poolCommands(_ operation: Operation) throws(DeviceError) -> [Command] {
    switch operation {
    case .maxPoolForward(let shape, let input, let output, let argmax):
      return [
        try elements(
          "pooling", "max_pool_forward",
          [try tensor(input), try tensor(output), try tensor(argmax)] + sizes(shape),
          perSample: shape.outputTime * shape.channels)
      ]
    case .maxPoolBackward(let shape, let argmax, let outputGradient, let inputGradient):
      return [
        try elements(
          "pooling", "max_pool_backward",
          [try tensor(argmax), try tensor(outputGradient), try tensor(inputGradient)]
            + sizes(shape), perSample: shape.time * shape.channels)
      ]
    default:
      throw unsupported(operation)
    }
  }

  private func sizes(_ shape: PoolShape) -> [KernelArgument] {
    [.int(shape.time), .int(shape.outputTime), .int(shape.channels), .int(shape.size)]
  }
}
