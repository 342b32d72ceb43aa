import Compute

/// Sizes of one attention, and where its matrices lie in tensors with heads.
extension AttentionShape {
  fileprivate var width: Int { heads * keySize }

  /// `[T, K]` of each head in `[B, T, H, K]`.
  fileprivate func headed(_ memory: KernelArgument) -> Matrix {
    Matrix(memory: memory, stride: width, sampleStride: time * width, headStride: keySize)
  }

  /// `[T, T]` of each head in `[B, H, T, T]`.
  fileprivate func weights(_ memory: KernelArgument) -> Matrix {
    Matrix(
      memory: memory, stride: time, sampleStride: heads * time * time, headStride: time * time)
  }

  /// A product per sample and head, whose result has a row per step.
  fileprivate func product(
    _ form: MatrixProduct.Form, _ a: Matrix, _ b: Matrix, _ c: Matrix, columns: Int, depth: Int,
    scale: Float = 1
  ) -> MatrixProduct {
    MatrixProduct(
      form: form, rows: .fixed(time), columns: columns, depth: .fixed(depth), a: a, b: b, c: c,
      scale: scale, isPerSample: true, heads: heads)
  }
}

/// The plain form: every intermediate tensor is written.
extension Lowering {
  func commands(_ op: AttentionForward) throws(DeviceError) -> [Command] {
    let (T, K) = (op.shape.time, op.shape.keySize)
    let projection = DenseShape(
      rowsPerSample: T, inputs: op.shape.channels, outputs: op.shape.width)
    var commands: [Command] = []
    for (kernel, bias, result) in [
      (op.parameters.queryKernel, op.parameters.queryBias, op.activations.query),
      (op.parameters.keyKernel, op.parameters.keyBias, op.activations.key),
      (op.parameters.valueKernel, op.parameters.valueBias, op.activations.value),
    ] {
      commands += try self.commands(
        DenseForward(projection, input: op.input, kernel: kernel, bias: bias, output: result))
    }

    var regions = ScratchRegions(scratch)
    let probabilities = op.shape.weights(try tensor(op.activations.probabilities))
    var weights = probabilities
    if op.shape.dropoutRate > 0 {
      weights = op.shape.weights(regions.floats(program.capacity * op.shape.heads * T * T))
    }
    commands += try headProduct(
      op.shape.product(
        .rightTurned, op.shape.headed(try tensor(op.activations.query)),
        op.shape.headed(try tensor(op.activations.key)), probabilities, columns: T, depth: K,
        scale: 1 / Float(K).squareRoot()), regions: regions)
    commands.append(try rowsOfWeights("attention_softmax", op.shape, [probabilities.memory]))
    commands += try dropped(op.shape, probabilities.memory, weights.memory)
    commands += try headProduct(
      op.shape.product(
        .plain, weights, op.shape.headed(try tensor(op.activations.value)),
        op.shape.headed(try tensor(op.activations.context)), columns: K, depth: T), regions: regions
    )
    return try commands
      + self.commands(
        DenseForward(
          DenseShape(rowsPerSample: T, inputs: op.shape.width, outputs: op.shape.outputChannels),
          input: op.activations.context, kernel: op.parameters.outputKernel,
          bias: op.parameters.outputBias, output: op.output))
  }

  func commands(_ op: AttentionBackward) throws(DeviceError) -> [Command] {
    var regions = ScratchRegions(scratch)
    let size = program.capacity * op.shape.time * op.shape.width
    let contextGradient = op.shape.headed(regions.floats(size))
    let projected = (0..<3).map { _ in op.shape.headed(regions.floats(size)) }
    let whole = try tensor(op.inputGradient)
    let part = regions.floats(
      program.capacity * op.shape.time * op.shape.channels, isHalf: whole.isHalf)

    var commands = try projectionBackward(
      DenseShape(
        rowsPerSample: op.shape.time, inputs: op.shape.width, outputs: op.shape.outputChannels),
      try tensor(op.activations.context), op.parameters.outputKernel, try tensor(op.outputGradient),
      contextGradient.memory, op.gradients.outputKernel, op.gradients.outputBias, regions)
    commands += try coreBackward(op.shape, op.activations, contextGradient, projected, regions)
    for (index, (kernel, kernelGradient, biasGradient)) in [
      (op.parameters.queryKernel, op.gradients.queryKernel, op.gradients.queryBias),
      (op.parameters.keyKernel, op.gradients.keyKernel, op.gradients.keyBias),
      (op.parameters.valueKernel, op.gradients.valueKernel, op.gradients.valueBias),
    ].enumerated() {
      commands += try projectionBackward(
        DenseShape(
          rowsPerSample: op.shape.time, inputs: op.shape.channels, outputs: op.shape.width),
        try tensor(op.input), kernel, projected[index].memory, index == 0 ? whole : part,
        kernelGradient, biasGradient, regions)
      guard index > 0 else { continue }
      commands.append(
        try elements(
          "elementwise", "add_to", [part, whole], perSample: op.shape.time * op.shape.channels))
    }
    return commands
  }

  /// Gradients of query, key and value, `projected`, from that of the context:
  /// v' = Dᵀ·g, P' = factor ∘ (g·vᵀ), S' = P ∘ (P' − Σ_s P∘P'), q' = S'·k/√K, k' = S'ᵀ·q/√K.
  private func coreBackward(
    _ shape: AttentionShape, _ activations: AttentionActivations, _ contextGradient: Matrix,
    _ projected: [Matrix], _ regions: ScratchRegions
  ) throws(DeviceError) -> [Command] {
    let (T, K, scale) = (shape.time, shape.keySize, 1 / Float(shape.keySize).squareRoot())
    var regions = regions
    let probabilities = shape.weights(try tensor(activations.probabilities))
    // D at first, then P', at last S'.
    let work = shape.weights(regions.floats(program.capacity * shape.heads * T * T))
    var commands = try dropped(shape, probabilities.memory, work.memory)
    commands += try headProduct(
      shape.product(
        .leftTurned, shape.dropoutRate > 0 ? work : probabilities, contextGradient, projected[2],
        columns: K, depth: T), regions: regions)
    commands += try headProduct(
      shape.product(
        .rightTurned, contextGradient, shape.headed(try tensor(activations.value)), work,
        columns: T, depth: K), regions: regions)
    commands += try dropped(shape, work.memory, work.memory)
    commands.append(
      try rowsOfWeights(
        "attention_softmax_backward", shape, [probabilities.memory, work.memory]))
    commands += try headProduct(
      shape.product(
        .plain, work, shape.headed(try tensor(activations.key)), projected[0], columns: K,
        depth: T, scale: scale), regions: regions)
    commands += try headProduct(
      shape.product(
        .leftTurned, work, shape.headed(try tensor(activations.query)), projected[1], columns: K,
        depth: T, scale: scale), regions: regions)
    return commands
  }

  // MARK: Parts

  /// Gradients of a projection's input, kernel and bias.
  private func projectionBackward(
    _ shape: DenseShape, _ input: KernelArgument, _ kernel: TensorID,
    _ outputGradient: KernelArgument, _ inputGradient: KernelArgument,
    _ kernelGradient: TensorID, _ biasGradient: TensorID, _ regions: ScratchRegions
  ) throws(DeviceError) -> [Command] {
    let outer = Matrix(memory: outputGradient, stride: shape.outputs)
    return try product(
      MatrixProduct(
        form: .rightTurned, rows: .live(times: shape.rowsPerSample), columns: shape.inputs,
        depth: .fixed(shape.outputs), a: outer,
        b: Matrix(memory: try tensor(kernel), stride: shape.outputs),
        c: Matrix(memory: inputGradient, stride: shape.inputs)), regions: regions)
      + product(
        MatrixProduct(
          form: .leftTurned, rows: .fixed(shape.inputs), columns: shape.outputs,
          depth: .live(times: shape.rowsPerSample),
          a: Matrix(memory: input, stride: shape.inputs), b: outer,
          c: Matrix(memory: try tensor(kernelGradient), stride: shape.outputs),
          columnSums: try tensor(biasGradient)), regions: regions)
  }

  /// A kernel that gives 64 items to each row of `[B, H, T, T]`: ACROSS of `attention.cl`.
  private func rowsOfWeights(
    _ name: String, _ shape: AttentionShape, _ tensors: [KernelArgument]
  ) throws(DeviceError) -> Command {
    let rows = shape.heads * shape.time
    let items = groupItems(of: "attention")
    let perGroup = items / 64
    return try kernel(
      "attention", name, tensors + [.int(shape.time), .liveTimes(rows)], local: [items],
      groups: { [($0 * rows + perGroup - 1) / perGroup] })
  }

  private func dropped(
    _ shape: AttentionShape, _ weights: KernelArgument, _ result: KernelArgument
  ) throws(DeviceError) -> [Command] {
    guard shape.dropoutRate > 0 else { return [] }
    return [try dropout(shape.dropout, weights, result)]
  }
}
