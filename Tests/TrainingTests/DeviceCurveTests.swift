import Compute
import ComputeCPU
import ComputeOpenCL
import Foundation
import Networks
import Recordings
import TestSupport
import Testing

@testable import SignalPreparation
@testable import Training

extension OpenCLTests {
  /// A hundred steps on real recordings, everything random on, beside the CPU backend.
  /// `SEMG_CURVE_BATCH` sets the batch size: 16, unless a larger one is tried by hand.
  @Suite struct DeviceCurveTests {
    private static let isWanted =
      runsSlowTests
      && (SharedData.isPresent && !openCLDevices.isEmpty
        || ProcessInfo.processInfo.environment["CI"] == "true")
    private static let openCLDevices = (try? OpenCLDeviceDescription.all()) ?? []

    private static let batch =
      ProcessInfo.processInfo.environment["SEMG_CURVE_BATCH"].flatMap { Int($0) } ?? 16
    private static let steps = 100
    private static let predicted = 320

    /// Two sessions of one subject to train on, the third to predict.
    private static func recordings() throws -> PreparedRecordings {
      let base = SharedData.synapse
      let all = try FileManager.default.subpathsOfDirectory(atPath: base.path).sorted()
      let recordings = all.filter { $0.hasSuffix(".csv") && $0.contains("subject_3/") }.map {
        path in
        let layout = RecordingLayout(path: path)
        return RecordingDescriptor(
          path: path, file: base.appending(path: path).path, session: layout.session,
          gesture: layout.gesture ?? -1, subject: layout.subject)
      }
      try #require(recordings.count > 50, "no recordings of subject 3 in \(base.path)")
      let split = Split(parts: recordings.map { $0.session == 3 ? .test : .train })
      return try Preparation(threads: 2).prepare(
        recordings, split: split, statistics: .filteredTraining)
    }

    /// A network on a device, its hundred steps trained.
    private struct Trained {
      let network: LoadedNetwork
      var losses: [Double] = []

      init(_ network: Network, _ data: PreparedRecordings, on device: any Device) throws {
        let batch = DeviceCurveTests.batch
        self.network = try LoadedNetwork(
          network, on: device,
          options: LoadedNetwork.Options(
            plan: NetworkPlanOptions(batchCapacity: batch, inferenceCapacity: batch),
            load: LoadOptions(programs: [.forwardBackward, .update, .predict])))
        let recipe = TrainingRecipe(seed: 7)
        try self.network.write(NetworkWeights(initializing: network, seed: recipe.seed))
        let augmentation = Augmentation(
          windows: data.windows(of: .train), channels: data.channels, recipe: recipe)
        let steps = DeviceCurveTests.steps
        // Large batches take more than an epoch of one subject.
        var samples: [SampleEntry] = []
        var epoch = 0
        while samples.count < steps * batch {
          samples += augmentation.samples(epoch: epoch)
          epoch += 1
        }
        let schedule = recipe.schedule(firstPeriod: steps)
        try self.network.begin(
          EpochTable(
            dataset: try self.network.upload(data.dataset),
            samples: Array(samples.prefix(steps * batch)),
            learningRates: (0..<steps).map { Float(schedule[$0]) }))
        for step in 0..<steps { try self.network.step(step, live: batch) }
        losses = try self.network.results(of: 0..<steps)
          .map { Double($0.loss) + Double($0.penalty) }
      }

      /// Probabilities of the first windows of the test part, by these or by given weights.
      func predict(_ data: PreparedRecordings, weights: NetworkWeights? = nil) throws -> [Float] {
        if let weights { try network.write(weights) }
        let size = data.windowLength * data.channels
        let windows = data.windows(of: .test).prefix(DeviceCurveTests.predicted)
        var result: [Float] = []
        for start in stride(from: 0, to: windows.count, by: DeviceCurveTests.batch) {
          let part = windows.dropFirst(start).prefix(DeviceCurveTests.batch)
          let values = part.flatMap { window in
            let first = Int(data.windowStarts[Int(window)]) * data.channels
            return data.samples[first..<first + size]
          }
          result += try network.predict(Array(values))
        }
        return result
      }

      var weights: NetworkWeights { get throws { try network.weights() } }
    }

    private static func largestDifference(_ a: [Double], _ b: [Double]) -> Double {
      zip(a, b).reduce(0) { max($0, abs($1.0 / $1.1 - 1)) }
    }

    /// Place of the highest probability of each window.
    private static func gestures(_ probabilities: [Float], classes: Int) -> [Int] {
      stride(from: 0, to: probabilities.count, by: classes).map { start in
        let row = probabilities[start..<start + classes]
        return (row.firstIndex(of: row.max() ?? 0) ?? start) - start
      }
    }

    @Test(
      .enabled(if: isWanted, "needs real recordings, an OpenCL device and an optimized build"),
      arguments: NetworkModel.builtIn)
    func aHundredStepsOnRealRecordingsFollowTheCPU(model: NetworkModel) throws {
      let data = try Self.recordings()
      let network: Network =
        model == .inceptionSE ? try .inceptionSE(padding: .causal) : try .semgNet()
      let description = try #require(Self.openCLDevices.first, "no OpenCL device on this machine")
      let two = try Trained(network, data, on: CPUDevice(threads: 2))
      let one = try Trained(network, data, on: CPUDevice(threads: 1))
      let device = try Trained(network, data, on: OpenCLDevice(description))

      let chance = Self.largestDifference(one.losses, two.losses)
      let difference = Self.largestDifference(device.losses, two.losses)
      print("\(model.name): losses differ by \(difference), of two thread counts by \(chance)")
      #expect(difference <= max(1e-2, 3 * chance))
      #expect(two.losses.prefix(10).reduce(0, +) > two.losses.suffix(10).reduce(0, +))

      let found = try device.predict(data)
      let gestures = Self.gestures(found, classes: 5)
      let expected = Self.gestures(try two.predict(data), classes: 5)
      let alike = zip(gestures, expected).filter { $0 == $1 }.count
      let other = Self.gestures(try one.predict(data), classes: 5)
      let byChance = zip(other, expected).filter { $0 == $1 }.count
      print(
        "\(model.name): \(alike) of \(expected.count) windows are classified alike, "
          + "by two thread counts \(byChance)")
      // As with the losses: where rounding alone turns more windows than one in a hundred, three
      // times what it turns.
      #expect(expected.count - alike <= max(expected.count / 100, 3 * (expected.count - byChance)))

      // The same weights on the other backend.
      let carried = try two.predict(data, weights: try device.weights)
      let largest = zip(found, carried).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) }
      print("\(model.name): probabilities of the same weights differ by \(largest)")
      #expect(largest <= 1e-5)
    }

    /// Means of each `span` values.
    private static func means(of values: [Double], _ span: Int) -> [Double] {
      stride(from: 0, to: values.count, by: span).map { first in
        let part = values[first..<min(first + span, values.count)]
        return part.reduce(0, +) / Double(part.count)
      }
    }

    @Test(
      .enabled(if: isWanted, "needs real recordings, an OpenCL device and an optimized build"),
      arguments: NetworkModel.builtIn)
    func aHundredStepsInHalfPrecisionFollowTheCPU(model: NetworkModel) throws {
      let data = try Self.recordings()
      let network: Network =
        model == .inceptionSE ? try .inceptionSE(padding: .causal) : try .semgNet()
      let description = try #require(Self.openCLDevices.first, "no OpenCL device on this machine")
      let single = try Trained(network, data, on: CPUDevice(threads: 2))
      let half = try Trained(
        network, data, on: OpenCLDevice(description, arithmetic: OpenCLDevice.Arithmetic(.fp16)))
      let expected = Self.means(of: single.losses, 10)
      let difference = Self.largestDifference(Self.means(of: half.losses, 10), expected)
      let largest = Self.largestDifference(half.losses, single.losses)
      let scaling = try #require(try half.network.loaded.lossScaling())
      print(
        "\(model.name): losses in half precision differ by \(largest), "
          + "their means of ten steps by \(difference), \(scaling)")
      // Means, since rounding moves a single step's loss of 16 windows by more: that of sEMG-Net by
      // 3.5e-2 between two thread counts of the CPU backend.
      #expect(difference <= 2e-2)
      #expect(scaling.skippedSteps <= 3)
    }
  }
}
