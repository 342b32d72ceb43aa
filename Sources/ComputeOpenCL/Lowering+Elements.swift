import Compute

extension Lowering {
  func elementCommands(_ operation: Operation) throws(DeviceError) -> [Command] {
    switch operation {
    case .reluForward(let count, let input, let output):
      return [
        try elements(
          "elementwise", "relu_forward", [try tensor(input), try tensor(output)],
          perSample: count)
      ]
    case .reluBackward(let count, let output, let outputGradient, let inputGradient):
      return [
        try elements(
          "elementwise", "relu_backward",
          [try tensor(output), try tensor(outputGradient), try tensor(inputGradient)],
          perSample: count)
      ]
    default:
      throw unsupported(operation)
    }
  }
}
