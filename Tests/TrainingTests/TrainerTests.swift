import Compute
import ComputeCPU
import ComputeReference
import Networks
import Recordings
import SignalProcessing
import Testing

@testable import SignalPreparation
@testable import Training

/// Two gestures told apart by the channel that is loud: learnt within a few epochs.
func toyWindows(count: Int = 24, time: Int = 12, first: Float? = nil) -> PreparedRecordings {
  var samples: [Float] = []
  for window in 0..<count {
    for step in 0..<time {
      let wave = Float((step * 7 + window * 3) % 5 - 2) / 2
      samples += window % 2 == 0 ? [wave, 0.1 * wave] : [0.1 * wave, wave]
    }
  }
  if let first { samples[0] = first }
  let parts: [Part] = [.train, .train, .validation, .test]
  let labels = (0..<count).map { Int32($0 % 2) }
  return PreparedRecordings(
    recordings: (0..<count).map {
      PreparedRecording(
        path: "\($0).csv", file: "\($0).csv", part: parts[$0 / 2 % 4], subject: $0 % 3,
        session: 1, label: $0 % 2, rows: $0 * time..<($0 + 1) * time, windows: $0..<$0 + 1)
    },
    samples: samples, channels: 2, windowLength: time,
    windowStarts: (0..<count).map { Int32($0 * time) }, labels: labels,
    windowRecordings: (0..<count).map(Int32.init), classes: [1, 4],
    standardization: Standardization(mean: [0, 0], deviation: [1, 1]), skipped: [])
}

@Suite struct TrainerTests {
  static func network() throws -> Network {
    try Network.inceptionSE(
      time: 12, channels: 2, classes: 2, padding: .causal, width: 4, dilations: [1, 2], heads: 1,
      keySize: 3, denseUnits: 8)
  }

  func train(
    on device: any Device = ReferenceDevice(), epochs: Int = 4, seed: UInt64 = 1,
    batchSize: Int = 8,
    shouldStop: @escaping () -> Bool = { false },
    report: @escaping (TrainingEvent) -> Void = { _ in },
    improved: (TrainedModel) throws -> Void = { _ in }
  ) throws -> TrainedModel {
    let trainer = try Trainer(
      name: "inception-se", network: try Self.network(), device: device,
      data: toyWindows(),
      settings: TrainerSettings(
        recipe: TrainingRecipe(epochs: epochs, batchSize: batchSize, seed: seed)),
      report: report, shouldStop: shouldStop)
    return try trainer.train(improved: improved)
  }

  @Test func lossFallsAndTheBestEpochIsTheFirstOfTheHighest() throws {
    let model = try train(epochs: 50)
    #expect(model.history.count == 50)
    let highest = model.history.map(\.validationAccuracy).max()
    #expect(model.history[49].loss < model.history[0].loss)
    #expect((highest ?? 0) >= 0.9)
    let first = model.history.first { $0.validationAccuracy == highest }?.epoch
    #expect(model.bestEpoch == first)
    #expect(model.outcome == .completed)
    // 12 training windows, 36 samples, batches of 8: the last one has 4.
    #expect(model.optimizer.iterations == 5 * model.bestEpoch)
  }

  /// 36 samples and 6 validation windows: a batch of 1,000 holds no more of them than one of 36.
  @Test(arguments: [true, false])
  func aBatchBeyondAllSamplesTakesNoMoreMemoryAndGivesTheSame(isReference: Bool) throws {
    let device: any Device = isReference ? ReferenceDevice() : CPUDevice(threads: 2)
    let trainers = try [36, 1000].map { batchSize in
      try Trainer(
        name: "inception-se", network: try Self.network(), device: device, data: toyWindows(),
        settings: TrainerSettings(
          recipe: TrainingRecipe(epochs: 2, batchSize: batchSize, seed: 1)))
    }
    #expect(trainers[0].byteCount == trainers[1].byteCount)
    let models = try trainers.map { try $0.train() }
    #expect(models[0].weights == models[1].weights)
    #expect(models[0].history.map(\.loss) == models[1].history.map(\.loss))
  }

  @Test func theSameSeedGivesTheSameWeights() throws {
    let first = try train()
    #expect(try train().weights == first.weights)
    #expect(try train(seed: 2).weights != first.weights)
  }

  /// Dropout, noise and augmentation on: the same masks and the same samples on both.
  @Test func theCPUTrainsAsTheReferenceDoes() throws {
    let reference = try train(epochs: 6)
    let cpu = try train(on: CPUDevice(threads: 2), epochs: 6)
    for (expected, found) in zip(reference.history, cpu.history) {
      #expect(abs(found.loss - expected.loss) < 1e-4 * expected.loss)
      #expect(found.validationAccuracy == expected.validationAccuracy)
    }
    #expect(cpu.history.count == 6 && cpu.bestEpoch == reference.bestEpoch)
  }

  @Test func stoppingKeepsTheBestSoFar() throws {
    nonisolated(unsafe) var asked = 0
    nonisolated(unsafe) var saved: [Int] = []
    let model = try train(
      shouldStop: {
        asked += 1
        return asked > 7
      }, improved: { saved.append($0.bestEpoch) })
    #expect(model.outcome == .interrupted)
    #expect(model.history.count == 1)
    #expect(saved == [1] && model.bestEpoch == 1)
  }

  @Test func evaluationGivesTheProbabilitiesThatValidationCounted() throws {
    let model = try train(epochs: 6)
    let windows = toyWindows()
    let validation = windows.windows(of: .validation)
    let network = try LoadedNetwork(
      model.network, on: ReferenceDevice(),
      options: .evaluation(windows: validation.count, batchSize: 5))
    try network.write(model.weights)
    try network.upload(windows.dataset)
    let probabilities = try network.probabilities(of: validation)
    let metrics = windows.metrics(of: validation, probabilities: probabilities)
    let best = try #require(model.history.first { $0.epoch == model.bestEpoch })
    #expect(abs(metrics.accuracy - best.validationAccuracy) < 1e-12)
  }

  /// Whatever layers lie between the sample and the loss: ReLU passes NaN on, as Keras's does.
  @Test(arguments: NetworkModel.builtIn, [true, false])
  func aLossThatIsNoNumberNamesItsStep(model: NetworkModel, isReference: Bool) throws {
    let device: any Device = isReference ? ReferenceDevice() : CPUDevice(threads: 1)
    let network =
      model == .semgNet
      ? try Network.semgNet(time: 12, channels: 2, classes: 2, width: 2) : try Self.network()
    let trainer = try Trainer(
      name: model.name, network: network, device: device, data: toyWindows(first: .infinity),
      settings: TrainerSettings(recipe: TrainingRecipe(epochs: 2, batchSize: 36)))
    let error = #expect(throws: TrainingError.self) { try trainer.train() }
    guard case .diverged(let found, let epoch, let step, let learningRate, _)? = error else {
      Issue.record("unexpected error \(String(describing: error))")
      return
    }
    #expect(found == model.name && epoch == 1 && step == 1 && learningRate == 1e-3)
  }

  @Test func theDeadlineHoldsWhereAnEpochIsOneStep() throws {
    let trainer = try Trainer(
      name: "semg-net",
      network: try Network.semgNet(time: 12, channels: 2, classes: 2, width: 2),
      device: ReferenceDevice(), data: toyWindows(),
      settings: TrainerSettings(
        recipe: TrainingRecipe(epochs: 1_000_000, batchSize: 64),
        deadline: .now + .milliseconds(200)))
    let model = try trainer.train()
    #expect(model.outcome == .outOfTime && model.bestEpoch >= 1)
  }

  @Test func classWeightsMustFitTheClasses() throws {
    #expect(try TrainerSettings().lossWeights(classes: 5).isEmpty)
    #expect(throws: TrainingError.classWeightCount(expected: 2, found: 3)) {
      try TrainerSettings(classWeights: [1, 2, 3]).lossWeights(classes: 2)
    }
  }

  @Test func thePublishedWeightsAreForThePublishedGesturesAlone() {
    let settings = RunSettings()
    #expect(settings.lossWeights(gestures: [0, 1, 2, 3, 4]) == [1, 1.5, 1.5, 1, 1])
    #expect(settings.lossWeights(gestures: [1, 2, 3, 4, 5]) == nil)
    #expect(settings.lossWeights(gestures: [0, 1, 2, 3]) == nil)
    #expect(settings.classWeights(byGesture: [1, 2]) == ["1": 1, "2": 1])
    let asked = RunSettings(classWeights: [1, 1, 1, 1, 2])
    #expect(asked.lossWeights(gestures: [0, 1, 2, 3, 4]) == [1, 1, 1, 1, 2])
    #expect(asked.classWeights(byGesture: [0, 1, 2, 3, 4])["4"] == 2)
  }
}
