import Compute
import ComputeOpenCL
import Networks
import TestSupport
import Testing

@testable import Training

/// Steps of a training in half precision that are left out.
struct SkippedStepsTests {
  private func losses(_ count: Int, _ value: Float = 1) -> [Float] {
    Array(repeating: value, count: count)
  }

  @Test func twentyStepsInARowWithoutALossEndTheTraining() {
    var steps = SkippedSteps()
    #expect(steps.add(losses: losses(19, .nan), scaling: .init(scale: 1, skippedSteps: 19)) == nil)
    #expect(steps.add(losses: losses(1), scaling: .init(scale: 1, skippedSteps: 19)) == nil)
    #expect(
      steps.add(losses: losses(19, .infinity), scaling: .init(scale: 1, skippedSteps: 38)) == nil)
    let fault = steps.add(losses: losses(3, .nan), scaling: .init(scale: 1, skippedSteps: 41))
    #expect(fault?.offset == 0 && fault?.isOverflow == true)
    #expect(steps.count == 41)
  }

  /// A scale that starts too high may need more halvings than that.
  @Test func overflowingGradientsEndTheTrainingAtTheSmallestScaleAlone() {
    var steps = SkippedSteps()
    #expect(steps.add(losses: losses(40), scaling: .init(scale: 2, skippedSteps: 40)) == nil)
    #expect(steps.add(losses: losses(19), scaling: .init(scale: 1, skippedSteps: 59)) == nil)
    let fault = steps.add(losses: losses(2), scaling: .init(scale: 1, skippedSteps: 61))
    #expect(fault?.offset == 1 && fault?.isOverflow == true)
  }

  @Test func anUpdateByALossThatIsNoNumberEndsTheTrainingAtOnce() {
    var steps = SkippedSteps()
    let fault = steps.add(
      losses: [1, .nan, 1, .nan], scaling: .init(scale: 1, skippedSteps: 1))
    #expect(fault?.offset == 1 && fault?.isOverflow == false)
  }
}

extension OpenCLTests {
  /// Trainings in half precision with steps that are left out.
  @Suite(.enabled(if: runsSlowTests, "long without optimization"))
  struct HalfPrecisionTrainingTests {
    private func trainer(
      lossScale: Float = 65_536, epochs: Int, batchSize: Int = 8, first: Float? = nil,
      weightFactor: Float? = nil
    ) throws -> Trainer {
      let network = try TrainerTests.network()
      let device = try OpenCLTests.open(.fp16, lossScale: lossScale)
      func trainer(_ state: TrainerState? = nil) throws -> Trainer {
        try Trainer(
          name: "inception-se", network: network, device: device, data: toyWindows(first: first),
          settings: TrainerSettings(
            recipe: TrainingRecipe(epochs: epochs, batchSize: batchSize, seed: 1)), state: state)
      }
      guard let weightFactor else { return try trainer() }
      var state = try trainer().state()
      state.weights.values[0] = state.weights.values[0].map { $0 * weightFactor }
      return try trainer(state)
    }

    /// As Keras counts them: neither the schedule nor the archive knows of a step that was left out.
    @Test func aStepThatIsLeftOutIsNoIteration() throws {
      let trainer = try trainer(
        lossScale: Float(sign: .plus, exponent: 40, significand: 1), epochs: 8)
      var archived: [(epoch: Int, iterations: Int)] = []
      let model = try trainer.train {
        archived.append(($0.bestEpoch, $0.optimizer.iterations))
      }
      #expect(model.history.count == 8)
      var applied = 0
      for record in model.history {
        applied += 5 - record.skippedSteps
        #expect(record.learningRate == trainer.schedule[max(0, applied - 1)])
        for archive in archived where archive.epoch == record.epoch {
          #expect(archive.iterations == applied)
        }
      }
      #expect(model.history[0].skippedSteps == 5, "the scale is far too large")
      #expect((10..<30).contains(40 - applied))
      #expect(archived.count >= 1)
    }

    /// One window of a recording beyond half's range: its steps are left out, the others train.
    @Test func activationsBeyondHalfsRangeSkipTheirStepsAlone() throws {
      let model = try trainer(epochs: 6, batchSize: 4, first: 1e6).train()
      #expect(model.history.count == 6)
      for record in model.history {
        #expect((1...4).contains(record.skippedSteps), "of nine steps")
        #expect(record.loss.isFinite && record.validationLoss.isFinite)
        #expect(record.accuracy > 0)
      }
      #expect(model.weights.values.joined().allSatisfy { $0.isFinite })
      let plain = try trainer(epochs: 6, batchSize: 4).train()
      #expect(plain.history.allSatisfy { $0.skippedSteps == 0 })
    }

    @Test func twentyLeftOutInARowEndTheTraining() throws {
      let trainer = try trainer(epochs: 10, weightFactor: 1e8)
      var epochs: [EpochRecord] = []
      let error = #expect(throws: TrainingError.self) {
        try trainer.train { epochs = $0.history }
      }
      // Five steps an epoch.
      #expect(
        error == .overflowed(model: "inception-se", epoch: 4, step: 5, skipped: 20))
      #expect(epochs.isEmpty, "no epoch is the best without a validation")
      #expect(error?.description.contains("--precision fp32") == true)
    }
  }
}
