import Compute
import ComputeCases
import Networks

/// Runs whole steps of a network on a device, and takes all that they leave: for what must not
/// depend on how steps are cut into launches, on memory that is shared, on what lies beyond the live
/// samples, or on chance.
public struct StepRun {
  public static let programs: [ProgramID] = [.forwardBackward, .update, .validate, .predict]

  public var device: any Device
  public var fuses: Bool
  public var keepsActivations: Bool

  public init(on device: any Device, fuses: Bool = true, keepsActivations: Bool = false) {
    self.device = device
    self.fuses = fuses
    self.keepsActivations = keepsActivations
  }

  /// Small networks that have every operation of the published ones.
  public static func networks() throws -> [Network] {
    [
      try .inceptionSE(
        time: 40, channels: 4, classes: 3, padding: .causal, width: 8, heads: 2, keySize: 8,
        denseUnits: 16),
      try .semgNet(time: 40, channels: 4, classes: 3, width: 8),
    ]
  }

  /// Trains two steps, the second with `live` samples, and returns all that the run leaves: weights,
  /// moments, results of training and of a validation.
  ///
  /// - Parameter spoil: overwrites all that was computed of samples after each step.
  public func train(_ made: TestPlan, live: Int = 3, spoil: Float? = nil) throws -> [[Float]] {
    let loaded = try made.load(
      device, programs: Self.programs, fuses: fuses, keepsActivations: keepsActivations)
    for (step, live) in [(0, made.capacity), (1, live)] {
      if step > 0, let spoil { try Self.fill(loaded, with: spoil) }
      try loaded.run(.forwardBackward, step: step, live: live)
      try loaded.run(.update, step: step, live: live)
    }
    if let spoil { try Self.fill(loaded, with: spoil) }
    try loaded.run(.validate, step: 0, live: live)
    var result: [[Float]] = []
    for id in made.plan.weights + made.plan.firstMoments + made.plan.secondMoments {
      result.append(try loaded.read(id))
    }
    for program in [ProgramID.forwardBackward, .validate] {
      let steps = program == .validate ? 0..<1 : 0..<2
      result.append(
        try loaded.results(of: program, steps: steps).flatMap {
          [$0.loss, $0.penalty, Float($0.hits)]
        })
    }
    return result
  }

  /// Probabilities of the first `live` samples, the others spoilt.
  public func predict(_ made: TestPlan, live: Int, spoil: Float?) throws -> [Float] {
    let port = made.plan.prediction
    let samples = SeededValues.uniform(
      name: "batch", count: made.plan.plan[port.batch].elementCount(live: live))
    let loaded = try made.load(
      device, programs: Self.programs, fuses: fuses, keepsActivations: keepsActivations)
    try Self.fill(loaded, with: 0.5)
    try loaded.run(.predict, step: 0, live: made.capacity)
    if let spoil { try Self.fill(loaded, with: spoil) }
    try loaded.write(samples, to: port.batch)
    try loaded.run(.predict, step: 0, live: live)
    let count = made.plan.plan[port.probabilities].elementCount(live: live)
    return Array(try loaded.read(port.probabilities).prefix(count))
  }

  /// Overwrites all that has been computed of samples, where fused launches keep it at all; returns
  /// how many tensors that were.
  @discardableResult
  public static func fill(_ loaded: any LoadedPlan, with value: Float) throws -> Int {
    let launches = programs.flatMap { loaded.launches(of: $0) }
    let elided = Set(launches.flatMap(\.elided))
    var count = 0
    for id in loaded.plan.tensors(role: .activation) where !elided.contains(id) {
      let spec = loaded.plan[id]
      guard spec.hasBatchAxis, spec.elementType == .float32 else { continue }
      try loaded.write(Array(repeating: value, count: spec.elementCount), to: id)
      count += 1
    }
    return count
  }

  /// ‖a − b‖ / ‖b‖ over all tensors.
  public static func distance(_ a: [[Float]], _ b: [[Float]]) -> Double {
    let pairs = zip(a.joined(), b.joined())
    let error = pairs.reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
    let norm = b.joined().reduce(0.0) { $0 + Double($1) * Double($1) }
    return (error / norm).squareRoot()
  }

  public static func isFinite(_ values: [[Float]]) -> Bool {
    values.joined().allSatisfy { $0.isFinite }
  }
}
