import Artifacts
import Compute
import ComputeCPU
import Foundation
import Networks
import Synchronization
import TestSupport
import Testing

@testable import Training

/// One value says how a model is trained; plan, archive and report say the same.
struct TrainingRecipeTests {
  /// Unlike both pipelines in everything.
  static let unusual: TrainingRecipe = {
    var recipe = TrainingRecipe(.published, epochs: 1, batchSize: 7, seed: 11)
    recipe.constants = StepConstants(
      smoothing: 0.25, mixesLabels: true, noiseDeviation: 0.5, beta1: 0.75, beta2: 0.875,
      epsilon: 0.5)
    recipe.initialRate = 0.125
    recipe.periodFactor = 3
    recipe.restartFactor = 0.5
    recipe.rateFloor = 0.25
    return recipe
  }()

  static let recipes: [TrainingRecipe] = [
    TrainingRecipe(.standard, epochs: 1, batchSize: 16),
    TrainingRecipe(.published, epochs: 1, batchSize: 16), unusual,
  ]

  @Test func thePlanComputesWithIt() throws {
    let recipe = Self.unusual
    let network = try Network.semgNet(time: 12, channels: 2, classes: 2, width: 2)
    let options = Trainer.options(for: toyWindows(), recipe: recipe, classWeights: [1, 2])
    #expect(options.plan.batchCapacity == 7 && options.load.seed == 11)
    let plan = NetworkPlan(network, options: options.plan).plan
    var found = 0
    for program in plan.programs.values {
      for operation in program.operations {
        if case .gatherWindows(let gather) = operation {
          #expect(gather.shape.noiseDeviation == 0.5 && gather.shape.mixesLabels)
          found += 1
        } else if case .softmaxCrossEntropy(let loss) = operation {
          #expect(loss.shape.smoothing == 0.25)
          found += 1
        } else if case .adam(let adam) = operation {
          let settings = adam.settings
          #expect((settings.beta1, settings.beta2) == (0.75, 0.875) && settings.epsilon == 0.5)
          found += 1
        }
      }
    }
    #expect(found == 5)
  }

  @Test func viewsAndScheduleFollowIt() {
    var recipe = Self.unusual
    recipe.maskedShare = 0.25
    let augmentation = Augmentation(
      windows: (0..<40).map(Int32.init), channels: 4, recipe: recipe)
    #expect(augmentation.samples(epoch: 0).count { $0.maskedChannel >= 0 } == 10)
    let schedule = recipe.schedule(samples: 700)
    #expect(schedule.firstPeriod == 30 && schedule[0] == 0.125 && schedule.periodFactor == 3)
    // Beta(1, 1) is uniform, where Beta(0.2, 0.2) has most of its draws near 0 and 1.
    recipe.mixUpAlpha = 1
    let mixed = Augmentation(
      windows: (0..<2_000).map(Int32.init), channels: 4, recipe: recipe)
    let inner = mixed.samples(epoch: 0).count { $0.view == .mixed && abs($0.lambda - 0.5) < 0.4 }
    #expect((1_540...1_660).contains(inner))
  }

  private static func run(_ recipe: TrainingRecipe, in folder: TemporaryDirectory) throws
    -> RunReport
  {
    let run = TrainingRun(
      data: toyWindows(), device: CPUDevice(threads: 1), settings: RunSettings(recipe: recipe),
      directory: try RunDirectory(creating: folder.file("run")))
    return try #require(try run.train())
  }

  @Test(arguments: recipes)
  func archiveAndReportSayWhatWasTrainedWith(recipe: TrainingRecipe) throws {
    let folder = try TemporaryDirectory()
    let report = try Self.run(recipe, in: folder)
    #expect(report.recipe == recipe.pipeline && report.seed == recipe.seed)
    #expect(report.batchSize == recipe.batchSize && report.epochs == recipe.epochs)
    for name in report.artifacts {
      let training = try #require(
        try KerasArchive.read(folder.file("run/" + name)).info.training)
      #expect(training == Self.settings(recipe))
    }
  }

  /// Of 36 samples, as `toyWindows` gives.
  private static func settings(_ recipe: TrainingRecipe) -> TrainingSettings {
    TrainingSettings(
      learningRate: .cosineDecayRestarts(
        initial: Float(recipe.initialRate),
        firstDecaySteps: recipe.schedule(samples: 36).firstPeriod,
        tMul: Float(recipe.periodFactor), mMul: Float(recipe.restartFactor),
        alpha: Float(recipe.rateFloor)),
      labelSmoothing: recipe.constants.smoothing, beta1: recipe.constants.beta1,
      beta2: recipe.constants.beta2, epsilon: recipe.constants.epsilon)
  }

  private struct Compiled: Decodable {
    var beta1, beta2, epsilon, labelSmoothing: Double
    var initialLearningRate, firstDecaySteps, tMul, mMul, alpha: Double
  }

  /// What `model.optimizer` and `model.loss` are once Keras has opened the archives.
  @Test(.enabled(if: WitnessPython.isExpected, "no Python with Keras at \(WitnessPython.path)"))
  func kerasCompilesAsWeTrained() throws {
    for recipe in Self.recipes {
      let folder = try TemporaryDirectory()
      let report = try Self.run(recipe, in: folder)
      let script = SharedData.packageRoot.appending(
        path: "Tests/TrainingTests/Fixtures/compiled_in_keras.py")
      let answer = try WitnessPython.run(
        script.path, report.artifacts.map { folder.file("run/" + $0) }, log: folder.file("log"))
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      let models = try decoder.decode([Compiled].self, from: answer)
      #expect(models.count == 2)
      for found in models {
        let constants = recipe.constants
        #expect(found.beta1 == constants.beta1.decimalValue)
        #expect(found.beta2 == constants.beta2.decimalValue)
        #expect(found.epsilon == constants.epsilon.decimalValue)
        #expect(found.labelSmoothing == constants.smoothing.decimalValue)
        #expect(abs(found.initialLearningRate / recipe.initialRate - 1) < 1e-6)
        #expect(found.firstDecaySteps == Double(recipe.schedule(samples: 36).firstPeriod))
        #expect(found.tMul == Double(recipe.periodFactor))
        #expect(abs(found.mMul / recipe.restartFactor - 1) < 1e-6)
        #expect(abs(found.alpha / recipe.rateFloor - 1) < 1e-6)
      }
    }
  }
}

/// How often a run puts networks and recordings on its device.
struct LoadCountTests {
  @Test func aRunLoadsANetworkOnceToCheckAndOnceToTrainAndUploadsItsRecordingsOnce() throws {
    let folder = try TemporaryDirectory()
    let device = CountingDevice()
    let run = TrainingRun(
      data: toyWindows(), device: device,
      settings: RunSettings(recipe: TrainingRecipe(epochs: 2, batchSize: 16)),
      directory: try RunDirectory(creating: folder.file("run")))
    let report = try #require(try run.train())
    #expect(report.test.models.count == 2)
    // The second is loaded before the first is trained, too.
    #expect(device.counts.loads == 3)
    #expect(device.counts.uploads == 2)
  }
}

/// The CPU backend, counting.
private final class CountingDevice: Device {
  let name = "counting"
  let precision = Precision.fp32
  private let base = CPUDevice(threads: 1)
  private let counted = Mutex((loads: 0, uploads: 0))

  var counts: (loads: Int, uploads: Int) { counted.withLock { $0 } }

  func load(_ plan: Plan, options: LoadOptions) throws(DeviceError) -> any LoadedPlan {
    counted.withLock { $0.loads += 1 }
    return CountingPlan(try base.load(plan, options: options)) { [self] in
      counted.withLock { $0.uploads += 1 }
    }
  }
}

private final class CountingPlan: ForwardingPlan {
  private let count: () -> Void

  init(_ base: any LoadedPlan, count: @escaping () -> Void) {
    self.count = count
    super.init(base)
  }

  override func upload(_ dataset: Dataset) throws(DeviceError) -> DatasetID {
    count()
    return try super.upload(dataset)
  }
}
