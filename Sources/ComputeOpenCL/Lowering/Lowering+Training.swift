import Compute

extension Lowering {
  /// Work-group of the kernels in loss.cl.
  private static let lossGroup = 64
  /// Work-groups that share a sum of squares.
  private static let penaltyGroups = 64

  func commands(_ op: Softmax) throws(DeviceError) -> [Command] {
    let local = groupSize(Self.lossGroup, in: "loss")
    return [
      try kernel(
        "loss", "softmax",
        [try tensor(op.logits), try tensor(op.probabilities), .int(op.classes), .live],
        local: [local], groups: { [($0 + local - 1) / local] })
    ]
  }

  func commands(_ op: SoftmaxCrossEntropy) throws(DeviceError) -> [Command] {
    [
      try crossEntropy(
        op.shape, logits: op.logits, targets: op.targets, sampleWeights: op.sampleWeights,
        probabilities: op.probabilities, logitsGradient: op.logitsGradient)
    ]
  }

  func commands(_ op: L2Penalty) throws(DeviceError) -> [Command] {
    try penalty(op.coefficient, op.kernels)
  }

  func commands(_ op: Adam) throws(DeviceError) -> [Command] {
    let elements = op.parameters.prefix(op.decayed).reduce(0) { $0 + plan[$1].elementCount }
    var (commands, first): ([Command], Int) = ([], 0)
    for run in try runs(of: [op.parameters, op.gradients, op.firstMoments, op.secondMoments]) {
      commands.append(
        try adam(
          op.settings, run, at: place(of: op.parameters[run.first]),
          decayed: min(max(elements - first, 0), run.count)))
      first += run.count
    }
    if let scaler {
      search += try search(
        scaler, gradients: runs(of: [op.gradients]).map { ($0.places[0], $0.count) })
    }
    return commands
  }

  /// - Parameter penalty: from partial sums of squares; without one it is zero.
  func crossEntropy(
    _ shape: LossShape, logits: TensorID, targets: TensorID, sampleWeights: TensorID,
    probabilities: TensorID, logitsGradient: TensorID?,
    penalty: (squares: KernelArgument, count: Int, coefficient: Float)? = nil
  ) throws(DeviceError) -> Command {
    let x = try tensor(logits)
    return try kernel(
      "loss", "softmax_cross_entropy",
      scaling(scaler) + [
        .slot(table.results), x, try tensor(targets),
        try tensor(sampleWeights), try tensor(probabilities),
        try tensor(logitsGradient ?? probabilities), penalty?.squares ?? x,
        .int(penalty?.count ?? 0), .float(penalty?.coefficient ?? 0), .int(shape.classes),
        .float(shape.smoothing), .int(logitsGradient == nil ? 0 : 1), .step, .live,
      ], local: [Self.lossGroup],
      groups: { _ in [1] })
  }

  /// The first argument of kernels that know the loss scale.
  func scaling(_ scaler: LossScaler?) -> [KernelArgument] {
    scaler.map { [$0.argument] } ?? []
  }

  private func penalty(
    _ coefficient: Float, _ kernels: [TensorID]
  ) throws(DeviceError) -> [Command] {
    let all = try runs(of: [kernels])
    var regions = ScratchRegions(scratch)
    let partial = regions.floats(all.count * Self.penaltyGroups)
    var commands: [Command] = []
    for (index, run) in all.enumerated() {
      commands.append(
        try kernel(
          "loss", "sum_of_squares",
          [run.places[0], partial, .int(index * Self.penaltyGroups), .int(run.count)],
          local: [Self.lossGroup], groups: { _ in [Self.penaltyGroups] },
          bytes: { _ in 4 * run.count }))
    }
    commands.append(
      try kernel(
        "loss", "add_penalty",
        [
          .slot(table.results), partial, .int(all.count * Self.penaltyGroups),
          .float(coefficient), .step,
        ], local: [Self.lossGroup], groups: { _ in [1] }))
    return commands
  }

  /// - Parameter place: of the run's weights; with them go their copies, where there are any.
  private func adam(
    _ settings: AdamSettings, _ run: Run, at place: (buffer: Buffer, offset: Int), decayed: Int
  ) throws(DeviceError) -> Command {
    let local = groupSize(256, in: "adam")
    var copies: [KernelArgument] = []
    var storage = scaler == nil ? [:] : LossScaler.storage
    if let table = scratch.weightCopies.table(ofRunAt: place, count: run.count, group: local) {
      copies = [.region(scratch.weightCopies.slot, offset: 0), try constants(table)]
      storage["WEIGHT_COPIES"] = 1
    }
    let (beta1, beta2) = (settings.beta1.decimalValue, settings.beta2.decimalValue)
    return try kernel(
      "adam", "adam",
      scaling(scaler) + [.slot(table.header), .slot(table.rates)] + run.places + [
        .float(Float(1 - beta1)), .float(Float(1 - beta2)), .float(settings.epsilon),
        .float(2 * settings.l2), .int(decayed), .int(run.count), .step, .live,
      ] + (scaler == nil ? [] : [.int(LossScaling.growthSteps), .float(LossScaling.largest)])
        + copies, local: [local], storage: storage,
      groups: { _ in [(run.count + local - 1) / local] }, bytes: { _ in 4 * 4 * run.count })
  }

  // MARK: Runs of tensors

  /// Tensors that lie side by side in their arenas, as one.
  struct Run {
    /// Where it begins in each arena.
    var places: [KernelArgument]
    /// Of its tensors in the lists.
    var first: Int
    var count: Int
  }

  /// Cuts parallel lists of tensors of equal sizes into runs without gaps in any of the arenas.
  func runs(of lists: [[TensorID]]) throws(DeviceError) -> [Run] {
    var result: [Run] = []
    var ends: [(buffer: Buffer, offset: Int)] = []
    for index in lists[0].indices {
      var places: [(buffer: Buffer, offset: Int)] = []
      for list in lists { places.append(try place(of: list[index])) }
      let count = plan[lists[0][index]].elementCount
      let follows =
        !ends.isEmpty
        && zip(ends, places).allSatisfy { $0.buffer === $1.buffer && $0.offset == $1.offset }
      if follows {
        result[result.count - 1].count += count
      } else {
        result.append(
          Run(
            places: places.map { .tensor($0.buffer, offset: $0.offset) }, first: index,
            count: count))
      }
      ends = places.map { ($0.buffer, $0.offset + count) }
    }
    return result
  }
}
