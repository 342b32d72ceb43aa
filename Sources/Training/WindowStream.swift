import Compute
import Networks

/// The windows of many recordings, one after another, through trained networks: however many there
/// are, a few thousand samples are on the device at a time, and the results are the same bits as if
/// all were.
public struct WindowStream {
  /// A trained network and its weights.
  public typealias Member = (network: Network, weights: NetworkWeights)

  /// Batches of windows that are uploaded together.
  private static let batches = 8

  private let data: RecordingsToPredict
  private let runs: [NetworkRun]
  private let ensembleWeights: [Double]?
  private let windowsAtOnce: Int

  /// - Parameter ensembleWeights: of the members, or nil for equal ones.
  /// - Throws: `DeviceError`.
  public init(
    _ data: RecordingsToPredict, members: [Member], ensembleWeights: [Double]?,
    device: any Device, batchSize: Int = 128
  ) throws(DeviceError) {
    self.data = data
    self.ensembleWeights = ensembleWeights
    windowsAtOnce = batchSize * Self.batches
    let count = data.windowCount
    var runs: [NetworkRun] = []
    for member in members {
      runs.append(
        try NetworkRun(
          member.network, weights: member.weights, device: device, windows: count,
          batchSize: batchSize))
    }
    self.runs = runs
  }

  /// Windows that wait to be uploaded.
  private struct Waiting {
    var samples: [Float] = []
    var starts: [Int32] = []
    /// How many of them come from each recording, and whether these are its last.
    var owners: [(entry: Int, windows: Int, isLast: Bool)] = []
  }

  /// Gives every recording's probabilities `[windows, classes]`, in the recordings' order and part by
  /// part as they come.
  ///
  /// - Parameter take: told a recording's position, what its next windows say, and whether they are
  ///   its last.
  /// - Throws: `DeviceError`, `RecordingError`, `TrainingError`, and what `take` throws.
  public func run(_ take: (Int, ArraySlice<Float>, Bool) throws -> Void) throws {
    let geometry = data.preparation.windows
    let channels = data.preparation.channels.count
    var waiting = Waiting()
    for (index, entry) in data.entries.enumerated() {
      let signal = try data.signal(of: entry)
      var first = 0
      while first < entry.windows {
        let count = min(entry.windows - first, windowsAtOnce - waiting.starts.count)
        let row = first * geometry.stride
        let rows = row..<row + (count - 1) * geometry.stride + geometry.length
        let base = waiting.samples.count / channels
        waiting.samples += data.samples(rows, of: signal)
        waiting.starts += (0..<count).map { Int32(base + $0 * geometry.stride) }
        first += count
        waiting.owners.append((index, count, first == entry.windows))
        if waiting.starts.count == windowsAtOnce { try flush(&waiting, take) }
      }
    }
    if !waiting.starts.isEmpty { try flush(&waiting, take) }
  }

  private func flush(
    _ waiting: inout Waiting, _ take: (Int, ArraySlice<Float>, Bool) throws -> Void
  ) throws {
    let windows = waiting.starts.indices.map(Int32.init)
    let dataset = Dataset(
      samples: waiting.samples, channels: data.preparation.channels.count,
      // A device wants a class for each window; any will do.
      windowStarts: waiting.starts, labels: windows.map { _ in 0 })
    let members = try runs.map { try $0.probabilities(of: windows, in: dataset) }
    let probabilities = try Ensemble.mean(members, weights: ensembleWeights)
    let classes = probabilities.count / windows.count
    var place = 0
    for (entry, count, isLast) in waiting.owners {
      try take(entry, probabilities[place * classes..<(place + count) * classes], isLast)
      place += count
    }
    waiting = Waiting()
  }
}
