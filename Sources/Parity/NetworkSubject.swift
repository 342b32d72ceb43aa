import Compute
import ComputeCases
import Networks
import Training

/// A network's plan with weights, a dataset and a table of two steps in all three views: ready to
/// run on any device. Here a device meets the neighbourhoods of operations that it fuses.
struct NetworkSubject {
  let label: String
  let network: Network
  let capacity: Int
  let live: Int
  private let weights: NetworkWeights
  private let dataset: Dataset
  private let samples: [SampleEntry]

  /// - Parameter live: samples of the step that is run; below the capacity the batch is partial.
  init(_ label: String, _ network: Network, capacity: Int, live: Int) {
    self.label = label
    self.network = network
    self.capacity = capacity
    self.live = live
    let initial = NetworkWeights(initializing: network, seed: 3)
    weights = NetworkWeights(
      values: initial.values.enumerated().map { index, values in
        // Biases and scales off their zeros and ones.
        let shift = SeededValues.uniform(name: "\(label)/\(index)", count: values.count)
        return zip(values, shift).map { $0 + 0.1 * abs($1) }
      })
    let (time, channels) = network.input
    let windows = 3 * capacity
    dataset = Dataset(
      samples: SeededValues.uniform(name: label, count: (time + windows) * channels),
      channels: channels, windowStarts: (0..<Int32(windows)).map { $0 },
      labels: (0..<Int32(windows)).map { $0 % Int32(network.classes) })
    samples = (0..<2 * capacity).map { index in
      let window = Int32(index * 5 % windows)
      return switch index % 3 {
      case 0: SampleEntry(window: window)
      case 1: SampleEntry(window: window, maskedChannel: Int16(1 % channels), view: .masked)
      default:
        SampleEntry(
          window: window, partner: Int32(index * 7 % windows), lambda: 0.3, view: .mixed)
      }
    }
  }

  /// A comparison of each program that trains or validates.
  func subjects(reference: any Device) -> [ParitySubject] {
    let (time, channels) = network.input
    return [ProgramID.forwardBackward, .update, .validate].map { program in
      ParitySubject(
        name: "\(label) \(program.title)",
        shape: "T \(time), C \(channels), \(network.classes) classes, \(live)/\(capacity)",
        program: program, step: 1, live: live, reference: reference
      ) { device, fuses in
        try load(program, on: device, fuses: fuses)
      }
    }
  }

  private func load(
    _ program: ProgramID, on device: any Device, fuses: Bool
  ) throws(DeviceError) -> any LoadedPlan {
    let loaded = try LoadedNetwork(
      network, on: device,
      options: LoadedNetwork.Options(
        plan: NetworkPlanOptions(
          batchCapacity: capacity, inferenceCapacity: capacity,
          classWeights: (0..<network.classes).map { 1 + 0.5 * Float($0 % 2) }),
        load: LoadOptions(
          programs: [program], liveBatches: [program: [live]], fuses: fuses,
          keepsActivations: true)))
    try loaded.write(weights)
    let table = EpochTable(
      dataset: try loaded.upload(dataset), samples: samples, learningRates: [1e-3, 2e-3],
      firstIteration: 7, augmentationEpoch: 2)
    try loaded.loaded.upload(table, for: program)
    return loaded.loaded
  }

  /// Both networks, small and with odd sizes, both paddings: quick in plain loops.
  static func small() throws(NetworkError) -> [NetworkSubject] {
    [
      NetworkSubject(
        "small inception-se causal",
        try .inceptionSE(
          time: 29, channels: 5, classes: 4, padding: .causal, width: 5, heads: 2, keySize: 6,
          denseUnits: 7), capacity: 4, live: 3),
      NetworkSubject(
        "small inception-se same",
        try .inceptionSE(
          time: 33, channels: 8, classes: 5, padding: .same, width: 8, heads: 2, keySize: 16,
          denseUnits: 16), capacity: 4, live: 3),
      NetworkSubject(
        "small semg-net", try .semgNet(time: 45, channels: 3, classes: 4, width: 5), capacity: 4,
        live: 3),
    ]
  }

  /// Both networks as they are trained, a partial batch.
  static func published(batchSize: Int) throws(NetworkError) -> [NetworkSubject] {
    let live = max(1, batchSize - max(1, batchSize / 4))
    return [
      NetworkSubject(
        "inception-se causal", try .inceptionSE(padding: .causal), capacity: batchSize, live: live),
      NetworkSubject(
        "inception-se same", try .inceptionSE(padding: .same), capacity: batchSize, live: live),
      NetworkSubject("semg-net", try .semgNet(), capacity: batchSize, live: live),
    ]
  }
}

extension ProgramID {
  /// In reports.
  fileprivate var title: String {
    switch self {
    case .forwardBackward: "forward and backward"
    case .update: "update"
    case .validate: "validation"
    case .predict: "prediction"
    }
  }
}
