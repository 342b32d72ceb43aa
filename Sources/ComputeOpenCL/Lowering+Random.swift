import Compute

extension Lowering {
  /// The seed's two words, as kernels take them.
  var keyArguments: [KernelArgument] { [.uint(key.x), .uint(key.y)] }

  /// Forward and backward alike.
  func dropout(
    _ shape: DropoutShape, _ input: TensorID, _ output: TensorID
  ) throws(DeviceError) -> Command {
    try elements(
      "dropout", "dropout",
      [
        .slot(table.header), try tensor(input), try tensor(output),
        .uint(Philox.dropoutThreshold(rate: shape.rate)),
        .float(Float(1 / (1 - shape.rate.decimalValue))), .uint(shape.stream),
      ] + keyArguments + [.step], perSample: shape.elementsPerSample, perItem: 8)
  }
}
