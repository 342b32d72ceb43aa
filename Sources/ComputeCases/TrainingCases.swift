import Compute

extension OperationCase {
  /// - Parameter spread: of the logits; from some hundred on their exponentials overflow, unless the
  ///   largest is subtracted.
  public static func softmax(
    classes: Int, spread: Float = 6, capacity: Int, live: Int
  ) -> OperationCase {
    var build = CaseBuilder(capacity: capacity)
    let logits = build.given("logits", [classes], .uniform(spread))
    let probabilities = build.plainOutput("probabilities", [classes])
    build.operations = [
      .softmax(Softmax(classes: classes, logits: logits, probabilities: probabilities))
    ]
    build.isDifferentiable = false
    return build.build(
      .softmax, "\(classes)\(spread == 6 ? "" : ", spread \(spread)"), \(live)/\(capacity)",
      live: live, program: .predict)
  }

  /// Cross-entropy with its gradient, and the penalty of a kernel beside it.
  public static func crossEntropy(
    classes: Int, smoothing: Float, capacity: Int, live: Int
  ) -> OperationCase {
    var build = CaseBuilder(capacity: capacity)
    let logits = build.input("logits", [classes], .uniform(4))
    let targets = build.given("targets", [classes], .oneHot(classes))
    let weights = build.given("sample_weights", [], .between(1, 1.5))
    let kernel = build.lasting("kernel", [33, 7], .parameter, .uniform(0.5))
    let probabilities = build.plainOutput("probabilities", [classes])
    build.operations = [
      .softmaxCrossEntropy(
        SoftmaxCrossEntropy(
          LossShape(classes: classes, smoothing: smoothing), logits: logits.value,
          targets: targets, sampleWeights: weights, probabilities: probabilities,
          logitsGradient: logits.gradient)),
      .l2Penalty(L2Penalty(coefficient: 1e-4, kernels: [kernel])),
    ]
    build.useIteration(0, step: 1)
    return build.build(
      .crossEntropy, "\(classes), smoothing \(smoothing), \(live)/\(capacity)", live: live)
  }

  /// One step of Adam over an arena of `shapes`, of which the first `decayed` carry L2.
  public static func adam(
    shapes: [[Int]], decayed: Int, iteration: Int
  ) -> OperationCase {
    var build = CaseBuilder(capacity: 1)
    func tensors(_ name: String, _ role: TensorSpec.Role, _ fill: Fill) -> [TensorID] {
      shapes.indices.map { build.lasting("\(name)_\($0)", shapes[$0], role, fill) }
    }
    let parameters = tensors("parameter", .parameter, .uniform(0.3))
    let gradients = tensors("gradient", .gradient, .uniform(0.02))
    let started: Float = iteration > 0 ? 1 : 0
    let first = tensors("first_moment", .firstMoment, .uniform(0.01 * started))
    let second = tensors("second_moment", .secondMoment, .between(0, 1e-4 * started))
    build.operations = [
      .adam(
        Adam(
          AdamSettings(l2: 1e-4), decayed: decayed, parameters: parameters, gradients: gradients,
          firstMoments: first, secondMoments: second))
    ]
    build.useIteration(iteration, step: 1, learningRates: [1e-3, 0.9e-3])
    build.isDifferentiable = false
    return build.build(
      .adam, "\(shapes), \(decayed) decayed, after \(iteration) steps", live: 1, program: .update)
  }

  /// A batch of all three views over a random walk of windows that overlap.
  ///
  /// - Parameter noise: deviation of the network's own noise that follows, if any.
  public static func gather(
    time: Int, channels: Int, mixesLabels: Bool, weighted: Bool, noise: Float? = nil,
    capacity: Int, live: Int
  ) -> OperationCase {
    let windows = 7
    let shape = GatherShape(
      time: time, channels: channels, classes: 3, mixesLabels: mixesLabels,
      classWeights: weighted ? [1, 1.5, 1.25] : [])
    var build = CaseBuilder(capacity: capacity)
    let batch =
      noise == nil
      ? build.plainOutput("batch", [time, channels]) : build.activation("batch", [time, channels])
    let targets = build.plainOutput("targets", [3])
    let weights = build.plainOutput("sample_weights", [])
    build.operations = [
      .gatherWindows(GatherWindows(shape, batch: batch, targets: targets, sampleWeights: weights))
    ]
    if let noise {
      build.operations.append(
        .gaussianNoise(
          GaussianNoise(
            elementsPerSample: time * channels, deviation: noise,
            stream: RandomStream.firstLayer + 1, input: batch,
            output: build.plainOutput("noisy", [time, channels]))))
    }
    build.dataset = Dataset(
      samples: SeededValues.uniform(name: "gather", count: (time + windows * 2) * channels),
      channels: channels, windowStarts: (0..<Int32(windows)).map { $0 * 2 },
      labels: (0..<Int32(windows)).map { $0 % 3 })
    build.table = EpochTable(
      dataset: DatasetID(index: 0),
      samples: (0..<3 * capacity).map { index in
        let window = Int32(index * 5 % windows)
        return switch index % 4 {
        // What is only for mixed windows is not for these.
        case 0: SampleEntry(window: window, partner: (window + 1) % 7, lambda: 0.6)
        case 1: SampleEntry(window: window, maskedChannel: Int16(index % channels), view: .masked)
        case 2: SampleEntry(window: window, view: .masked)
        default:
          // Of another class than the window, and once of the same.
          SampleEntry(
            window: window, partner: (window + (noise == nil ? 4 : 3)) % 7, lambda: 0.3,
            view: .mixed)
        }
      }, firstIteration: 90, augmentationEpoch: 4)
    build.step = 1
    build.isDifferentiable = false
    return build.build(
      .gather,
      "T \(time), C \(channels)\(mixesLabels ? ", mixed labels" : "")"
        + "\(weighted ? ", class weights" : "")\(noise.map { ", noise \($0)" } ?? ""), "
        + "\(live)/\(capacity)", axes: [.time: time, .channels: channels], live: live)
  }

  static var awkwardTraining: [OperationCase] {
    [
      softmax(classes: 2, capacity: 1, live: 1), softmax(classes: 7, capacity: 3, live: 2),
      softmax(classes: 5, spread: 300, capacity: 9, live: 9),
      softmax(classes: 2, spread: 100, capacity: 40, live: 37),
      crossEntropy(classes: 2, smoothing: 0, capacity: 1, live: 1),
      crossEntropy(classes: 5, smoothing: 0.1, capacity: 4, live: 3),
      crossEntropy(classes: 33, smoothing: 0.1, capacity: 2, live: 2),
      crossEntropy(classes: 3, smoothing: 0.1, capacity: 150, live: 141),  // more than a work-group
      adam(shapes: [[1]], decayed: 0, iteration: 0),
      adam(shapes: [[3, 7], [33], [1], [5]], decayed: 2, iteration: 0),
      adam(shapes: [[3, 7], [33], [1], [5]], decayed: 4, iteration: 20_000),
      gather(
        time: 13, channels: 3, mixesLabels: true, weighted: true, capacity: 5, live: 5),
      gather(
        time: 1, channels: 1, mixesLabels: false, weighted: true, capacity: 6, live: 4),
      gather(
        time: 9, channels: 7, mixesLabels: false, weighted: false, capacity: 4, live: 3),
      gather(
        time: 12, channels: 3, mixesLabels: true, weighted: true, noise: 0.3, capacity: 5, live: 4),
    ]
  }

  static func modelTraining(batch: Int) -> [OperationCase] {
    [
      softmax(classes: 5, capacity: batch, live: batch),
      crossEntropy(classes: 5, smoothing: 0.1, capacity: batch, live: batch),
      adam(
        shapes: [[9, 8, 64], [5, 64, 128], [3, 128, 256], [512, 512], [64], [512, 5]],
        decayed: 4, iteration: 1_000),
      gather(
        time: 204, channels: 8, mixesLabels: true, weighted: true, capacity: batch, live: batch),
    ]
  }
}
