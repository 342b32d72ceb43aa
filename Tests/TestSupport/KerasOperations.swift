import Compute
import ComputeCases
import Foundation

/// How far a device may be from Keras in float64.
public struct KerasTolerance: Sendable {
  /// Of a forward result, relative to its norm.
  public var forward: Double
  /// Of a gradient, relative to its norm.
  public var gradient: Double
  /// Largest element of a gradient that is zero by algebra, at inputs and weights of about one.
  public var zeroGradient: Double
  /// Of weights and moments after Adam's steps on given gradients, relative to their norm.
  public var adam: Double

  public init(forward: Double, gradient: Double, zeroGradient: Double, adam: Double) {
    self.forward = forward
    self.gradient = gradient
    self.zeroGradient = zeroGradient
    self.adam = adam
  }

  /// For a device that stores doubles: nothing but the order of sums differs.
  public static let double = KerasTolerance(
    forward: 1e-12, gradient: 1e-11, zeroGradient: 1e-12, adam: 1e-12)
  /// For a device that computes in single precision.
  public static let single = KerasTolerance(
    forward: 1e-5, gradient: 1e-4, zeroGradient: 1e-6, adam: 1e-6)
}

/// One operation as Keras computed it, from `Tests/ComputeTests/Fixtures/keras_operations.json`.
public struct KerasOperation: Decodable, Sendable, CustomStringConvertible {
  public let name: String
  let kind: String
  let live: Int
  let capacity: Int
  let numbers: [String: Double]
  let padding: String?
  let lists: [[Int]]?
  /// Scale and offset of each drawn tensor.
  let inputs: [String: [Double]]
  let expected: [String: TensorDigest]
  /// Learning rates of Adam's steps.
  let rates: [Double]?

  public var description: String { name }

  public static let all: [KerasOperation] = {
    struct Document: Decodable { var cases: [KerasOperation] }
    let path = SharedData.packageRoot.appending(
      path: "Tests/ComputeTests/Fixtures/keras_operations.json")
    do {
      return try JSONDecoder().decode(Document.self, from: Data(contentsOf: path)).cases
    } catch {
      preconditionFailure("cannot read \(path.path): \(error)")
    }
  }()

  /// Runs the operation on a device; a sentence for each tensor that differs from Keras's.
  ///
  /// - Parameter fuses: lets the device cover several operations by one launch.
  public func differences(
    on device: any Device, fuses: Bool = false, tolerance: KerasTolerance
  ) throws -> [String] {
    let subject = try operationCase()
    let loaded = try subject.load(on: device, fuses: fuses)
    for (id, values) in drawnInputs(of: subject) { try loaded.write(values, to: id) }
    if kind == "adam" {
      try runAdam(loaded, subject)
    } else {
      try loaded.run(subject.program, step: subject.step, live: live)
    }
    var sentences: [String] = []
    for (tensor, digest) in expected.sorted(by: { $0.key < $1.key }) where tensor != "targets" {
      if tensor == "result" {
        let steps = subject.step..<subject.step + 1
        let result = try loaded.results(of: subject.program, steps: steps)[0]
        sentences += differences(of: result, from: digest, tolerance)
        continue
      }
      guard let id = subject.plan.tensor(named: tensor) else {
        sentences.append("\(name): no tensor \(tensor)")
        continue
      }
      let count = subject.plan[id].elementCount(live: live)
      let found = Array(try loaded.readDoubles(id).prefix(count))
      let isZero = isZeroGradient(tensor, digest)
      let error = isZero ? largest(of: found) : digest.error(of: found)
      let bound = bound(of: tensor, digest, tolerance)
      if !(error <= bound) { sentences.append("\(name)/\(tensor): error \(error), bound \(bound)") }
    }
    return sentences
  }

  private func bound(
    of tensor: String, _ digest: TensorDigest, _ tolerance: KerasTolerance
  ) -> Double {
    let norm = digest.expectedNorm
    if kind == "adam" { return tolerance.adam * norm }
    guard tensor.hasSuffix("_gradient") else { return tolerance.forward * norm }
    return isZeroGradient(tensor, digest) ? tolerance.zeroGradient : tolerance.gradient * norm
  }

  /// Whether Keras finds no more than what its own rounding leaves of zero.
  private func isZeroGradient(_ tensor: String, _ digest: TensorDigest) -> Bool {
    guard kind != "adam", tensor.hasSuffix("_gradient") else { return false }
    return digest.expectedNorm <= 1e-12 * Double(digest.elementCount).squareRoot()
  }

  /// NaN where any element is.
  private func largest(of values: [Double]) -> Double {
    values.contains(where: \.isNaN) ? .nan : values.map(abs).max() ?? 0
  }

  /// Loss, penalty and hits have sizes of their own: one norm over all would hide the smaller.
  private func differences(
    of result: StepResult, from digest: TensorDigest, _ tolerance: KerasTolerance
  ) -> [String] {
    let found = [Double(result.loss), Double(result.penalty), Double(result.hits)]
    guard let expected = digest.values, expected.count == found.count else {
      return ["\(name)/result: not three values"]
    }
    // A result is kept in single precision on every device.
    let relative = [max(tolerance.forward, 1e-6), max(tolerance.forward, 1e-6), 0]
    let parts = ["loss", "penalty", "hits"]
    return parts.indices.compactMap { index in
      let error = abs(found[index] - expected[index])
      let bound = relative[index] * abs(expected[index])
      return error <= bound ? nil : "\(name)/\(parts[index]): error \(error), bound \(bound)"
    }
  }

  // MARK: Inputs

  private func number(_ key: String) throws -> Int {
    guard let value = numbers[key] else { throw FixtureError.missing(name: name, key: key) }
    return Int(value)
  }

  private func operationCase() throws -> OperationCase {
    switch kind {
    case "conv1d":
      let shape = Conv1DShape(
        time: try number("time"), inputChannels: try number("inputs"),
        outputChannels: try number("outputs"), taps: try number("taps"),
        dilation: try number("dilation"), padding: Padding(rawValue: padding ?? "") ?? .same)
      return .conv1D(shape, capacity: capacity, live: live)
    case "dense":
      let shape = DenseShape(
        rowsPerSample: try number("rows"), inputs: try number("inputs"),
        outputs: try number("outputs"))
      return .dense(shape, capacity: capacity, live: live)
    case "relu":
      return .relu(elements: try number("elements"), capacity: capacity, live: live)
    case "sigmoid":
      return .sigmoid(elements: try number("elements"), capacity: capacity, live: live)
    case "add":
      return .add(
        elements: try number("elements"), count: try number("count"), capacity: capacity,
        live: live)
    case "softmax":
      return .softmax(classes: try number("classes"), capacity: capacity, live: live)
    case "cross_entropy":
      return .crossEntropy(
        classes: try number("classes"), smoothing: Float(numbers["smoothing"] ?? 0),
        capacity: capacity, live: live)
    case "adam":
      return .adam(
        shapes: lists ?? [], decayed: try number("decayed"), iteration: try number("iteration"))
    default:
      return try sequenceCase()
    }
  }

  private func sequenceCase() throws -> OperationCase {
    let time = try number("time")
    if kind == "concatenate" {
      return .concatenate(
        time: time, channels: lists?.first ?? [], capacity: capacity, live: live)
    }
    let channels = try number("channels")
    switch kind {
    case "batch_norm":
      return .batchNorm(time: time, channels: channels, capacity: capacity, live: live)
    case "batch_norm_inference":
      return .batchNormInference(time: time, channels: channels, capacity: capacity, live: live)
    case "layer_norm":
      return .layerNorm(time: time, channels: channels, capacity: capacity, live: live)
    case "scale_channels":
      return .scaleChannels(time: time, channels: channels, capacity: capacity, live: live)
    case "mean_over_time":
      return .meanOverTime(time: time, channels: channels, capacity: capacity, live: live)
    case "max_pool":
      return .maxPool(
        PoolShape(time: time, channels: channels, size: try number("size")), capacity: capacity,
        live: live)
    case "average_pool":
      return .averagePool(
        PoolShape(time: time, channels: channels, size: try number("size")), capacity: capacity,
        live: live)
    case "attention":
      let shape = AttentionShape(
        time: time, channels: channels, heads: try number("heads"),
        keySize: try number("key_size"), outputChannels: channels, dropoutRate: 0, stream: 0)
      return .attention(
        shape, capacity: capacity, live: live, averages: try number("averages") == 1)
    default:
      throw FixtureError.missing(name: name, key: kind)
    }
  }

  /// offset + scale·u, NaN beyond the live samples.
  private func drawn(_ tensor: String, _ fill: [Double], count: Int, total: Int) -> [Double] {
    let values = SeededValues.uniform(name: "\(name)/\(tensor)", count: count)
      .map { Double(Float(fill[1] + fill[0] * Double($0))) }
    return values + Array(repeating: .nan, count: total - count)
  }

  private func drawnInputs(of subject: OperationCase) -> [(TensorID, [Double])] {
    var result: [(TensorID, [Double])] = []
    for (tensor, fill) in inputs {
      guard let id = subject.plan.tensor(named: tensor) else { continue }
      let spec = subject.plan[id]
      result.append(
        (id, drawn(tensor, fill, count: spec.elementCount(live: live), total: spec.elementCount)))
    }
    // Targets are drawn as classes, which the generator records with its results.
    if let id = subject.plan.tensor(named: "targets"), let values = expected["targets"]?.values {
      result.append((id, values))
    }
    return result
  }

  /// Several steps on gradients drawn for each.
  private func runAdam(_ loaded: any LoadedPlan, _ subject: OperationCase) throws {
    let rates = rates ?? []
    let dataset = try loaded.upload(
      Dataset(samples: [0], channels: 1, windowStarts: [0], labels: [0]))
    try loaded.upload(
      EpochTable(
        dataset: dataset, samples: rates.map { _ in SampleEntry(window: 0) },
        learningRates: rates.map(Float.init), firstIteration: try number("iteration")),
      for: .update)
    for step in rates.indices {
      for index in (lists ?? []).indices {
        let drawing = "gradient_\(index)/\(step)"
        guard let id = subject.plan.tensor(named: "gradient_\(index)"), let fill = inputs[drawing]
        else { throw FixtureError.missing(name: name, key: drawing) }
        let count = subject.plan[id].elementCount
        try loaded.write(drawn(drawing, fill, count: count, total: count), to: id)
      }
      try loaded.run(.update, step: step, live: 1)
    }
  }
}

/// A fixture that does not hold what it should.
public enum FixtureError: Error, CustomStringConvertible {
  case missing(name: String, key: String)

  public var description: String {
    switch self {
    case .missing(let name, let key): "fixture \(name) has no \(key)"
    }
  }
}
