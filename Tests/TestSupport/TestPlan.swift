import Compute
import ComputeCases
import Networks

/// A network's plan with weights, a dataset and tables of a few steps: ready to run on any device.
public struct TestPlan {
  public let plan: NetworkPlan
  public let weights: NetworkWeights
  public let capacity: Int

  public init(_ network: Network, capacity: Int, regularizes: Bool = true) {
    self.capacity = capacity
    plan = NetworkPlan(
      network,
      options: NetworkPlanOptions(
        batchCapacity: capacity, inferenceCapacity: capacity,
        classWeights: (0..<network.classes).map { 1 + 0.5 * Float($0 % 2) },
        regularizes: regularizes))
    weights = NetworkWeights(initializing: network, seed: 3)
  }

  public func load(
    _ device: any Device, programs: [ProgramID], fuses: Bool, keepsActivations: Bool = true,
    steps: Int = 2
  ) throws -> any LoadedPlan {
    let network = try LoadedNetwork(
      plan.network, on: device,
      options: LoadedNetwork.Options(
        plan: plan.options,
        load: LoadOptions(programs: programs, fuses: fuses, keepsActivations: keepsActivations)))
    try network.write(
      NetworkWeights(
        values: zip(plan.weights, weights.values).map { id, values in
          // Biases and scales off their zeros and ones.
          let shift = SeededValues.uniform(name: "\(id)", count: values.count)
          return zip(values, shift).map { $0 + 0.1 * abs($1) }
        }))
    let (time, channels) = plan.network.input
    let windows = 3 * capacity
    let dataset = Dataset(
      samples: SeededValues.uniform(name: "samples", count: (time + windows) * channels),
      channels: channels, windowStarts: (0..<Int32(windows)).map { $0 },
      labels: (0..<Int32(windows)).map { $0 % Int32(plan.network.classes) })
    let table = EpochTable(
      dataset: try network.upload(dataset),
      samples: (0..<steps * capacity).map { entry(of: $0, windows: windows) },
      learningRates: (0..<steps).map { 1e-3 * Float(1 + $0 % 2) }, firstIteration: 7,
      augmentationEpoch: 2)
    for program in programs where program != .predict {
      try network.loaded.upload(table, for: program)
    }
    return network.loaded
  }

  private func entry(of index: Int, windows: Int) -> SampleEntry {
    let window = Int32(index * 5 % windows)
    switch index % 3 {
    case 0: return SampleEntry(window: window)
    case 1: return SampleEntry(window: window, maskedChannel: 1, view: .masked)
    default:
      return SampleEntry(
        window: window, partner: Int32(index * 7 % windows), lambda: 0.3, view: .mixed)
    }
  }
}
