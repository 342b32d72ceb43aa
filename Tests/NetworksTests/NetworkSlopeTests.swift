import Compute
import ComputeCases
import ComputeReference
import Networks
import Testing

/// Gradients of whole networks against slopes of the loss, with noise and dropout on, which Keras
/// cannot draw as we do: along one random direction a weight, central differences.
@Suite struct NetworkSlopeTests {
  @Test(arguments: KerasNetwork.all.filter(\.isSmall))
  func gradientsAreTheSlopesOfTheLossUnderDropout(subject: KerasNetwork) throws {
    let built = NetworkPlan(
      try subject.network(),
      options: NetworkPlanOptions(
        batchCapacity: 3, inferenceCapacity: 3, classWeights: [1, 1.5, 1.5, 1, 1]))
    let loaded = try #require(
      try ReferenceDevice().load(built.plan, options: LoadOptions()) as? ReferencePlan)
    let initial = subject.weights(of: built.network)
    for (id, values) in zip(built.weights, initial) { try loaded.write(values, to: id) }
    let dataset = try loaded.upload(subject.dataset)
    try loaded.upload(
      EpochTable(dataset: dataset, samples: subject.entries), for: .forwardBackward)
    func loss() throws -> Double {
      try loaded.run(.forwardBackward, step: 1, live: 2)
      return try loaded.preciseResults(of: .forwardBackward, steps: 1..<2)[0].loss
    }
    _ = try loss()
    let gradients = try built.gradients.map { try loaded.readDoubles($0) }
    let trainable = built.network.weights.indices.filter { built.network.weights[$0].isTrainable }
    for (index, gradient) in zip(trainable, gradients) {
      let (name, start) = (built.network.weights[index].name, initial[index])
      var direction = SeededValues.uniform(name: name, count: start.count).map(Double.init)
      let length = direction.reduce(0) { $0 + $1 * $1 }.squareRoot()
      direction = direction.map { $0 / length }
      func moved(by h: Double) throws -> Double {
        try loaded.write(zip(start, direction).map { $0 + h * $1 }, to: built.weights[index])
        return try loss()
      }
      let h = 1e-6
      let slope = (try moved(by: h) - moved(by: -h)) / (2 * h)
      try loaded.write(start, to: built.weights[index])
      let expected = zip(gradient, direction).reduce(0) { $0 + $1.0 * $1.1 }
      let norm = gradient.reduce(0) { $0 + $1 * $1 }.squareRoot()
      #expect(
        abs(slope - expected) <= 1e-6 * norm + 1e-8,
        "\(name): slope \(slope), gradient along the direction \(expected), norm \(norm)")
    }
  }
}
