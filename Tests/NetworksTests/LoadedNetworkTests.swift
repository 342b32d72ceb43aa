import Compute
import ComputeCPU
import ComputeCases
import ComputeReference
import Networks
import TestSupport
import Testing

struct LoadedNetworkTests {
  private static let windows = 11
  private static let (time, channels) = (40, 4)

  private static func network() throws -> Network {
    try .semgNet(time: time, channels: channels, classes: 3, width: 4)
  }

  /// Windows that overlap, named from the last to the first.
  private static let dataset = Dataset(
    samples: SeededValues.uniform(name: "windows", count: (windows - 1) * 7 * channels)
      + SeededValues.uniform(name: "end", count: time * channels),
    channels: channels, windowStarts: (0..<Int32(windows)).map { 7 * $0 },
    labels: (0..<Int32(windows)).map { $0 % 3 })

  private static func batch(_ windows: some Sequence<Int32>) -> [Float] {
    windows.flatMap { window in
      let start = Int(dataset.windowStarts[Int(window)]) * channels
      return dataset.samples[start..<start + time * channels]
    }
  }

  private func loaded(
    on device: any Device, _ options: LoadedNetwork.Options
  ) throws -> LoadedNetwork {
    let network = try LoadedNetwork(try Self.network(), on: device, options: options)
    try network.write(NetworkWeights(initializing: network.network, seed: 5))
    return network
  }

  /// By windows of a dataset that are gathered there, and by a batch that has no labels: the same bits.
  @Test(arguments: [true, false])
  func aBatchIsAnsweredAsWindowsOfADatasetAre(isReference: Bool) throws {
    let device: any Device = isReference ? ReferenceDevice() : CPUDevice(threads: 2)
    let order = (0..<Int32(Self.windows)).reversed()
    let evaluated = try loaded(
      on: device, .evaluation(windows: Self.windows, batchSize: 4))
    try evaluated.upload(Self.dataset)
    let expected = try evaluated.probabilities(of: Array(order))
    #expect(expected.count == 3 * Self.windows && Set(expected).count > 20)
    let predicted = try loaded(
      on: device, .prediction(windows: Self.windows, batchSize: 4))
    var found: [Float] = []
    for first in stride(from: 0, to: Self.windows, by: 4) {
      found += try predicted.predict(Self.batch(order.dropFirst(first).prefix(4)))
    }
    #expect(found == expected)
    #expect(predicted.dataset == nil)
  }

  /// Another choice of windows, and other data under the same choice.
  @Test func eachQuestionIsAnsweredOfTheWindowsThatAreThere() throws {
    let network = try loaded(
      on: CPUDevice(threads: 1), .evaluation(windows: Self.windows, batchSize: 4))
    try network.upload(Self.dataset)
    let first = try network.probabilities(of: [0, 1, 2])
    #expect(try network.probabilities(of: [2, 1, 0]).suffix(3) == first.prefix(3))
    #expect(try network.probabilities(of: []) == [])
    #expect(try network.probabilities(of: [0, 1, 2]) == first)
    var other = Self.dataset
    other.samples = other.samples.map { -$0 }
    try network.upload(other)
    #expect(try network.probabilities(of: [0, 1, 2]) != first)
    let results = try network.validate([3, 4, 5, 6, 7])
    #expect(results.count == 2 && results.allSatisfy { $0.loss.isFinite && $0.hits <= 4 })
  }

  @Test func whatIsWrittenIsWhatTheStateSays() throws {
    let network = try loaded(
      on: CPUDevice(threads: 1), .training(samples: 4, batchSize: 4, seed: 1))
    let weights = NetworkWeights(initializing: network.network, seed: 9)
    let trainable = network.network.weights.filter(\.isTrainable)
    func moments(_ name: String) -> [[Float]] {
      trainable.map { SeededValues.uniform(name: name + $0.name, count: $0.elementCount) }
    }
    let state = OptimizerState(
      iterations: 3, firstMoments: moments("m"), secondMoments: moments("v"))
    try network.write(weights)
    try network.write(state)
    #expect(try network.weights() == weights)
    #expect(try network.optimizer(iterations: 3) == state)
  }

  /// A device that loses a bit of what is written says so before it answers.
  @Test func aBatchThatComesBackOtherwiseIsNoticed() throws {
    let network = try loaded(
      on: SpoilingDevice(), .prediction(windows: 4, batchSize: 4))
    let error = #expect(throws: DeviceError.self) { try network.predict(Self.batch(0..<4)) }
    guard case .computesWrongly(let device, let what)? = error else {
      Issue.record("unexpected error \(String(describing: error))")
      return
    }
    #expect(device == "spoiling" && what.contains("sample 7 of 640"), "\(what)")
  }

  @Test func memoryIsThatOfWhatIsLoaded() throws {
    let network = try Self.network()
    let device = CPUDevice(threads: 1)
    func bytes(_ options: LoadedNetwork.Options) throws -> Int {
      try LoadedNetwork.layout(of: network, on: device, options: options).byteCount
    }
    let few = try bytes(.evaluation(windows: 3, batchSize: 128))
    #expect(try bytes(.evaluation(windows: 128, batchSize: 128)) > few)
    #expect(
      try bytes(.evaluation(windows: 1_000, batchSize: 128))
        == bytes(.evaluation(windows: 128, batchSize: 128)))
    #expect(try bytes(.training(samples: 3, batchSize: 128, seed: 1)) > few)
  }
}

/// The CPU backend, with one wrong bit in what is read of a batch.
private struct SpoilingDevice: Device {
  let name = "spoiling"
  let precision = Precision.fp32
  private let base = CPUDevice(threads: 1)

  func load(_ plan: Plan, options: LoadOptions) throws(DeviceError) -> any LoadedPlan {
    SpoilingPlan(try base.load(plan, options: options))
  }
}

private final class SpoilingPlan: ForwardingPlan {
  override func read(_ tensor: TensorID) throws(DeviceError) -> [Float] {
    var values = try super.read(tensor)
    if plan[tensor].name == "predict/batch" {
      values[7] = Float(bitPattern: values[7].bitPattern ^ 1)
    }
    return values
  }
}
