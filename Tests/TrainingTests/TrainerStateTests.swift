import Compute
import ComputeCPU
import ComputeOpenCL
import Foundation
import Networks
import TestSupport
import Testing

@testable import SignalPreparation
@testable import Training

/// A training that is stopped at the end of an epoch and goes on elsewhere.
struct TrainerStateTests {
  /// Of three epochs.
  private struct Left: Equatable {
    var model: TrainedModel
    var last: TrainerState

    static func == (a: Left, b: Left) -> Bool {
      a.last.withoutTimes == b.last.withoutTimes && a.model.weights == b.model.weights
        && a.model.optimizer == b.model.optimizer && a.model.bestEpoch == b.model.bestEpoch
        && a.model.outcome == b.model.outcome
        && a.model.history.map(\.withoutTimes) == b.model.history.map(\.withoutTimes)
    }
  }

  private static func trainer(
    _ model: NetworkModel, on device: any Device, pipeline: Recipe = .standard,
    data: PreparedRecordings = toyWindows(), state: TrainerState? = nil,
    shouldStop: @escaping () -> Bool = { false }
  ) throws -> Trainer {
    let network =
      model == .semgNet
      ? try Network.semgNet(time: 12, channels: 2, classes: 2, width: 2)
      : try TrainerTests.network()
    return try Trainer(
      name: model.name, network: network, device: device, data: data,
      settings: TrainerSettings(
        recipe: TrainingRecipe(pipeline, epochs: 3, batchSize: 8, seed: 1),
        classWeights: [1, 1.5]),
      state: state, shouldStop: shouldStop)
  }

  private static func train(_ trainer: Trainer) throws -> Left {
    var last: TrainerState?
    let model = try trainer.train(ended: { last = try $0.state() })
    return Left(model: model, last: try #require(last))
  }

  /// Where the training stands after two epochs, as a file would keep it.
  private static func stopped(_ make: (@escaping () -> Bool) throws -> Trainer) throws -> Data {
    nonisolated(unsafe) var saved: [Data] = []
    let trainer = try make { saved.count == 2 }
    let model = try trainer.train(ended: { saved.append(try JSONEncoder().encode($0.state())) })
    #expect(model.outcome == .interrupted && saved.count == 2)
    return try #require(saved.last)
  }

  static func expectTheSameBits(
    _ model: NetworkModel, on device: any Device, pipeline: Recipe = .standard,
    data: PreparedRecordings = toyWindows()
  ) throws -> TrainerState {
    let whole = try train(trainer(model, on: device, pipeline: pipeline, data: data))
    let data = data
    let saved = try stopped {
      try trainer(model, on: device, pipeline: pipeline, data: data, shouldStop: $0)
    }
    let state = try JSONDecoder().decode(TrainerState.self, from: saved)
    #expect(state.history.count == 2 && state.steps == 10)
    let resumed = try train(
      trainer(model, on: device, pipeline: pipeline, data: data, state: state))
    #expect(resumed == whole)
    #expect(resumed.model.history.count == 3)
    #expect(resumed.last.weights != state.weights)
    return state
  }

  @Test(arguments: NetworkModel.builtIn, Recipe.allCases)
  func aThirdEpochAfterAStopIsTheThirdOfOneTraining(model: NetworkModel, pipeline: Recipe) throws {
    let state = try Self.expectTheSameBits(
      model, on: CPUDevice(threads: 2), pipeline: pipeline)
    #expect(state.lossScaling == nil && state.optimizer.iterations == 10)
  }

  /// Any encoder gives back what it was given, also what is not a number.
  @Test func aStateComesBackToTheBit() throws {
    var state = try Self.trainer(.semgNet, on: CPUDevice(threads: 1)).state()
    #expect(state.history.isEmpty && state.best == nil && state.steps == 0)
    state.weights.values[0][0] = .infinity
    state.weights.values[0][1] = -0.0
    state.optimizer.secondMoments[0][0] = .leastNonzeroMagnitude
    state.best = TrainerState.Best(weights: state.weights, optimizer: state.optimizer)
    state.lossScaling = LossScaling(scale: 32_768, goodSteps: 3, skippedSteps: 2)
    state.history = [
      EpochRecord(
        model: "semg-net", epoch: 1, loss: 0.1 + 0.2, accuracy: 1.0 / 3, validationLoss: -.infinity,
        validationAccuracy: 1e-300, learningRate: 1e-3, seconds: 1, samplesPerSecond: 2,
        isBest: true, skippedSteps: 1)
    ]
    let json = try JSONDecoder().decode(
      TrainerState.self, from: JSONEncoder().encode(state))
    #expect(json == state)
    #expect(json.weights.values[0][1].sign == .minus)
    let list = try PropertyListDecoder().decode(
      TrainerState.self, from: PropertyListEncoder().encode(state))
    #expect(list == state)
    state.history[0].loss = .nan
    let unequal = try JSONDecoder().decode(TrainerState.self, from: JSONEncoder().encode(state))
    #expect(unequal.history[0].loss.isNaN)
  }

  /// What does not belong together is told, with what was found and expected.
  @Test func theStateOfAnotherTrainingIsRefused() throws {
    let device = CPUDevice(threads: 1)
    let state = try Self.trainer(.semgNet, on: device).state()
    let changes: [(String, (inout TrainerState) -> Void)] = [
      ("model", { $0.model = "inception-se" }), ("recipe", { $0.recipe.seed = 2 }),
      ("recipe", { $0.recipe.epochs = 4 }), ("recipe", { $0.recipe.constants.smoothing = 0 }),
      ("class weights", { $0.classWeights = [] }),
      ("training windows", { $0.trainingWindows += 1 }),
      ("validation windows", { $0.validationWindows = 0 }),
      ("precision fp16", { $0.lossScaling = LossScaling(scale: 1, skippedSteps: 0) }),
      ("steps 1", { $0.steps = 1 }), ("updates", { $0.optimizer.iterations = 5 }),
      ("variables", { $0.weights.values.removeLast() }),
      ("variables", { $0.optimizer.firstMoments[0].append(1) }),
      (
        "variables",
        {
          $0.best = TrainerState.Best(weights: NetworkWeights(values: []), optimizer: $0.optimizer)
        }
      ),
    ]
    for (what, change) in changes {
      var other = state
      change(&other)
      let error = #expect(throws: TrainingError.self, "\(what)") {
        try Self.trainer(.semgNet, on: device, state: other)
      }
      guard case .otherTraining("semg-net", let found, _)? = error else {
        Issue.record("\(what): \(String(describing: error))")
        continue
      }
      #expect(found.hasPrefix(what))
    }
  }
}

extension EpochRecord {
  fileprivate var withoutTimes: EpochRecord {
    var record = self
    (record.seconds, record.samplesPerSecond) = (0, 0)
    return record
  }
}

extension TrainerState {
  fileprivate var withoutTimes: TrainerState {
    var state = self
    state.history = history.map(\.withoutTimes)
    return state
  }
}

extension OpenCLTests {
  @Suite(.enabled(if: runsSlowTests, "long without optimization"))
  struct TrainerStateOnOneDeviceTests {
    @Test(arguments: NetworkModel.builtIn)
    func aThirdEpochAfterAStopIsTheThirdOfOneTraining(model: NetworkModel) throws {
      _ = try TrainerStateTests.expectTheSameBits(model, on: OpenCLTests.open(.fp32))
    }

    /// Steps are left out before the stop: the loss scale, its counters, and the learning rates that
    /// steps later than their place take.
    @Test(arguments: NetworkModel.builtIn)
    func inHalfPrecisionToo(model: NetworkModel) throws {
      let state = try TrainerStateTests.expectTheSameBits(
        model,
        on: OpenCLTests.open(.fp16, lossScale: Float(sign: .plus, exponent: 24, significand: 1)))
      let scaling = try #require(state.lossScaling)
      print("\(model.name): \(scaling)")
      #expect(scaling.skippedSteps > 0 && scaling.goodSteps > 0)
      #expect(state.optimizer.iterations == state.steps - scaling.skippedSteps)
    }
  }
}
