import Compute
import ComputeCases
import ComputeReference
import Testing

/// The reference's backward operations against its forward ones: along one random direction a
/// tensor, central differences in double precision of Σ output·gradient, or of the loss.
@Suite struct FiniteDifferenceTests {
  @Test(arguments: OperationCase.awkward.filter(\.isDifferentiable))
  func gradientsAreTheSlopesOfTheObjective(of subject: OperationCase) throws {
    let loaded = try #require(try subject.load(on: ReferenceDevice()) as? ReferencePlan)
    try loaded.run(subject.program, step: subject.step, live: subject.live)
    let gradients = try subject.inputs.map { try liveValues(loaded, $0.gradient, subject) }
    for (pair, gradient) in zip(subject.inputs, gradients) {
      let name = "\(subject.name)/\(subject.plan[pair.value].name)"
      let slope = try slope(of: subject, on: loaded, along: pair.value, name: name)
      let expected = zip(gradient, slope.direction).reduce(0) { $0 + $1.0 * $1.1 }
      let norm = gradient.reduce(0) { $0 + $1 * $1 }.squareRoot()
      #expect(
        abs(slope.value - expected) <= 1e-6 * norm + 1e-8,
        "\(name): slope \(slope.value), gradient along the direction \(expected)")
    }
  }

  /// The objective's slope along a unit direction over the live elements of a tensor.
  private func slope(
    of subject: OperationCase, on loaded: ReferencePlan, along tensor: TensorID, name: String
  ) throws -> (value: Double, direction: [Double]) {
    let start = try liveValues(loaded, tensor, subject)
    var direction = SeededValues.uniform(name: "\(name)/direction", count: start.count)
      .map(Double.init)
    let length = direction.reduce(0) { $0 + $1 * $1 }.squareRoot()
    direction = direction.map { $0 / length }
    func objective(_ h: Double) throws -> Double {
      try loaded.write(zip(start, direction).map { $0 + h * $1 }, to: tensor)
      try loaded.run(subject.program, step: subject.step, live: subject.live)
      if subject.outputs.isEmpty {
        let steps = subject.step..<subject.step + 1
        return try loaded.preciseResults(of: subject.program, steps: steps)[0].loss
      }
      return try subject.outputs.reduce(0) { sum, pair in
        let values = try liveValues(loaded, pair.value, subject)
        let weights = try liveValues(loaded, pair.gradient, subject)
        return zip(values, weights).reduce(sum) { $0 + $1.0 * $1.1 }
      }
    }
    let h = 1e-5
    let value = (try objective(h) - objective(-h)) / (2 * h)
    try loaded.write(start, to: tensor)
    return (value, direction)
  }

  private func liveValues(
    _ loaded: ReferencePlan, _ id: TensorID, _ subject: OperationCase
  ) throws -> [Double] {
    Array(
      try loaded.readDoubles(id).prefix(subject.plan[id].elementCount(live: subject.live)))
  }
}
