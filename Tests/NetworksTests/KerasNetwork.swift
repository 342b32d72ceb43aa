import Compute
import ComputeCases
import Foundation
import Networks
import TestSupport

/// One network as Keras computed it, from `Fixtures/keras_networks.json`; what is recorded is said in
/// the generator beside it.
struct KerasNetwork: Decodable, Sendable, CustomStringConvertible {
  let name: String
  let kind: String
  let settings: [String: Int]
  let padding: String
  /// Scale and offset of each weight.
  let fills: [String: [Double]]
  let rates: [Double]
  /// Live samples of each training step; the first one's is the capacity.
  let live: [Int]
  let expected: [String: TensorDigest]
  /// Weights whose gradient is zero by algebra.
  let withoutGradient: Set<String>

  var description: String { name }
  var isSmall: Bool { name.contains(" small ") }

  static let all: [KerasNetwork] = {
    struct Document: Decodable { var cases: [KerasNetwork] }
    let path = SharedData.packageRoot.appending(
      path: "Tests/NetworksTests/Fixtures/keras_networks.json")
    do {
      return try JSONDecoder().decode(Document.self, from: Data(contentsOf: path)).cases
    } catch {
      preconditionFailure("cannot read \(path.path): \(error)")
    }
  }()

  enum CodingKeys: String, CodingKey {
    case name, kind, settings, padding, fills, rates, live, expected
    case withoutGradient = "without_gradient"
  }

  func network() throws -> Network {
    func setting(_ key: String) -> Int { settings[key] ?? 0 }
    switch kind {
    case "semg-net":
      return try .semgNet(
        time: setting("time"), channels: setting("channels"), width: setting("width"))
    case "inception-se":
      return try .inceptionSE(
        time: setting("time"), channels: setting("channels"),
        padding: Padding(rawValue: padding) ?? .same,
        width: setting("width"), heads: setting("heads"), keySize: setting("key_size"),
        denseUnits: setting("dense"))
    case "pooled": return try pooled()
    case "branched": return try branched()
    case "attended": return try attended()
    default: throw FixtureError.missing(name: name, key: kind)
    }
  }

  // MARK: Networks as somebody may draw them in Keras

  private static let l2: Float = 1e-4

  private func input(_ net: inout NetworkBuilder) -> NetworkBuilder.Node {
    net.append(Layers.Input(time: settings["time"] ?? 0, channels: settings["channels"] ?? 0))
  }

  private func convolution(
    _ filters: Int, _ kernelSize: Int, dilation: Int = 1, padding: Padding = .same,
    l2: Float = Self.l2
  ) -> Layers.Conv1D {
    Layers.Conv1D(
      filters: filters, kernelSize: kernelSize, dilation: dilation, padding: padding, l2: l2)
  }

  private func normalized(
    _ net: inout NetworkBuilder, _ x: NetworkBuilder.Node
  ) -> NetworkBuilder.Node {
    net.append(Layers.BatchNormalization(momentum: 0.99, epsilon: 1e-3), x)
  }

  private func finished(
    _ net: inout NetworkBuilder, _ x: NetworkBuilder.Node
  ) throws -> Network {
    _ = net.append(Layers.Dense(units: 5, activation: .softmax, l2: 0), x)
    return try net.build(name: kind)
  }

  private func pooled() throws -> Network {
    let width = settings["width"] ?? 0
    var net = NetworkBuilder()
    var x = net.append(convolution(width, 5), input(&net))
    x = net.append(Layers.ReLU(), normalized(&net, x))
    x = net.append(Layers.AveragePooling1D(size: 2), x)
    x = net.append(Layers.ReLU(), net.append(convolution(2 * width, 3), x))
    x = net.append(Layers.AveragePooling1D(size: 3), x)
    x = net.append(Layers.GlobalAveragePooling1D(), x)
    return try finished(&net, x)
  }

  private func branched() throws -> Network {
    let width = settings["width"] ?? 0
    var net = NetworkBuilder()
    let start = input(&net)
    var branches: [NetworkBuilder.Node] = []
    for (kernelSize, dilation, l2) in [
      (3, 1, Self.l2), (2, 3, 30 * Self.l2), (5, 4, 0.5 * Self.l2),
    ] {
      let layer = convolution(
        width, kernelSize, dilation: dilation, padding: Padding(rawValue: padding) ?? .same,
        l2: l2)
      let y = net.append(layer, start)
      branches.append(net.append(Layers.ReLU(), y))
    }
    var x = net.append(Layers.Concatenate(), branches[0], branches[1], branches[2])
    x = normalized(&net, x)
    x = net.append(Layers.MaxPooling1D(size: 2), x)
    x = net.append(Layers.GlobalAveragePooling1D(), x)
    x = net.append(Layers.Dense(units: width, activation: .relu, l2: Self.l2), x)
    return try finished(&net, x)
  }

  private func attended() throws -> Network {
    var net = NetworkBuilder()
    var x = net.append(convolution(settings["width"] ?? 0, 3), input(&net))
    x = net.append(Layers.ReLU(), x)
    x = net.append(Layers.AveragePooling1D(size: 2), x)
    var y = net.append(Layers.LayerNormalization(epsilon: 1e-6), x)
    y = net.append(
      Layers.MultiHeadAttention(
        heads: settings["heads"] ?? 0, keySize: settings["key_size"] ?? 0, dropout: 0), y)
    x = net.append(Layers.Add(), x, y)
    x = net.append(Layers.GlobalAveragePooling1D(), x)
    return try finished(&net, x)
  }

  func weights(of network: Network) -> [[Double]] {
    network.weights.map { weight in
      let fill = fills[weight.name] ?? [.nan, .nan]
      return SeededValues.uniform(name: "\(name)/\(weight.name)", count: weight.elementCount)
        .map { Double(Float(fill[1] + fill[0] * Double($0))) }
    }
  }

  /// Twelve windows one after another, none overlapping.
  var dataset: Dataset {
    let (time, channels) = (settings["time"] ?? 0, settings["channels"] ?? 0)
    let samples = SeededValues.uniform(name: "\(name)/windows", count: 12 * time * channels)
    return Dataset(
      samples: samples.map { 2 * $0 }, channels: channels,
      windowStarts: (0..<12).map { Int32($0 * time) },
      labels: SeededValues.labels(name: "\(name)/labels", count: 12, classes: 5).map(Int32.init))
  }

  /// Sample b of step s is window 3s + b, mixed with the next one where 3s + b is even.
  var entries: [SampleEntry] {
    (0..<9).map { window in
      window % 2 == 0
        ? SampleEntry(window: window, partner: window + 1, lambda: 0.25, view: .mixed)
        : SampleEntry(window: window)
    }
  }
}

/// How far a device may be from Keras in float64.
struct NetworkTolerance: Sendable {
  /// Of predictions and other probabilities, absolute.
  var prediction: Double
  /// Of each gradient, relative to its norm.
  var gradient: Double
  /// Largest element of a gradient that is zero by algebra.
  var zeroGradient: Double
  /// Of the moving statistics, relative to their norm.
  var statistic: Double
  /// Of each weight's change over three steps, relative to its norm.
  var change: Double
  /// Relative; results are kept in single precision.
  var result = 2e-6

  static let double = NetworkTolerance(
    prediction: 1e-11, gradient: 1e-10, zeroGradient: 1e-12, statistic: 1e-11, change: 1e-8)
  static let single = NetworkTolerance(
    prediction: 1e-5, gradient: 1e-4, zeroGradient: 1e-6, statistic: 1e-5, change: 1e-3)
}

/// A network's programs on a device beside what Keras recorded.
struct KerasNetworkRun {
  let subject: KerasNetwork
  let tolerance: NetworkTolerance
  let built: NetworkPlan
  let loaded: any LoadedPlan
  private var differences: [String] = []

  init(
    _ subject: KerasNetwork, on device: any Device, fuses: Bool, tolerance: NetworkTolerance
  ) throws {
    self.subject = subject
    self.tolerance = tolerance
    built = NetworkPlan(
      try subject.network(),
      options: NetworkPlanOptions(
        batchCapacity: 3, inferenceCapacity: 4, classWeights: [1, 1.5, 1.5, 1, 1],
        regularizes: false))
    loaded = try device.load(
      built.plan,
      options: LoadOptions(
        liveBatches: [.forwardBackward: [3, 2], .validate: [3], .predict: [3]], fuses: fuses))
  }

  /// A sentence for everything that differs.
  mutating func run() throws -> [String] {
    let initial = subject.weights(of: built.network)
    for (id, values) in zip(built.weights, initial) { try loaded.write(values, to: id) }
    let dataset = try loaded.upload(subject.dataset)
    try predict()
    try validate(dataset)
    try train(dataset)
    for (index, weight) in built.network.weights.enumerated()
    where weight.isTrainable && !subject.withoutGradient.contains(weight.name) {
      let change = zip(try loaded.readDoubles(built.weights[index]), initial[index]).map { $0 - $1 }
      compare("change/\(weight.name)", change, relative: tolerance.change)
    }
    return differences
  }

  private mutating func predict() throws {
    let count = 3 * built.network.input.time * built.network.input.channels
    try loaded.write(
      Array(subject.dataset.samples.prefix(count)), to: built.prediction.batch)
    try loaded.run(.predict, step: 0, live: 3)
    let found = try loaded.readDoubles(built.prediction.probabilities)
    compare("predictions", Array(found.prefix(15)), absolute: tolerance.prediction)
  }

  private mutating func validate(_ dataset: DatasetID) throws {
    let entries = (0..<3).map { SampleEntry(window: $0) }
    try loaded.upload(EpochTable(dataset: dataset, samples: entries), for: .validate)
    try loaded.run(.validate, step: 0, live: 3)
    compare(
      "validation", try loaded.results(of: .validate, steps: 0..<1).flatMap(\.figures),
      relative: tolerance.result)
  }

  private mutating func train(_ dataset: DatasetID) throws {
    try loaded.upload(
      EpochTable(
        dataset: dataset, samples: subject.entries, learningRates: subject.rates.map(Float.init)),
      for: .forwardBackward)
    for (step, live) in subject.live.enumerated() {
      try loaded.run(.forwardBackward, step: step, live: live)
      if step == 0 { try compareFirstStep() }
      try loaded.run(.update, step: step, live: live)
    }
    let steps = subject.live.indices
    compare(
      "results", try loaded.results(of: .forwardBackward, steps: steps).flatMap(\.figures),
      relative: tolerance.result)
  }

  private mutating func compareFirstStep() throws {
    let found = try loaded.readDoubles(built.training.probabilities)
    compare("probabilities", Array(found.prefix(15)), absolute: tolerance.prediction)
    let trainable = built.network.weights.filter(\.isTrainable)
    for (weight, id) in zip(trainable, built.gradients) {
      let gradient = try loaded.readDoubles(id)
      guard subject.withoutGradient.contains(weight.name) else {
        compare("gradient/\(weight.name)", gradient, relative: tolerance.gradient)
        continue
      }
      let largest = gradient.reduce(0) { max($0, abs($1)) }
      if !(largest <= tolerance.zeroGradient) {
        differences.append("gradient/\(weight.name): \(largest) instead of zero")
      }
    }
    for (index, weight) in built.network.weights.enumerated() where !weight.isTrainable {
      compare(
        weight.name, try loaded.readDoubles(built.weights[index]), relative: tolerance.statistic)
    }
  }

  private mutating func compare(
    _ name: String, _ found: [Double], relative: Double = 0, absolute: Double = 0
  ) {
    guard let digest = subject.expected[name] else {
      differences.append("\(name): not in the fixture")
      return
    }
    let error = digest.error(of: found)
    let bound = relative * digest.expectedNorm + absolute
    if !(error <= bound) { differences.append("\(name): error \(error), bound \(bound)") }
  }
}

extension StepResult {
  fileprivate var figures: [Double] { [Double(loss), Double(penalty), Double(hits)] }
}
