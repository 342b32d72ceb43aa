import Compute
import Networks
import SignalPreparation

/// The windows of many recordings, one after another, through trained networks: however many there
/// are, one batch is in memory at a time, and batches are filled across recordings.
public struct WindowStream {
  /// A trained network and its weights.
  public typealias Member = (network: Network, weights: NetworkWeights)

  private let data: RecordingsToPredict
  private let networks: [LoadedNetwork]
  private let ensembleWeights: [Double]?
  private let batchSize: Int

  /// Loads the networks.
  ///
  /// - Parameter ensembleWeights: of the members, or nil for equal ones.
  /// - Throws: `DeviceError`.
  public init(
    _ data: RecordingsToPredict, members: [Member], ensembleWeights: [Double]?,
    device: any Device, batchSize: Int = NetworkPlanOptions.usualBatchSize
  ) throws(DeviceError) {
    self.data = data
    self.ensembleWeights = ensembleWeights
    self.batchSize = batchSize
    let options = LoadedNetwork.Options.prediction(windows: data.windowCount, batchSize: batchSize)
    var networks: [LoadedNetwork] = []
    for member in members {
      let network = try LoadedNetwork(member.network, on: device, options: options)
      try network.write(member.weights)
      networks.append(network)
    }
    self.networks = networks
  }

  /// Windows that wait for their batch to be full.
  private struct Waiting {
    /// `[windows, T, C]`.
    var samples: [Float] = []
    var windows = 0
    /// How many of them come from each recording, and whether these are its last.
    var owners: [(entry: Int, windows: Int, isLast: Bool)] = []
  }

  /// Gives every recording's probabilities `[windows, classes]`, in the recordings' order and part by
  /// part as they come.
  ///
  /// - Parameter take: told a recording's position, what its next windows say, and whether they are
  ///   its last.
  /// - Throws: `DeviceError`, `PredictionError`, `RecordingError`, `TrainingError`, and what `take`
  ///   throws.
  public func run(_ take: (Int, ArraySlice<Float>, Bool) throws -> Void) throws {
    let geometry = data.preparation.windows
    let channels = data.preparation.channels.count
    var waiting = Waiting()
    for (index, entry) in data.entries.enumerated() {
      let signal = try data.signal(of: entry)
      var first = 0
      while first < entry.windows {
        let count = min(entry.windows - first, batchSize - waiting.windows)
        let row = first * geometry.stride
        let rows = row..<row + (count - 1) * geometry.stride + geometry.length
        let samples = data.samples(rows, of: signal)
        for window in 0..<count {
          let start = window * geometry.stride * channels
          waiting.samples += samples[start..<start + geometry.length * channels]
        }
        first += count
        waiting.windows += count
        waiting.owners.append((index, count, first == entry.windows))
        if waiting.windows == batchSize { try flush(&waiting, take) }
      }
    }
    if waiting.windows > 0 { try flush(&waiting, take) }
  }

  private func flush(
    _ waiting: inout Waiting, _ take: (Int, ArraySlice<Float>, Bool) throws -> Void
  ) throws {
    let members = try networks.map { try $0.predict(waiting.samples) }
    let probabilities = try Ensemble.mean(members, weights: ensembleWeights)
    let classes = probabilities.count / waiting.windows
    var place = 0
    for (entry, count, isLast) in waiting.owners {
      try take(entry, probabilities[place * classes..<(place + count) * classes], isLast)
      place += count
    }
    waiting = Waiting()
  }
}
