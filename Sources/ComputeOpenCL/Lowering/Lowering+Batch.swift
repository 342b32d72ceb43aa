import Compute

extension Lowering {
  /// The seed's two words, as kernels take them.
  var keyArguments: [KernelArgument] { [.uint(key.x), .uint(key.y)] }

  func commands(_ op: GatherWindows) throws(DeviceError) -> [Command] {
    [try gather(op.shape, op.batch, op.targets, op.sampleWeights)]
  }

  func commands(_ op: GaussianNoise) throws(DeviceError) -> [Command] {
    [
      try elements(
        "augment", "gaussian_noise",
        [
          .slot(table.header), try tensor(op.input), try tensor(op.output), .float(op.deviation),
          .uint(op.stream),
        ] + keyArguments + [.step], perSample: op.elementsPerSample, perItem: 4)
    ]
  }

  func commands(_ op: DropoutForward) throws(DeviceError) -> [Command] {
    [try dropout(op.shape, op.input, op.output)]
  }

  func commands(_ op: DropoutBackward) throws(DeviceError) -> [Command] {
    [try dropout(op.shape, op.outputGradient, op.inputGradient)]
  }

  /// Forward and backward alike.
  private func dropout(
    _ shape: DropoutShape, _ input: TensorID, _ output: TensorID
  ) throws(DeviceError) -> Command {
    try dropout(shape, try tensor(input), try tensor(output))
  }

  /// The same in scratch, where input and output may be one place.
  func dropout(
    _ shape: DropoutShape, _ input: KernelArgument, _ output: KernelArgument
  ) throws(DeviceError) -> Command {
    try elements(
      "dropout", "dropout",
      [
        .slot(table.header), input, output,
        .uint(Philox.dropoutThreshold(rate: shape.rate)),
        .float(Float(1 / (1 - shape.rate.decimalValue))), .uint(shape.stream),
      ] + keyArguments + [.step], perSample: shape.elementsPerSample, perItem: 8)
  }

  /// Whether the blocks of random numbers that windows and the network's noise are made of agree.
  static func fits(_ windows: NoisyWindows) -> Bool {
    windows.shape.time * windows.shape.channels % 4 == 0
  }

  func noisyWindows(_ windows: NoisyWindows) throws(DeviceError) -> Command {
    try gather(
      windows.shape, windows.batch, windows.targets, windows.sampleWeights,
      noise: (windows.deviation, windows.stream))
  }

  /// - Parameter noise: of the network, on top.
  private func gather(
    _ shape: GatherShape, _ batch: TensorID, _ targets: TensorID, _ sampleWeights: TensorID,
    noise: (deviation: Float, stream: UInt32) = (0, 0)
  ) throws(DeviceError) -> Command {
    let ones = Array(repeating: Float(1), count: shape.classes)
    let weights = try constants(shape.classWeights.isEmpty ? ones : shape.classWeights)
    let elements = shape.time * shape.channels
    let blocks = (elements + 3) / 4
    let local = groupSize(256, in: "augment")
    return try kernel(
      "augment", "gather_windows",
      [
        .slot(table.header), .slot(table.entries), .slot(table.samples),
        .slot(table.windowStarts), .slot(table.labels), weights, try tensor(batch),
        try tensor(targets), try tensor(sampleWeights), .int(elements), .int(shape.channels),
        .int(shape.classes), .int(shape.mixesLabels ? 1 : 0), .float(shape.noiseDeviation),
        .uint(RandomStream.augmentationNoise),
      ] + keyArguments + [
        .float(noise.deviation), .uint(noise.stream), .int(program.capacity), .step, .live,
      ],
      local: [local], groups: { [($0 * blocks + local - 1) / local] })
  }
}
