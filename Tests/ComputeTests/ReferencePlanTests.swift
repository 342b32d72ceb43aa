import Compute
import ComputeCases
import ComputeReference
import Testing

/// What the reference does beside arithmetic, and the arithmetic that has a closed form.
@Suite struct ReferencePlanTests {
  @Test func aTieInAPoolGoesToTheEarliestSample() throws {
    let subject = OperationCase.maxPool(
      PoolShape(time: 5, channels: 1, size: 2), capacity: 1, live: 1)
    let loaded = try subject.load(on: ReferenceDevice())
    let input = try #require(subject.plan.tensor(named: "input"))
    let argmax = try #require(subject.plan.tensor(named: "argmax"))
    let gradient = try #require(subject.plan.tensor(named: "input_gradient"))
    let outputGradient = try #require(subject.plan.tensor(named: "output_gradient"))
    try loaded.write([Float](arrayLiteral: 3, 3, -1, 2, 9), to: input)
    try loaded.write([Float](arrayLiteral: 5, 7), to: outputGradient)
    try loaded.run(.forwardBackward, step: 0, live: 1)
    #expect(try loaded.read(argmax) == [0, 1])
    #expect(try loaded.read(gradient) == [5, 0, 0, 7, 0])
  }

  @Test(arguments: [Float(0.2), 0.25, 0.3, 0.5])
  func dropoutKeepsItsShareAndTheMean(rate: Float) throws {
    let subject = OperationCase.dropout(elements: 40_000, rate: rate, capacity: 1, live: 1)
    let loaded = try subject.load(on: ReferenceDevice())
    let input = try #require(subject.plan.tensor(named: "input"))
    let output = try #require(subject.plan.tensor(named: "output"))
    try loaded.write(Array(repeating: 1.0, count: 40_000), to: input)
    try loaded.run(.forwardBackward, step: 2, live: 1)
    let first = try loaded.readDoubles(output)
    let kept = first.count { $0 != 0 }
    let expected = 40_000 * (1 - Double(rate))
    #expect(abs(Double(kept) - expected) < 5 * (expected * Double(rate)).squareRoot())
    #expect(first.allSatisfy { $0 == 0 || $0 == 1 / (1 - rate.decimalValue) })

    try loaded.run(.forwardBackward, step: 2, live: 1)
    #expect(try loaded.readDoubles(output) == first)
    try loaded.run(.forwardBackward, step: 1, live: 1)
    #expect(try loaded.readDoubles(output) != first)
  }

  @Test func stepsOfADropoutContinueAcrossEpochs() throws {
    let subject = OperationCase.dropout(elements: 500, rate: 0.5, capacity: 1, live: 1)
    let output = try #require(subject.plan.tensor(named: "output"))
    let loaded = try subject.load(on: ReferenceDevice())
    try loaded.run(.forwardBackward, step: 2, live: 1)  // iteration 70,001 + 2
    let expected = try loaded.readDoubles(output)
    let dataset = try loaded.upload(
      Dataset(samples: [0], channels: 1, windowStarts: [0], labels: [0]))
    try loaded.upload(
      EpochTable(dataset: dataset, samples: [], firstIteration: 70_003), for: .update)
    try loaded.run(.forwardBackward, step: 0, live: 1)
    #expect(try loaded.readDoubles(output) == expected)
  }

  @Test func aMaskedViewHasTheSameNoiseWhereverItsWindowIsDrawn() throws {
    let plan = Gathering(views: [
      SampleEntry(window: 1, view: .masked), SampleEntry(window: 0, view: .masked),
      SampleEntry(window: 1, maskedChannel: 1, view: .masked),
    ])
    let batch = try plan.run(epoch: 3).batch
    let (time, channels) = (4, 2)
    for t in 0..<time {
      for c in 0..<channels {
        let i = t * channels + c
        let noise =
          0.02
          * Philox.normal(
            element: i, stream: RandomStream.augmentationNoise, step: 3 << 32 | 1,
            key: Philox.key(seed: 42))
        #expect(batch[i] == Double(plan.sample(window: 1, t: t, c: c)) + noise)
        let masked = c == 1 ? 0 : Double(plan.sample(window: 1, t: t, c: c))
        #expect(batch[2 * time * channels + i] == masked + noise)
      }
    }
    #expect(try plan.run(epoch: 4).batch != batch)
  }

  @Test(arguments: [true, false])
  func mixedViewsMixWindowsAndPerhapsLabels(mixesLabels: Bool) throws {
    var plan = Gathering(views: [
      SampleEntry(window: 2, partner: 0, lambda: 0.25, view: .mixed), SampleEntry(window: 1),
      SampleEntry(window: 2, partner: 2, lambda: 0.25, view: .mixed),
    ])
    plan.mixesLabels = mixesLabels
    let result = try plan.run(epoch: 0)
    let expected =
      0.25 * Double(plan.sample(window: 2, t: 3, c: 1))
      + 0.75 * Double(plan.sample(window: 0, t: 3, c: 1))
    #expect(result.batch[7] == expected)
    #expect(result.batch[8] == Double(plan.sample(window: 1, t: 0, c: 0)))
    // Labels 0, 1, 2; class weights 1, 1.5, 2.
    let mixed = mixesLabels ? [0.75, 0, 0.25] : [0, 0, 1]
    #expect(result.targets == mixed + [0, 1, 0] + [0, 0, 1])
    #expect(result.weights == [mixesLabels ? 1.25 : 2, 1.5, 2])
  }

  @Test func aTableThatItsDatasetCannotServeIsRefused() throws {
    for (entry, words) in [
      (SampleEntry(window: 3), "window 3 of 3"),
      (SampleEntry(window: 0, partner: -1, view: .mixed), "window -1 of 3"),
    ] {
      let error = #expect(throws: DeviceError.self) {
        try Gathering(views: [entry]).run(epoch: 0)
      }
      #expect(error?.description.contains(words) == true, "\(String(describing: error))")
    }
  }

  @Test func resultsOfATableEndWithIt() throws {
    let subject = OperationCase.crossEntropy(classes: 5, smoothing: 0.1, capacity: 4, live: 3)
    let loaded = try subject.load(on: ReferenceDevice())
    try loaded.run(subject.program, step: 0, live: 3)
    try loaded.run(subject.program, step: 1, live: 2)
    let results = try loaded.results(of: subject.program, steps: 0..<2)
    #expect(results.count == 2 && results[0] != results[1])
    #expect(results[0].penalty > 0 && results[0].penalty == results[1].penalty)
    #expect(throws: DeviceError.self) {
      try loaded.results(of: subject.program, steps: 0..<3)
    }
    let table = try #require(subject.table)
    try loaded.upload(table, for: subject.program)
    #expect(throws: DeviceError.self) {
      try loaded.results(of: subject.program, steps: 0..<1)
    }
  }

  @Test func predictionHoldsNoGradients() throws {
    let subject = OperationCase.conv1D(
      Conv1DShape(time: 4, inputChannels: 2, outputChannels: 3, taps: 3), capacity: 1, live: 1)
    let loaded = try ReferenceDevice().load(
      subject.plan, options: LoadOptions(programs: [.predict]))
    let gradient = try #require(subject.plan.tensor(named: "kernel_gradient"))
    #expect(throws: DeviceError.self) { try loaded.read(gradient) }
    #expect(throws: DeviceError.self) { try loaded.run(.forwardBackward, step: 0, live: 1) }
  }

  @Test func constantsAreTheDecimalsThatWereWritten() {
    #expect(Float(0.999).decimalValue == 0.999)
    #expect(Float(1e-7).decimalValue == 1e-7)
    #expect(1 - Float(0.99).decimalValue == 1 - 0.99)
    #expect(Float(0.25).decimalValue == 0.25)
  }
}

/// One gather of a few entries from three overlapping windows of [4, 2].
private struct Gathering {
  var views: [SampleEntry]
  var mixesLabels = true

  init(views: [SampleEntry]) { self.views = views }

  private var samples: [Float] { SeededValues.uniform(name: "gathering", count: 20) }

  func sample(window: Int, t: Int, c: Int) -> Float { samples[(window * 3 + t) * 2 + c] }

  func run(epoch: Int) throws -> (batch: [Double], targets: [Double], weights: [Double]) {
    let count = views.count
    let shapes = [[count, 4, 2], [count, 3], [count]]
    let tensors = zip(["batch", "targets", "weights"], shapes).map {
      TensorSpec(name: $0, shape: $1, hasBatchAxis: true, role: .activation)
    }
    let ids = (0..<3).map(TensorID.init(index:))
    let shape = GatherShape(
      time: 4, channels: 2, classes: 3, mixesLabels: mixesLabels, classWeights: [1, 1.5, 2])
    let plan = Plan(
      name: "gathering", tensors: tensors,
      programs: [
        Program(
          id: .validate, capacity: count,
          operations: [
            .gatherWindows(
              GatherWindows(shape, batch: ids[0], targets: ids[1], sampleWeights: ids[2]))
          ], outputs: ids)
      ])
    let loaded = try ReferenceDevice().load(plan, options: LoadOptions())
    let dataset = try loaded.upload(
      Dataset(samples: samples, channels: 2, windowStarts: [0, 3, 6], labels: [0, 1, 2]))
    try loaded.upload(
      EpochTable(dataset: dataset, samples: views, augmentationEpoch: epoch), for: .validate)
    try loaded.run(.validate, step: 0, live: count)
    return (
      try loaded.readDoubles(ids[0]), try loaded.readDoubles(ids[1]),
      try loaded.readDoubles(ids[2])
    )
  }
}
