import Compute

/// Appends a network's operations to programs: forward in the order of the layers, backward in the
/// mirrored order. Weight tensors come first and are shared; activations belong to one program.
public struct PlanBuilder {
  /// A trainable weight and its companions, by index into `parameters`.
  struct Parameter {
    var value, gradient, firstMoment, secondMoment: TensorID
    /// Its L2 coefficient, 0 for none.
    var l2: Float
  }

  let network: Network
  let options: NetworkPlanOptions
  var tensors: [TensorSpec] = []
  var programs: [Program] = []
  /// Tensor of each of `network.weights`.
  var weights: [TensorID] = []
  /// In the arena's order: decayed kernels first.
  var parameters: [Parameter] = []
  /// Index into `parameters` of each trainable weight, in the network's order.
  var trainable: [Int] = []
  /// Indices into `network.weights` of each layer.
  let layerWeights: [[Int]]

  // State of the program being built.
  var prefix = ""
  var capacity = 0
  var isTraining = false
  var operations: [Operation] = []
  /// `[capacity, T, C]`: what the network's input layer is.
  var batch = TensorID(index: 0)
  /// What the backward pass needs of each layer's forward pass.
  var traces: [LayerTrace] = []
  /// The layer whose operations are being appended.
  var place = 0

  init(network: Network, options: NetworkPlanOptions) {
    self.network = network
    self.options = options
    var byLayer: [[Int]] = Array(repeating: [], count: network.layers.count)
    for (index, weight) in network.weights.enumerated() { byLayer[weight.layer].append(index) }
    layerWeights = byLayer
    addWeights()
  }

  private mutating func addWeights() {
    let specs = network.weights
    // Those of one L2 coefficient side by side, those without any last.
    let order = (network.l2Coefficients + [0]).flatMap { coefficient in
      specs.indices.filter { specs[$0].isTrainable && specs[$0].l2 == coefficient }
    }
    func add(_ index: Int, _ role: TensorSpec.Role, _ group: String) -> TensorID {
      tensors.append(
        TensorSpec(
          name: group + specs[index].name, shape: specs[index].shape, hasBatchAxis: false,
          role: role))
      return TensorID(index: tensors.count - 1)
    }
    var placed: [Int: TensorID] = [:]
    for index in order { placed[index] = add(index, .parameter, "") }
    let gradients = order.map { add($0, .gradient, "gradient/") }
    let firstMoments = order.map { add($0, .firstMoment, "first_moment/") }
    let secondMoments = order.map { add($0, .secondMoment, "second_moment/") }
    for index in specs.indices where !specs[index].isTrainable {
      placed[index] = add(index, .statistic, "")
    }
    weights = specs.indices.compactMap { placed[$0] }
    parameters = order.indices.map {
      Parameter(
        value: weights[order[$0]], gradient: gradients[$0], firstMoment: firstMoments[$0],
        secondMoment: secondMoments[$0], l2: specs[order[$0]].l2)
    }
    trainable = specs.indices.filter { specs[$0].isTrainable }
      .compactMap { order.firstIndex(of: $0) }
  }

  // MARK: Tensors

  /// A new activation of the program being built, `[capacity, shape…]`.
  mutating func activation(
    _ name: String, _ shape: [Int], batched: Bool = true, type: ElementType = .float32
  ) -> TensorID {
    tensors.append(
      TensorSpec(
        name: prefix + name, shape: batched ? [capacity] + shape : shape, hasBatchAxis: batched,
        role: .activation, elementType: type))
    return TensorID(index: tensors.count - 1)
  }

  // MARK: Programs

  mutating func begin(_ program: ProgramID, capacity: Int) {
    prefix = "\(program.rawValue)/"
    self.capacity = capacity
    isTraining = program == .forwardBackward
    operations = []
    traces = []
  }

  mutating func buildTraining() -> NetworkPlan.Ports {
    begin(.forwardBackward, capacity: options.batchCapacity)
    let batch = openBatch(gathers: options.gathers, classWeights: options.classWeights)
    let logits = appendForward(batch: batch.batch)
    let classes = network.classes
    let probabilities = activation("probabilities", [classes])
    let logitsGradient = activation("logits_gradient", [classes])
    operations.append(
      .softmaxCrossEntropy(
        SoftmaxCrossEntropy(
          LossShape(classes: classes, smoothing: options.constants.smoothing), logits: logits,
          targets: batch.targets, sampleWeights: batch.sampleWeights, probabilities: probabilities,
          logitsGradient: logitsGradient)))
    appendPenalty()
    appendBackward(logitsGradient: logitsGradient)
    programs.append(
      Program(
        id: .forwardBackward, capacity: capacity, operations: operations,
        inputs: options.gathers ? [] : [batch.batch, batch.targets, batch.sampleWeights],
        outputs: [probabilities]))
    return NetworkPlan.Ports(
      batch: batch.batch, targets: batch.targets, sampleWeights: batch.sampleWeights,
      probabilities: probabilities)
  }

  mutating func buildUpdate() {
    let coefficients = network.l2Coefficients
    // One for each coefficient; the last takes what has none, too.
    let updates = coefficients.dropLast().map { coefficient in
      update(parameters.filter { $0.l2 == coefficient }, l2: coefficient)
    }
    let last = coefficients.last ?? 0
    let rest = parameters.filter { $0.l2 == last || $0.l2 == 0 }
    programs.append(
      Program(
        id: .update, capacity: options.batchCapacity,
        operations: updates + [update(rest, l2: last)]))
  }

  private func update(_ parameters: [Parameter], l2: Float) -> Operation {
    .adam(
      Adam(
        AdamSettings(
          beta1: options.constants.beta1, beta2: options.constants.beta2,
          epsilon: options.constants.epsilon, l2: l2),
        decayed: parameters.count { $0.l2 > 0 },
        parameters: parameters.map(\.value), gradients: parameters.map(\.gradient),
        firstMoments: parameters.map(\.firstMoment), secondMoments: parameters.map(\.secondMoment)))
  }

  /// `validate` gathers and measures the loss; `predict` takes a batch from the host.
  mutating func buildInference(_ id: ProgramID) -> NetworkPlan.Ports {
    begin(id, capacity: options.inferenceCapacity)
    let classes = network.classes
    if id == .predict {
      let (time, channels) = network.input
      let batch = activation("batch", [time, channels])
      let logits = appendForward(batch: batch)
      let probabilities = activation("probabilities", [classes])
      operations.append(
        .softmax(Softmax(classes: classes, logits: logits, probabilities: probabilities)))
      programs.append(
        Program(
          id: id, capacity: capacity, operations: operations, inputs: [batch],
          outputs: [probabilities]))
      return NetworkPlan.Ports(
        batch: batch, targets: nil, sampleWeights: nil, probabilities: probabilities)
    }
    let batch = openBatch(gathers: true, classWeights: [])
    let logits = appendForward(batch: batch.batch)
    let probabilities = activation("probabilities", [classes])
    operations.append(
      .softmaxCrossEntropy(
        SoftmaxCrossEntropy(
          LossShape(classes: classes, smoothing: options.constants.smoothing), logits: logits,
          targets: batch.targets, sampleWeights: batch.sampleWeights, probabilities: probabilities,
          logitsGradient: nil)))
    appendPenalty()
    programs.append(
      Program(
        id: id, capacity: capacity, operations: operations, outputs: [probabilities]))
    return NetworkPlan.Ports(
      batch: batch.batch, targets: batch.targets, sampleWeights: batch.sampleWeights,
      probabilities: probabilities)
  }

  private mutating func openBatch(
    gathers: Bool, classWeights: [Float]
  ) -> (batch: TensorID, targets: TensorID, sampleWeights: TensorID) {
    let (time, channels) = network.input
    let batch = activation("batch", [time, channels])
    let targets = activation("targets", [network.classes])
    let sampleWeights = activation("sample_weights", [])
    if gathers {
      operations.append(
        .gatherWindows(
          GatherWindows(
            GatherShape(
              time: time, channels: channels, classes: network.classes,
              mixesLabels: options.constants.mixesLabels,
              noiseDeviation: options.constants.noiseDeviation, classWeights: classWeights),
            batch: batch, targets: targets, sampleWeights: sampleWeights)))
    }
    return (batch, targets, sampleWeights)
  }

  private mutating func appendPenalty() {
    for coefficient in network.l2Coefficients {
      let kernels = parameters.filter { $0.l2 == coefficient }.map(\.value)
      operations.append(.l2Penalty(L2Penalty(coefficient: coefficient, kernels: kernels)))
    }
  }
}
