import Compute

extension OperationCase {
  public static func relu(elements: Int, capacity: Int, live: Int) -> OperationCase {
    var build = CaseBuilder(capacity: capacity)
    let x = build.input("input", [elements])
    let y = build.output("output", [elements])
    build.operations = [
      .reluForward(ReluForward(elementsPerSample: elements, input: x.value, output: y.value)),
      .reluBackward(
        ReluBackward(
          elementsPerSample: elements, output: y.value, outputGradient: y.gradient,
          inputGradient: x.gradient)),
    ]
    return build.build(.relu, "\(elements), \(live)/\(capacity)", live: live)
  }

  public static func sigmoid(elements: Int, capacity: Int, live: Int) -> OperationCase {
    var build = CaseBuilder(capacity: capacity)
    let x = build.input("input", [elements], .uniform(8))
    let y = build.output("output", [elements])
    build.operations = [
      .sigmoidForward(SigmoidForward(elementsPerSample: elements, input: x.value, output: y.value)),
      .sigmoidBackward(
        SigmoidBackward(
          elementsPerSample: elements, output: y.value, outputGradient: y.gradient,
          inputGradient: x.gradient)),
    ]
    return build.build(.sigmoid, "\(elements), \(live)/\(capacity)", live: live)
  }

  public static func dropout(
    elements: Int, rate: Float, capacity: Int, live: Int
  ) -> OperationCase {
    let shape = DropoutShape(
      elementsPerSample: elements, rate: rate, stream: RandomStream.firstLayer + 3)
    var build = CaseBuilder(capacity: capacity)
    let x = build.input("input", [elements])
    let y = build.output("output", [elements])
    build.operations = [
      .dropoutForward(DropoutForward(shape, input: x.value, output: y.value)),
      .dropoutBackward(
        DropoutBackward(shape, outputGradient: y.gradient, inputGradient: x.gradient)),
    ]
    build.useIteration(70_001, step: 2)
    return build.build(
      .dropout, "\(rate) of \(elements), \(live)/\(capacity)", tags: rate > 0 ? [.dropsOut] : [],
      live: live)
  }

  public static func gaussianNoise(elements: Int, capacity: Int, live: Int) -> OperationCase {
    var build = CaseBuilder(capacity: capacity)
    let x = build.given("input", [elements], .uniform(1))
    let y = build.plainOutput("output", [elements])
    build.operations = [
      .gaussianNoise(
        GaussianNoise(
          elementsPerSample: elements, deviation: 0.05, stream: RandomStream.firstLayer,
          input: x, output: y))
    ]
    build.useIteration(5, step: 1)
    build.isDifferentiable = false
    return build.build(.gaussianNoise, "\(elements), \(live)/\(capacity)", live: live)
  }

  public static func add(elements: Int, count: Int, capacity: Int, live: Int) -> OperationCase {
    var build = CaseBuilder(capacity: capacity)
    let xs = (0..<count).map { build.given("input_\($0)", [elements], .uniform(1)) }
    let y = build.plainOutput("output", [elements])
    build.operations = [.add(Add(elementsPerSample: elements, inputs: xs, output: y))]
    build.isDifferentiable = false
    return build.build(.add, "\(count) of \(elements), \(live)/\(capacity)", live: live)
  }

  static var awkwardElementwise: [OperationCase] {
    [(1, 1, 1), (7, 3, 2), (33, 2, 2), (1001, 3, 1)].flatMap { elements, capacity, live in
      [
        relu(elements: elements, capacity: capacity, live: live),
        sigmoid(elements: elements, capacity: capacity, live: live),
        dropout(elements: elements, rate: 0.25, capacity: capacity, live: live),
        dropout(elements: elements, rate: 0, capacity: capacity, live: live),
        gaussianNoise(elements: elements, capacity: capacity, live: live),
        add(elements: elements, count: 2, capacity: capacity, live: live),
        add(elements: elements, count: 3, capacity: capacity, live: live),
      ]
    }
  }

  static func modelElementwise(batch: Int) -> [OperationCase] {
    let widths = [204 * 32, 204 * 64, 204 * 128, 64, 512]
    return widths.map { relu(elements: $0, capacity: batch, live: batch) }
      + [sigmoid(elements: 64, capacity: batch, live: batch)]
      + [(204 * 64, 0.2), (204 * 64, 0.25), (51 * 512, 0.25), (64, 0.5), (512, 0.5)].map {
        dropout(elements: $0.0, rate: $0.1, capacity: batch, live: batch)
      }
      + [
        gaussianNoise(elements: 204 * 8, capacity: batch, live: batch),
        add(elements: 204 * 64, count: 2, capacity: batch, live: batch),
        add(elements: 204 * 64, count: 3, capacity: batch, live: batch),
      ]
  }
}

extension CaseBuilder {
  /// A table that counts steps from `first`, over a dataset of one window that nothing gathers.
  mutating func useIteration(_ first: Int, step: Int, learningRates: [Float] = []) {
    dataset = Dataset(samples: [0], channels: 1, windowStarts: [0], labels: [0])
    table = EpochTable(
      dataset: DatasetID(index: 0),
      samples: Array(repeating: SampleEntry(window: 0), count: (step + 1) * capacity),
      learningRates: learningRates, firstIteration: first)
    self.step = step
  }
}
